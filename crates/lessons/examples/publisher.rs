//! The publisher on nothing but the redis crate.
//!
//! ```console
//! $ cargo run -qp lessons --example publisher
//! ```

use std::time::Duration;

use anyhow::Context;
use redis::AsyncCommands;

const NO_REDIS: &str = "cannot connect to Redis; `cargo redis` starts one, REDIS_URL names another";

const NOTIFICATIONS: [&str; 4] = [
    "New user registered!",
    "Server backup completed.",
    "Payment received for order #12345.",
    "System maintenance scheduled for tonight.",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await.context(NO_REDIS)?;

    println!("Sending messages to channel 'notifications'...");
    for _ in 0..5 {
        let message = NOTIFICATIONS[rand::random_range(0..NOTIFICATIONS.len())];
        // Redis answers with the number of subscribers that it sent the message to.
        let receivers: u64 = connection.publish("notifications", message).await?;
        println!("Published: {message} (receivers: {receivers})");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}
