//! The subscriber on nothing but the redis crate: the first lesson, and what fails first in the
//! later ones. When Redis ends the connection, this program ends too, and says nothing; when Redis
//! hangs, it waits for ever.
//!
//! ```console
//! $ cargo run -p redis-pubsub-client --example redis_crate_alone
//! ```

use anyhow::Context;
use futures_util::StreamExt;

const NO_REDIS: &str = "cannot connect to Redis; `cargo redis` starts one, REDIS_URL names another";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = redis::Client::open(url)?;

    // Pub/Sub takes a connection of its own: subscribed, it can do nothing else (in RESP2).
    let mut pubsub = client.get_async_pubsub().await.context(NO_REDIS)?;
    pubsub.subscribe("notifications").await?;
    println!("Subscribed to channel 'notifications'. Waiting for messages...");

    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        // The payload is bytes; this asks for a string, and fails where it is none.
        let payload: String = message.get_payload()?;
        println!("Received on channel '{}': {payload}", message.get_channel_name());
    }
    Ok(())
}
