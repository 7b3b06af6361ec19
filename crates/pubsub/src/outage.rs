//! An outage, from the lost connection to the next good one: how long to wait before each
//! attempt, and what to say meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::link::Loss;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The outages of one client, one after the other.
pub(crate) struct Outages {
    delay: Duration,
    longest_delay: Duration,
    since: Instant,
    connected_at: Instant,
    attempts: u32,
    reported: BTreeSet<String>,
    /// Nobody misses anything on this connection: not a word about it.
    pub(crate) silent: bool,
}

impl Outages {
    /// To be made when the first connection stands.
    pub(crate) fn new() -> Outages {
        Outages::with_longest_delay(LONGEST_DELAY)
    }

    pub(crate) fn with_longest_delay(longest_delay: Duration) -> Outages {
        Outages {
            delay: FIRST_DELAY,
            longest_delay,
            since: Instant::now(),
            connected_at: Instant::now(),
            attempts: 0,
            reported: BTreeSet::new(),
            silent: false,
        }
    }

    pub(crate) fn begin(&mut self, address: &str, loss: &Loss) {
        if !self.silent {
            let reason = &loss.reason;
            tracing::warn!("lost the connection to Redis at {address}: {reason}; connecting again");
        }
        self.since = loss.since;
        self.attempts = 0;
        self.reported.clear();
        self.delay = first_delay(self.connected_at.elapsed(), self.delay);
    }

    /// Waits before the next attempt: twice as long each time, up to a limit, and never quite
    /// the same, so that a thousand subscribers do not all come back in the same millisecond.
    pub(crate) async fn wait(&mut self) {
        sleep(self.next_delay()).await;
    }

    /// How long that is.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.delay.mul_f64(rand::random_range(0.5..=1.0));
        self.delay = (self.delay * 2).min(self.longest_delay);
        self.attempts += 1;
        delay
    }

    /// An attempt has failed. Said once for each reason in an outage, not at each attempt.
    pub(crate) fn failed(&mut self, error: &impl ToString) {
        let error = error.to_string();
        if !self.silent && !self.reported.contains(&error) {
            tracing::warn!("cannot connect again yet: {error}");
            self.reported.insert(error);
        }
    }

    /// The connection is back: how long it may have been gone, and how many attempts it took. With
    /// several addresses it may be to another one now.
    pub(crate) fn end(&mut self, address: &str) -> (Duration, u32) {
        self.connected_at = Instant::now();
        let gap = self.since.elapsed();
        if !self.silent {
            tracing::warn!(
                attempts = self.attempts,
                "connected again to Redis at {address} after {:.1} s",
                gap.as_secs_f64(),
            );
        }
        (gap, self.attempts)
    }
}

/// A Redis that lets us in and throws us out again must not be dialled in a tight loop: only a
/// connection that has stood for a while counts as a recovery.
fn first_delay(connected_for: Duration, last_delay: Duration) -> Duration {
    if connected_for > LONGEST_DELAY { FIRST_DELAY } else { last_delay }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_longer_each_time_up_to_two_seconds() {
        let mut outages = Outages::new();
        let before = Instant::now();
        for _ in 0..3 {
            outages.wait().await;
        }
        // At least half of 50 + 100 + 200 ms.
        assert!(before.elapsed() >= Duration::from_millis(175));
        assert_eq!(outages.delay, Duration::from_millis(400));
        outages.delay = LONGEST_DELAY.mul_f64(0.6);
        outages.wait().await;
        assert_eq!(outages.delay, LONGEST_DELAY);
    }

    #[test]
    fn starts_over_only_after_a_connection_that_has_stood_for_a_while() {
        let thrown_out = Duration::from_millis(100);
        assert_eq!(first_delay(thrown_out, LONGEST_DELAY), LONGEST_DELAY);
        let stood = Duration::from_secs(60);
        assert_eq!(first_delay(stood, LONGEST_DELAY), FIRST_DELAY);
    }
}
