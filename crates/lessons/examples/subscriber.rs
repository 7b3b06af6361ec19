//! The subscriber on nothing but the redis crate. When Redis closes the connection, this program
//! ends without an error. When Redis hangs, it waits for ever.
//!
//! ```console
//! $ cargo run -qp lessons --example subscriber
//! ```

use anyhow::Context;
use futures_util::StreamExt;

const NO_REDIS: &str = "cannot connect to Redis; `cargo redis` starts one, REDIS_URL names another";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = redis::Client::open(url)?;

    // A subscriber has a connection for itself: in RESP2 it can send no other commands on it.
    let mut pubsub = client.get_async_pubsub().await.context(NO_REDIS)?;
    pubsub.subscribe("notifications").await?;
    println!("Subscribed to channel 'notifications'. Waiting for messages...");

    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        // The payload is bytes. This asks for a string, and fails if the bytes are not UTF-8.
        let payload: String = message.get_payload()?;
        println!("Received on channel '{}': {payload}", message.get_channel_name());
    }
    Ok(())
}
