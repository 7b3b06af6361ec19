//! A List as a queue: it holds each message until one consumer takes it.
//!
//! Commands: LPUSH; BLMOVE from the queue to a list of what this consumer is working on; LREM
//! from there when the work is done; LMOVE to take over what a dead consumer was working on.

use anyhow::Context;
use redis::AsyncTypedCommands;
use redis::Direction::{Left, Right};
use redis::aio::MultiplexedConnection;

use crate::experiments::{Consumer, Message, Way};
use crate::own_keys::OwnKeys;

pub(crate) struct List;

impl Way for List {
    type Consumer = Worker;

    async fn send(keys: &OwnKeys, text: &str) -> anyhow::Result<()> {
        keys.connection().lpush(keys.name("queue"), text).await?;
        Ok(())
    }

    /// A List has no groups: each message goes to one worker only.
    async fn consumer(keys: &OwnKeys, _group: &str, name: &str) -> anyhow::Result<Worker> {
        Ok(Worker {
            queue: keys.name("queue"),
            processing: keys.name(&processing("queue", name)),
            // Not shared, since a connection that waits in BLMOVE can do nothing else.
            connection: keys.connect_consumer().await?,
        })
    }

    fn receivers(_: &[(&str, &str)]) -> usize {
        1
    }
}

/// Each worker has its own list of work in progress, so that others can find what a dead worker did
/// not finish.
fn processing(queue: &str, worker: &str) -> String {
    format!("{queue}:processing:{worker}")
}

pub(crate) struct Worker {
    queue: String,
    processing: String,
    connection: MultiplexedConnection,
}

impl Consumer for Worker {
    async fn take(&mut self) -> anyhow::Result<Message> {
        // In from the left and out at the right: the oldest first. Moved and not popped, so that
        // at every moment the message is in one list or the other. 0 is to wait for ever.
        let text = self.connection.blmove(&self.queue, &self.processing, Right, Left, 0.0).await?;
        Ok(Message { id: None, text: text.context("BLMOVE did not wait")? })
    }

    async fn acknowledge(&mut self, message: &Message) -> anyhow::Result<()> {
        // Elements of a List have no ids, so LREM finds the message by its text.
        self.connection.lrem(&self.processing, 1, &message.text).await?;
        Ok(())
    }

    /// Redis does not know the workers, so the caller has to know that this one is dead.
    async fn claim(&mut self, dead: &str) -> anyhow::Result<Vec<Message>> {
        let left = processing(&self.queue, dead);
        // Not the typed `lmove`, for which an empty list is an error (redis 1.8).
        let mut lmove = redis::cmd("LMOVE");
        lmove.arg(&left).arg(&self.processing).arg("RIGHT").arg("LEFT");
        let mut claimed = Vec::new();
        while let Some(text) = lmove.query_async(&mut self.connection).await? {
            claimed.push(Message { id: None, text });
        }
        Ok(claimed)
    }
}
