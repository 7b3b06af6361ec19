//! A List as a queue: it holds each message until one consumer takes it.
//!
//! Commands: LPUSH; BLMOVE from the queue to a list of what this consumer is working on; LREM
//! from there when the work is done; LMOVE to take over what a dead consumer was working on.

use redis::AsyncCommands;
use redis::Direction::{Left, Right};
use redis::aio::MultiplexedConnection;

use crate::experiments::{Message, Way};
use crate::own_keys::OwnKeys;

pub(crate) struct List {
    queue: String,
    /// Each worker has its own list of work in progress, so that others can find what a dead
    /// worker did not finish.
    processing: String,
    connection: MultiplexedConnection,
}

impl Way for List {
    async fn send(keys: &OwnKeys, text: &str) -> anyhow::Result<()> {
        Ok(keys.connection().lpush(keys.name("queue"), text).await?)
    }

    /// A List has no groups: each message goes to one worker only.
    async fn consumer(keys: &OwnKeys, _group: &str, name: &str) -> anyhow::Result<List> {
        Ok(List {
            queue: keys.name("queue"),
            processing: keys.name(&format!("queue:processing:{name}")),
            // Not shared, since a connection that waits in BLMOVE can do nothing else.
            connection: keys.connect_consumer().await?,
        })
    }

    fn receivers(_: &[(&str, &str)]) -> usize {
        1
    }

    async fn take(&mut self) -> anyhow::Result<Message> {
        // In from the left and out at the right: the oldest first. Moved and not popped, so that
        // at every moment the message is in one list or the other. 0 is to wait for ever.
        let text = self.connection.blmove(&self.queue, &self.processing, Right, Left, 0.0).await?;
        Ok(Message { id: None, text })
    }

    async fn acknowledge(&mut self, message: &Message) -> anyhow::Result<()> {
        // Elements of a List have no ids, so LREM finds the message by its text.
        Ok(self.connection.lrem(&self.processing, 1, &message.text).await?)
    }

    /// Redis does not know the workers, so the caller has to know that this one is dead.
    async fn claim(&mut self, dead: &str) -> anyhow::Result<Vec<Message>> {
        let left = format!("{}:processing:{dead}", self.queue);
        let mut claimed = Vec::new();
        while let Some(text) = self.connection.lmove(&left, &self.processing, Right, Left).await? {
            claimed.push(Message { id: None, text });
        }
        Ok(claimed)
    }
}
