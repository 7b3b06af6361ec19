use std::time::Duration;

use clap::Parser;
use service::RedisArgs;

use crate::NOTIFICATIONS;

/// Publishes random messages, and says how many receivers each one had
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Args {
    /// The channels to publish on; several take turns
    #[arg(value_name = "CHANNEL", default_value = "notifications")]
    pub channels: Vec<String>,

    /// How many messages to publish in all
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = at_least_one)]
    pub count: u64,

    /// Publish until Ctrl+C
    #[arg(long, conflicts_with = "count")]
    pub forever: bool,

    /// How long to wait between two messages, such as 2s or 100ms; 0s: as fast as Redis takes them
    #[arg(long, value_name = "TIME", default_value = "2s")]
    #[arg(value_parser = humantime::parse_duration)]
    pub interval: Duration,

    /// What to publish; picked at random where given several times
    #[arg(long = "message", value_name = "TEXT", default_values = NOTIFICATIONS)]
    pub messages: Vec<String>,

    /// Publish on the shard channels of these names, which pattern-subscriber can't hear (Redis 7)
    #[arg(long)]
    pub sharded: bool,

    #[command(flatten)]
    pub redis: RedisArgs,
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
