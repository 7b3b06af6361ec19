//! Each message as a line of JSON, on the redis crate's `get_async_pubsub`: one of the clients that
//! `cargo compare clients` compares. It is an example of this package, so that a test of the
//! workspace can run it too.

use futures_util::StreamExt;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = redis::Client::open(std::env::var("REDIS_URL")?)?;
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe("notifications").await?;

    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        let data: String = message.get_payload()?;
        println!("{}", json!({ "type": "message", "data": data }));
    }
    Ok(())
}
