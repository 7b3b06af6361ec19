//! Solution of "Count per channel".
//!
//! ```console
//! $ cargo run -qp lessons --example solution_count
//! ```

use std::collections::HashMap;

use futures_util::StreamExt;
use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let pubsub = PubSub::connect(&url).await?;
    pubsub.psubscribe(["*"]).await?;
    println!("Subscribed to all channels.");

    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut events = pubsub.listen();
    while let Some(event) = events.next().await {
        match event {
            Event::PMessage { channel, .. } => {
                let count = counts.entry(channel.to_string()).or_default();
                *count += 1;
                println!("{channel}: {count}");
            }
            // From here on the counts may be too small. Say so, or nobody can trust them.
            Event::Disconnected { reason } => println!("The counts may be too small: {reason}"),
            Event::Missed { count } => println!("The counts are too small by {count} more."),
            _ => {}
        }
    }
    Ok(())
}
