//! Prints every message of all channels that match a pattern, until Ctrl+C:
//! `cargo run -p pattern-subscriber`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use futures_util::StreamExt;
use pubsub::{Event, PubSub};
use service::{Output, RedisArgs, Shutdown, json, plural, quoted, text};

/// Prints every message on all channels that match a pattern, until Ctrl+C
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// The patterns to subscribe to: * stands for any characters, ? for one
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

fn main() -> ExitCode {
    service::run(pattern_subscriber)
}

async fn pattern_subscriber(args: Args, output: Output, shutdown: Shutdown) -> anyhow::Result<()> {
    let pubsub = PubSub::connect(&args.redis.url()?).await?;
    pubsub.psubscribe(&args.patterns).await?;

    if !args.json {
        let patterns = quoted(&args.patterns);
        let line = format!("Pattern Subscriber: Subscribed to all channels matching {patterns}");
        output.line(line).await?;
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
        Event::PSubscribe { pattern, .. } => {
            writeln!(line, "Subscribed to pattern '{}'", text(pattern))
        }
        Event::PMessage { pattern, channel, payload } => {
            let (pattern, channel, payload) = (text(pattern), text(channel), text(payload));
            writeln!(line, "Pattern '{pattern}' matched channel '{channel}': {payload}")
        }
        Event::Missed { count } => {
            writeln!(line, "Missed {}: this reader was too slow.", plural(*count, "message"))
        }
        // A lost and a regained connection stand in the log, on stderr.
        _ => Ok(()),
    }
}
