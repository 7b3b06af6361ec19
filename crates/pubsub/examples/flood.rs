//! Publishes as fast as Redis takes messages.
//!
//! ```console
//! $ cargo run -p pubsub --example flood -- notifications --count 1000 --size 64
//! ```

use std::pin::pin;

use anyhow::Context;
use futures_util::{StreamExt, stream};
use pubsub::Publisher;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let channel = arguments.first().context("no CHANNEL")?;
    let count: usize = option("--count").context("no --count")?.parse()?;
    let size: usize = option("--size").context("no --size")?.parse()?;
    let url = match option("--redis-url") {
        Some(url) => url.clone(),
        None => std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned()),
    };

    let publisher = Publisher::connect(&url).await?;
    let payload = "x".repeat(size);
    let messages = stream::iter(std::iter::repeat_n((channel, &payload), count));
    let mut answers = pin!(publisher.publish_all(messages));
    let mut published = 0;
    while let Some((_, _, answer)) = answers.next().await {
        answer?;
        published += 1;
    }
    println!("Published {published} messages.");
    Ok(())
}
