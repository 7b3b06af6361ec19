//! Solution of "Numbered messages".
//!
//! ```console
//! $ cargo run -qp lessons --example solution_gaps
//! ```

use futures_util::StreamExt;
use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let pubsub = PubSub::connect(&url).await?;
    pubsub.subscribe(["numbered"]).await?;
    println!("Subscribed to channel 'numbered'.");

    let mut last = None;
    let mut events = pubsub.listen();
    while let Some(event) = events.next().await {
        if let Event::Message { payload, .. } = event {
            match number(&payload) {
                Some(number) => {
                    println!("{}", describe(last, number));
                    last = Some(number);
                }
                None => println!("A message without a number"),
            }
        }
    }
    Ok(())
}

/// Compares a number with the one before it.
fn describe(last: Option<u64>, number: u64) -> String {
    match last {
        // The first message that arrives: earlier ones are unknown, not missing.
        None => format!("Message {number}"),
        Some(last) if number == last + 1 => format!("Message {number}"),
        Some(last) if number > last => {
            format!("Message {number}; missing: {} to {}", last + 1, number - 1)
        }
        // A publisher that was restarted counts from the beginning.
        Some(_) => format!("Message {number}; the publisher counts anew"),
    }
}

/// The number before the first space.
fn number(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    text.split(' ').next()?.parse().ok()
}
