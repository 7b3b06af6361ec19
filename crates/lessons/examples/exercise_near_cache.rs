//! Exercise "Near-cache": keeps a value of Redis in memory, so that it need not ask for it again.
//! A program that changes the value publishes the key on `changed`. Change this one so that it
//! never shows an old value, also after an outage.
//!
//! ```console
//! $ cargo run -qp lessons --example exercise_near_cache
//! ```

use std::collections::HashMap;
use std::time::Duration;

use pubsub::{Event, PubSub};
use redis::{AsyncCommands, Client, RedisResult};

#[derive(Default)]
struct NearCache(HashMap<String, String>);

impl NearCache {
    async fn get(&mut self, client: &Client, key: &str) -> RedisResult<String> {
        if let Some(value) = self.0.get(key) {
            return Ok(format!("{value} (from memory)"));
        }
        let mut connection = client.get_multiplexed_async_connection().await?;
        let value: String = connection.get(key).await?;
        self.0.insert(key.to_owned(), value.clone());
        Ok(format!("{value} (from Redis)"))
    }

    fn hear(&mut self, event: Event) {
        // Your task: which events make which values old?
        let _ = event;
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
