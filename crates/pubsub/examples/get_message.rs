//! Looking for messages now and then, for a program that has other work to do.
//!
//! ```console
//! $ cargo run -p pubsub --example get_message
//! ```

use std::time::Duration;

use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let pubsub = PubSub::connect(&url).await?;
    pubsub.subscribe(["notifications"]).await?;

    for round in 1..=10 {
        println!("Round {round}: working...");
        // Waits at most a second; `Duration::ZERO` would only look.
        match pubsub.get_message(Duration::from_secs(1)).await {
            Some(Event::Message { payload, .. }) => {
                println!("  a message: {}", String::from_utf8_lossy(&payload));
            }
            Some(event) => println!("  something else: {event:?}"),
            None => println!("  no message"),
        }
    }
    pubsub.close().await;
    Ok(())
}
