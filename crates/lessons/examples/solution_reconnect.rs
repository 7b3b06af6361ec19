//! Solution of "Reconnect". It still does not notice a Redis that hangs: see docs/solutions.md.
//!
//! ```console
//! $ cargo run -qp lessons --example solution_reconnect
//! ```

use std::time::Duration;

use futures_util::StreamExt;
use redis::{Client, RedisResult};

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = Client::open(url)?;
    let mut pause = SHORTEST_PAUSE;
    loop {
        match listen(&client).await {
            Ok(()) => {
                println!("Lost the connection. Messages may be missing here.");
                pause = SHORTEST_PAUSE;
            }
            Err(error) => {
                println!("Cannot subscribe yet: {error}");
                // A Redis that is just starting has enough to do without a thousand clients.
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Prints messages until Redis closes the connection.
async fn listen(client: &Client) -> RedisResult<()> {
    let mut pubsub = client.get_async_pubsub().await?;
    // A new connection has no subscriptions.
    pubsub.subscribe("notifications").await?;
    println!("Subscribed to channel 'notifications'.");

    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        println!("Received: {}", String::from_utf8_lossy(message.get_payload_bytes()));
    }
    Ok(())
}
