//! The interface that the experiments use; `pubsub.rs`, `list.rs` and `stream.rs` implement it.

use crate::own_keys::OwnKeys;

/// A way of sending.
pub(crate) trait Way {
    type Consumer: Consumer;

    async fn send(keys: &OwnKeys, text: &str) -> anyhow::Result<()>;

    /// A consumer on its own connection. Once this returns, it receives what is sent.
    async fn consumer(keys: &OwnKeys, group: &str, name: &str) -> anyhow::Result<Self::Consumer>;
}

pub(crate) trait Consumer {
    /// The next message, waiting for it if there is none.
    async fn take(&mut self) -> anyhow::Result<Message>;

    /// Confirms that the work on a message is done.
    async fn acknowledge(&mut self, message: &Message) -> anyhow::Result<()>;

    /// Takes over what the dead consumer took and never acknowledged.
    async fn claim(&mut self, dead: &str) -> anyhow::Result<Vec<Message>>;
}

pub(crate) struct Message {
    /// Only a Stream gives one.
    pub id: Option<String>,
    pub text: String,
}
