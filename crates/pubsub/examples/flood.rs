//! Publishes as fast as Redis takes messages: to see what a subscriber does with a flood.
//!
//! ```console
//! $ cargo run -p redis-pubsub-client --example flood -- notifications --count 500000 --size 100
//! ```

use std::pin::pin;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::{StreamExt, stream};
use pubsub::Publisher;

/// Publishes as fast as Redis takes messages
#[derive(Parser)]
struct Args {
    /// The channel to publish on
    channel: String,

    /// How many messages to publish
    #[arg(long, value_name = "N", default_value = "100000")]
    count: u64,

    /// Bytes in each message
    #[arg(long, value_name = "BYTES", default_value = "64")]
    size: usize,

    /// Where Redis is
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    #[arg(default_value = "redis://localhost:6379")]
    redis_url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let publisher = Publisher::connect(args.redis_url).await?;
    let payload = "x".repeat(args.size);
    let messages = stream::iter(0..args.count).map(|_| (&args.channel, &payload));
    // One after the other each message would wait for the answer to the one before.
    let mut answers = pin!(publisher.publish_all(messages));
    let (mut published, mut last_report) = (0_u64, Instant::now());
    while let Some((_, _, answer)) = answers.next().await {
        answer?;
        published += 1;
        if published.is_multiple_of(1000) && last_report.elapsed() > Duration::from_secs(2) {
            last_report = Instant::now();
            eprintln!("{published} of {} published", args.count);
        }
    }
    println!("Published {published} messages of {} bytes", args.size);
    Ok(())
}
