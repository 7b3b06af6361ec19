//! Publishes a random notification every two seconds, five times: `cargo run -p publisher`.

mod args;
mod messages;

use std::pin::pin;
use std::process::ExitCode;

use anyhow::ensure;
use args::Args;
use futures_util::StreamExt;
use messages::messages;
use pubsub::Publisher;
use service::{Output, Shutdown, channels, plural, text};

const NOTIFICATIONS: [&str; 4] = [
    "New user registered!",
    "Server backup completed.",
    "Payment received for order #12345.",
    "System maintenance scheduled for tonight.",
];

fn main() -> ExitCode {
    service::run(publisher)
}

async fn publisher(args: Args, output: Output, shutdown: Shutdown) -> anyhow::Result<()> {
    let publisher = Publisher::connect(&args.redis.url()?).await?;
    output.line(format!("Publisher: Sending messages to {}...", channels(&args.channels))).await?;

    publisher.close_when(shutdown.wait());
    let messages = messages(&args, &publisher).take_until(shutdown.wait());
    let mut answers = pin!(publisher.publish_all(messages));
    let mut unconfirmed = 0;
    while let Some((channel, message, answer)) = answers.next().await {
        let to = match args.channels.len() {
            1 => String::new(),
            _ => format!(" to '{}'", text(channel)),
        };
        match answer {
            Ok(receivers) => {
                let receivers = plural(receivers, "receiver");
                output.line(format_args!("Published{to}: {} ({receivers})", text(message))).await?;
            }
            // Redis may have taken it or not. Sending it again could deliver it twice.
            Err(error) => {
                tracing::warn!("Published{to}: {} ({error})", text(message));
                unconfirmed += 1;
            }
        }
    }

    let not_confirmed = format!("Redis did not confirm {}", plural(unconfirmed, "message"));
    if shutdown.came() {
        if unconfirmed > 0 {
            tracing::warn!("{not_confirmed}");
        }
        output.line("Publisher shutting down.").await?;
        return Ok(());
    }
    ensure!(unconfirmed == 0, not_confirmed);
    Ok(())
}
