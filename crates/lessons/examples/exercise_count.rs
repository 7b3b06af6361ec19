//! Exercise "Count per channel": prints each message of all channels.
//! Change it so that it prints how many messages each channel has had.
//!
//! ```console
//! $ cargo run -qp lessons --example exercise_count
//! ```

use futures_util::StreamExt;
use pubsub::{Event, PubSub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let pubsub = PubSub::connect(&url).await?;
    pubsub.psubscribe(["*"]).await?;
    println!("Subscribed to all channels.");

    let mut events = pubsub.listen();
    while let Some(event) = events.next().await {
        if let Event::PMessage { channel, payload, .. } = event {
            println!("{channel}: {payload}");
        }
    }
    Ok(())
}
