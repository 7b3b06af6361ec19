//! Exercise "Numbered messages": each message begins with its number, as in `7 Rain`.
//! Change it so that it prints which numbers are missing.
//!
//! ```console
//! $ cargo run -qp lessons --example exercise_gaps
//! ```

use futures_util::StreamExt;
use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let pubsub = PubSub::connect(&url).await?;
    pubsub.subscribe(["numbered"]).await?;
    println!("Subscribed to channel 'numbered'.");

    let mut events = pubsub.listen();
    while let Some(event) = events.next().await {
        if let Event::Message { payload, .. } = event {
            match number(&payload) {
                Some(number) => println!("Message {number}"),
                None => println!("A message without a number"),
            }
        }
    }
    Ok(())
}

/// The number before the first space.
fn number(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    text.split(' ').next()?.parse().ok()
}
