//! Looking for a message now and then, for a program that has other work to do.
//!
//! ```console
//! $ cargo run -p redis-pubsub-client --example get_message
//! ```

use std::time::Duration;

use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let pubsub = PubSub::connect(&url).await?;
    pubsub.subscribe(["notifications"]).await?;

    loop {
        // Waits a second at most; `Duration::ZERO` would only look.
        match pubsub.get_message(Duration::from_secs(1)).await {
            Some(Event::Message { payload, .. }) => {
                println!("Received: {payload}");
                break;
            }
            // The confirmation, and whatever else is no message.
            Some(_) => {}
            None => println!("No message yet. Working on something else..."),
        }
    }
    pubsub.close().await;
    Ok(())
}
