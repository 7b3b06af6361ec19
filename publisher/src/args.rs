use std::time::Duration;

use clap::Parser;
use pubsub::escape::escaped;
use service::{RedisArgs, ShardedArgs};

use crate::NOTIFICATIONS;

/// Publishes random messages, and says how many receivers each one had
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The channels to publish on; with several, each message goes to the next one
    #[arg(value_name = "CHANNEL", default_value = "notifications")]
    pub channels: Vec<String>,

    /// How many messages to publish in all
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = at_least_one)]
    pub count: u64,

    /// Publish until Ctrl+C
    #[arg(long, conflicts_with = "count")]
    pub forever: bool,

    /// How long to wait between two messages, such as 2s or 100ms; 0s means no wait
    #[arg(long, value_name = "TIME", default_value = "2s")]
    #[arg(value_parser = humantime::parse_duration)]
    pub interval: Duration,

    /// What to publish; if given several times, one is picked at random
    #[arg(long = "message", value_name = "TEXT", default_values = NOTIFICATIONS)]
    pub messages: Vec<String>,

    #[command(flatten)]
    pub shards: ShardedArgs,

    #[command(flatten)]
    pub redis: RedisArgs,
}

impl Args {
    pub(crate) fn count(&self) -> u64 {
        if self.forever { u64::MAX } else { self.count }
    }

    /// The beginning of a line about a message. It names the channel only if there are several.
    pub(crate) fn published(&self, channel: &str) -> String {
        match self.channels.len() {
            1 => "Published".to_owned(),
            _ => format!("Published to '{}'", escaped(channel)),
        }
    }
}

// clap's own range would say "0 is not in 1..18446744073709551615".
fn at_least_one(count: &str) -> Result<u64, String> {
    match count.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

const EXAMPLES: &str = "\
Examples:
  publisher                                          five notifications on 'notifications'
  publisher news:weather --message Rain --count 1    one message
  publisher a b --interval 100ms --forever           two channels in turn, until Ctrl+C";
