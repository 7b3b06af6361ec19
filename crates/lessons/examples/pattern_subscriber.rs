//! The pattern subscriber on nothing but the redis crate.
//!
//! ```console
//! $ cargo run -qp lessons --example pattern_subscriber
//! ```

use anyhow::Context;
use futures_util::StreamExt;

const NO_REDIS: &str = "cannot connect to Redis; `cargo redis` starts one, REDIS_URL names another";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = redis::Client::open(url)?;

    let mut pubsub = client.get_async_pubsub().await.context(NO_REDIS)?;
    pubsub.psubscribe("news:*").await?;
    println!("Subscribed to pattern 'news:*'. Waiting for messages...");

    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        let pattern: String = message.get_pattern()?;
        let channel = message.get_channel_name();
        let payload: String = message.get_payload()?;
        println!("Pattern '{pattern}' matched channel '{channel}': {payload}");
    }
    Ok(())
}
