//! Keeps values in memory until a message on the channel `changed` names their key. Whenever such a
//! message may be missing, it forgets everything.
//!
//! ```console
//! $ cargo run -p redis-pubsub-client --example near_cache
//! ```
//!
//! Type a key, twice. Then change it as a program would: `SET KEY VALUE`, `PUBLISH changed KEY`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use pubsub::{Event, PubSub};
use redis::{AsyncCommands, Client, RedisResult};

#[derive(Default)]
struct Memory {
    values: HashMap<Vec<u8>, String>,
    /// Whether changes are heard of: not during an outage.
    listening: bool,
    /// Goes up whenever something is forgotten.
    changes: u64,
}

impl Memory {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Subscribe { .. } => return self.listening = true,
            Event::Message { payload, .. } => drop(self.values.remove(&payload[..])),
            // Any of the keys may be in the messages that are missing.
            Event::Missed { .. } => self.values.clear(),
            Event::Disconnected { .. } | Event::Refused { .. } => {
                self.values.clear();
                self.listening = false;
            }
            _ => return,
        }
        self.changes += 1;
    }
}

struct NearCache {
    client: Client,
    memory: Arc<Mutex<Memory>>,
}

impl NearCache {
    async fn connect(url: &str) -> anyhow::Result<NearCache> {
        let pubsub = PubSub::connect(url).await?;
        pubsub.subscribe(["changed"]).await?;
        let memory = Arc::new(Mutex::new(Memory::default()));
        let hearing = memory.clone();
        tokio::spawn(async move {
            let mut events = pubsub.listen();
            while let Some(event) = events.next().await {
                hearing.lock().unwrap_or_else(PoisonError::into_inner).hear(event);
            }
        });
        Ok(NearCache { client: Client::open(url)?, memory })
    }

    async fn get(&self, key: &str) -> RedisResult<String> {
        let changes = {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = memory.values.get(key.as_bytes()) {
                return Ok(format!("{value} (from memory)"));
            }
            memory.listening.then_some(memory.changes)
        };
        // A program that reads often keeps this connection.
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        let value: String = connection.get(key).await?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        // If something was forgotten while Redis answered, this value may be the old one.
        if changes == Some(memory.changes) {
            memory.values.insert(key.into(), value.clone());
        }
        Ok(format!("{value} (from Redis)"))
    }
}

#[tokio::main(worker_threads = 1)] // for the messages; this thread waits for keys
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or("redis://localhost".to_owned());
    let cache = NearCache::connect(&url).await?;
    for key in std::io::stdin().lines() {
        match cache.get(&key?).await {
            Ok(value) => println!("{value}"),
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}
