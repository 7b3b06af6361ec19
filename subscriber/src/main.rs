//! Prints every message of a channel, until Ctrl+C: `cargo run -p subscriber`.

use std::io::Write;

use clap::Parser;
use pubsub::{Event, PubSub};
use service::{Output, RedisArgs, ShardedArgs, channels, json, plural};

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

    #[command(flatten)]
    shards: ShardedArgs,

    #[command(flatten)]
    redis: RedisArgs,
}

const EXAMPLES: &str = "\
Examples:
  subscriber                          the channel 'notifications'
  subscriber news:sports news:tech    two channels
  subscriber --json | jq .data        for other programs";

#[tokio::main(flavor = "current_thread")] // for the connection; the service gets another thread
async fn main() {
    service::run(subscriber).await
}

async fn subscriber(args: Args, out: &mut Output) -> anyhow::Result<()> {
    let pubsub = PubSub::builder(args.redis.url()?).sharded(args.shards.sharded).connect().await?;
    pubsub.subscribe(&args.channels).await?;
    if !args.json {
        writeln!(
            out,
            "Subscriber: Subscribed to {}. Waiting for messages...",
            channels(&args.channels)
        )?;
        writeln!(out, "Press Ctrl+C to exit.")?;
    }

    pubsub.close_when(service::shutdown()); // ends the loop below, after the last message
    let mut events = pubsub.listen();
    while let Some(event) = out.next(&mut events).await? {
        match event {
            event if args.json => json(&event, out)?,
            Event::Subscribe { channel, .. } => {
                writeln!(out, "Subscribed successfully to '{channel}'.")?
            }
            Event::Message { channel, payload } => {
                writeln!(out, "Received on channel '{channel}': {payload}")?;
            }
            Event::Missed { count } => {
                writeln!(out, "Missed {}: this reader was too slow.", plural(count, "message"))?;
            }
            _ => {} // lost and regained connections are in the log, on stderr
        }
    }

    if !args.json {
        writeln!(out, "Unsubscribing and shutting down.")?;
    }
    Ok(())
}
