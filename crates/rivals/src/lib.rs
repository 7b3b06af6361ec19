//! What the programs have in common: their environment, and the lines that they print.
//!
//! Each program subscribes to `notifications` and prints every message as a line of JSON. What its
//! client says about lost messages becomes a line too, of the type `lost`:
//!
//! - `by`: `event` for an item in the stream of messages, `beside` for an event on a channel of
//!   its own, `counter` for a number that the program has to ask for;
//! - `count`: how many messages are lost, where the client knows.
//!
//! Logs go to stderr, from `warn` on.

use serde_json::{Value, json};

pub const CHANNEL: &str = "notifications";

/// What the program is asked to do.
pub struct Task {
    pub url: String,
    /// With settings for this task instead of the client's defaults.
    pub tuned: bool,
    /// The shard channel of a cluster; the URL then lists several addresses with commas between.
    pub cluster: bool,
}

impl Task {
    pub fn read() -> anyhow::Result<Task> {
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
        let has = |flag: &str| std::env::args().any(|argument| argument == flag);
        Ok(Task {
            url: std::env::var("REDIS_URL")?,
            tuned: has("--tuned"),
            cluster: has("--sharded"),
        })
    }

    /// `host:port` of each node.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.url.split(',').map(|url| url.trim_start_matches("redis://"))
    }
}

pub fn message(data: &str) {
    println!("{}", json!({ "type": "message", "data": data }));
}

pub fn lost(by: &str, count: Option<u64>, reason: impl Into<Value>) {
    println!("{}", json!({ "type": "lost", "by": by, "count": count, "reason": reason.into() }));
}
