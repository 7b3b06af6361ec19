//! Start: from the start of the process until Redis counts it as subscribed.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::messages::Kind;
use crate::resp::Client;

/// Waits until Redis counts this many.
pub fn wait_until_subscribed(
    client: &mut Client,
    kind: Kind,
    channel: &str,
    readers: u64,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    // Of patterns Redis counts how many different ones there are.
    let (question, expected) = match kind {
        Kind::Channel => (vec!["PUBSUB", "NUMSUB", channel], readers),
        Kind::Pattern => (vec!["PUBSUB", "NUMPAT"], readers.min(1)),
    };
    loop {
        let subscribed = client.last_number(&question)?;
        if subscribed == expected {
            return Ok(());
        }
        let what = kind.name();
        ensure!(Instant::now() < deadline, "{subscribed} instead of {readers} read {what}");
        sleep(Duration::from_micros(100));
    }
}
