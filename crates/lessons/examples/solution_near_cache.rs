//! Solution of "Near-cache".
//!
//! ```console
//! $ cargo run -qp lessons --example solution_near_cache
//! ```

use std::collections::HashMap;
use std::time::Duration;

use pubsub::{Event, PubSub};
use redis::{AsyncCommands, Client, RedisResult};

#[derive(Default)]
struct NearCache {
    values: HashMap<String, String>,
    /// Whether this program hears of every change.
    subscribed: bool,
}

impl NearCache {
    async fn get(&mut self, client: &Client, key: &str) -> RedisResult<String> {
        if let Some(value) = self.values.get(key) {
            return Ok(format!("{value} (from memory)"));
        }
        let mut connection = client.get_multiplexed_async_connection().await?;
        let value: String = connection.get(key).await?;
        // In an outage, no message would tell us that this value is old.
        if self.subscribed {
            self.values.insert(key.to_owned(), value.clone());
        }
        Ok(format!("{value} (from Redis)"))
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Subscribe { .. } => self.subscribed = true,
            Event::Message { payload, .. } => {
                self.values.remove(&payload.to_string());
            }
            // The message that is missing may be about any of them.
            Event::Missed { .. } => self.values.clear(),
            Event::Disconnected { .. } => {
                self.values.clear();
                self.subscribed = false;
            }
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let client = Client::open(url.as_str())?;
    let pubsub = PubSub::connect(&url).await?;
    pubsub.subscribe(["changed"]).await?;

    let mut cache = NearCache::default();
    loop {
        // Everything that has arrived first, then one look at the value each second.
        while let Some(event) = pubsub.get_message(Duration::ZERO).await {
            cache.hear(event);
        }
        match cache.get(&client, "greeting").await {
            Ok(value) => println!("greeting: {value}"),
            Err(error) => println!("greeting: {error}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
