//! A program that loses orders in silence, for the exercise "Find the silent loss".
//!
//! ```console
//! $ cargo run -qp lessons --example silent_loss
//! ```

use std::time::Duration;

use futures_util::StreamExt;
use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    loop {
        let order = next_order(&url).await?;
        println!("Packing: {order}");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

async fn next_order(url: &str) -> anyhow::Result<String> {
    let pubsub = PubSub::connect(url).await?;
    pubsub.subscribe(["orders"]).await?;
    println!("Subscribed to channel 'orders'.");
    loop {
        if let Some(Event::Message { payload, .. }) = pubsub.listen().next().await {
            pubsub.close().await;
            return Ok(payload.to_string());
        }
    }
}
