//! A program with a leak: each visitor gets a subscription, and none of them ends.
//!
//! ```console
//! $ cargo run -qp lessons --example leak
//! ```

use futures_util::StreamExt;
use pubsub::PubSub;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    for visitor in 1..=3 {
        let pubsub = PubSub::connect(&url).await?;
        pubsub.subscribe(["notifications"]).await?;
        // Dropping the handle of a task does not end the task: it keeps its connection.
        drop(tokio::spawn(async move { while pubsub.listen().next().await.is_some() {} }));
        println!("Visitor {visitor} has left.");
    }
    println!("Subscribed for nobody. Press Ctrl+C to exit.");
    std::future::pending().await
}
