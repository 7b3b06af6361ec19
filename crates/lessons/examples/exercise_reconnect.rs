//! Exercise "Reconnect": the subscriber on nothing but the redis crate.
//! Change it so that it reconnects when Redis is restarted, and reports that messages are missing.
//!
//! ```console
//! $ cargo run -qp lessons --example exercise_reconnect
//! ```

use futures_util::StreamExt;
use redis::{Client, RedisResult};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = Client::open(url)?;
    listen(&client).await?;
    Ok(())
}

/// Prints messages until Redis closes the connection.
async fn listen(client: &Client) -> RedisResult<()> {
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe("notifications").await?;
    println!("Subscribed to channel 'notifications'.");

    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        println!("Received: {}", String::from_utf8_lossy(message.get_payload_bytes()));
    }
    Ok(())
}
