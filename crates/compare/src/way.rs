//! What the experiments need of a way of sending, and what `pubsub.rs`, `list.rs` and `stream.rs`
//! make of it.

/// A way of sending.
pub trait Way {
    type Consumer: Consumer;

    async fn send(&mut self, text: &str) -> anyhow::Result<()>;

    /// A consumer on a connection of its own. When this returns it gets what is sent.
    async fn consumer(&mut self, group: &str, name: &str) -> anyhow::Result<Self::Consumer>;
}

pub trait Consumer {
    /// The next message, waiting for it if there is none.
    async fn take(&mut self) -> anyhow::Result<Message>;

    /// Says that a message was dealt with.
    async fn acknowledge(&mut self, message: &Message) -> anyhow::Result<()>;

    /// Takes over what the dead consumer took and never acknowledged.
    async fn claim(&mut self, dead: &str) -> anyhow::Result<Vec<Message>>;
}

pub struct Message {
    /// Only a Stream gives one.
    pub id: Option<String>,
    pub text: String,
}
