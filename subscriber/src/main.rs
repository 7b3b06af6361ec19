//! Prints every message of a channel, until Ctrl+C: `cargo run -p subscriber`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use futures_util::StreamExt;
use pubsub::{Event, PubSub};
use service::{Output, RedisArgs, Shutdown, channels, json, plural, text};

/// Prints every message that is published on a channel, until Ctrl+C
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// The channels to subscribe to
    #[arg(value_name = "CHANNEL", default_value = "notifications")]
    channels: Vec<String>,

    /// Print each event as a line of JSON
    #[arg(long)]
    json: bool,

    /// Subscribe to the shard channels of these names, for publisher --sharded (Redis 7)
    #[arg(long)]
    sharded: bool,

    #[command(flatten)]
    redis: RedisArgs,
}

const EXAMPLES: &str = "\
Examples:
  subscriber                          the channel 'notifications'
  subscriber news:sports news:tech    two channels
  subscriber --json | jq .data        for other programs";

fn main() -> ExitCode {
    service::run(subscriber)
}

async fn subscriber(args: Args, output: Output, shutdown: Shutdown) -> anyhow::Result<()> {
    let pubsub = PubSub::connect(&args.redis.url()?).await?;
    if args.sharded {
        pubsub.ssubscribe(&args.channels).await?;
    } else {
        pubsub.subscribe(&args.channels).await?;
    }

    if !args.json {
        let channels = channels(&args.channels);
        let line = format!("Subscriber: Subscribed to {channels}. Waiting for messages...");
        output.line(line).await?;
        output.line("Press Ctrl+C to exit.").await?;
    }
    let show = if args.json { json } else { text_line };
    let mut events = pubsub.listen().take_until(shutdown.wait());
    while let Some(event) = events.next().await {
        output.print(|line| show(&event, line)).await?;
    }

    if !args.json {
        output.line("Unsubscribing and shutting down.").await?;
    }
    pubsub.close().await;
    // What arrived before Redis confirmed the unsubscribing is printed too.
    while let Some(event) = pubsub.listen().next().await {
        output.print(|line| show(&event, line)).await?;
    }
    Ok(())
}

fn text_line(event: &Event, line: &mut Vec<u8>) -> io::Result<()> {
    match event {
        Event::Subscribe { channel, .. } | Event::SSubscribe { channel, .. } => {
            writeln!(line, "Subscribed successfully to '{}'.", text(channel))
        }
        Event::Message { channel, payload } | Event::SMessage { channel, payload } => {
            writeln!(line, "Received on channel '{}': {}", text(channel), text(payload))
        }
        Event::Missed { count } => {
            writeln!(line, "Missed {}: this reader was too slow.", plural(*count, "message"))
        }
        // A lost and a regained connection stand in the log, on stderr.
        _ => Ok(()),
    }
}
