//! Prints every message of all channels that match a pattern, until Ctrl+C:
//! `cargo run -p pattern-subscriber`.

use std::io::Write;

use clap::Parser;
use pubsub::{Event, PubSub};
use service::{Output, RedisArgs, json, plural, quoted};

/// Prints every message on all channels that match a pattern, until Ctrl+C
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// The patterns to subscribe to: * matches any text, ? one character
    #[arg(value_name = "PATTERN", default_value = "news:*")]
    patterns: Vec<String>,

    /// Print each event as a line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    redis: RedisArgs,
}

const EXAMPLES: &str = "\
Examples:
  pattern-subscriber                     all channels that begin with 'news:'
  pattern-subscriber 'user:?' '*:done'   two patterns, quoted: the shell has its own *
  pattern-subscriber --json | jq .data   for other programs";

#[tokio::main(flavor = "current_thread")] // for the connection; the service gets another thread
async fn main() {
    service::run(pattern_subscriber).await
}

async fn pattern_subscriber(args: Args, out: &mut Output) -> anyhow::Result<()> {
    let pubsub = PubSub::connect(args.redis.url()?).await?;
    pubsub.psubscribe(&args.patterns).await?;
    if !args.json {
        let patterns = quoted(&args.patterns);
        writeln!(out, "Pattern Subscriber: Subscribed to all channels matching {patterns}")?;
    }

    pubsub.close_when(service::shutdown()); // ends the loop below, after the last message
    let mut events = pubsub.listen();
    while let Some(event) = out.next(&mut events).await? {
        match event {
            event if args.json => json(&event, out)?,
            Event::PSubscribe { pattern, .. } => {
                writeln!(out, "Subscribed to pattern '{pattern}'")?
            }
            Event::PMessage { pattern, channel, payload } => {
                writeln!(out, "Pattern '{pattern}' matched channel '{channel}': {payload}")?;
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
