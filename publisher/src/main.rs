//! Publishes a random notification every two seconds, five times: `cargo run -p publisher`.

mod args;

use std::io::Write;

use anyhow::ensure;
use args::Args;
use pubsub::Publisher;
use pubsub::escape::escaped;
use rand::seq::IndexedRandom;
use service::{Output, channels, is_shutting_down, plural};
use tokio::time::timeout;

const NOTIFICATIONS: [&str; 4] = [
    "New user registered!",
    "Server backup completed.",
    "Payment received for order #12345.",
    "System maintenance scheduled for tonight.",
];

#[tokio::main(flavor = "current_thread")] // for the connection; the service gets another thread
async fn main() {
    service::run(publisher).await
}

async fn publisher(args: Args, out: &mut Output) -> anyhow::Result<()> {
    let client =
        Publisher::builder(args.redis.url()?).sharded(args.shards.sharded).connect().await?;
    writeln!(out, "Publisher: Sending messages to {}...", channels(&args.channels))?;
    out.flush()?;

    client.close_when(service::shutdown()); // ends a publish that waits
    let mut unconfirmed = 0;
    for (n, channel) in (0..args.count()).zip(args.channels.iter().cycle()) {
        if args.interval.is_zero() {
            client.connected().await; // without a pause, an outage would use up the whole count
        } else if n > 0 {
            // Sleeps, unless Ctrl+C comes first.
            let _ = timeout(args.interval, service::shutdown()).await;
        }
        if is_shutting_down() {
            break;
        }
        let Some(message) = args.messages.choose(&mut rand::rng()) else { break };
        let shown = format!("{}: {}", args.published(channel), escaped(message));
        match client.publish(channel, message).await {
            Ok(receivers) => writeln!(out, "{shown} ({})", plural(receivers, "receiver"))?,
            // Redis may have published it or not. A second attempt could deliver it twice.
            Err(error) => {
                tracing::warn!("{shown} ({error})");
                unconfirmed += 1;
            }
        }
        out.flush()?;
    }

    let not_confirmed = format!("Redis did not confirm {}", plural(unconfirmed, "message"));
    if is_shutting_down() {
        if unconfirmed > 0 {
            tracing::warn!("{not_confirmed}");
        }
        writeln!(out, "Publisher shutting down.")?;
        return Ok(());
    }
    ensure!(unconfirmed == 0, not_confirmed);
    Ok(())
}
