//! A Stream: a log that keeps each message until it is trimmed, and remembers for each group of
//! consumers who took what and has not acknowledged it.
//!
//! Commands: XADD with MAXLEN, which trims; XGROUP CREATE; XREADGROUP; XACK; XAUTOCLAIM to take
//! over what a dead consumer did not acknowledge.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use redis::AsyncTypedCommands;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimOptions, StreamId, StreamMaxlen, StreamReadOptions};

use crate::experiments::{Message, Way};
use crate::own_keys::OwnKeys;

/// How many messages the Stream keeps. A trimmed message is gone, even for a group that has not
/// read it yet. In production, keep more than arrives while a consumer is away.
const KEEP: usize = 20;

/// How long a message must have gone without an acknowledgement before another consumer may
/// claim it: in production longer than the slowest work takes, as the first consumer may still be
/// working.
const MIN_IDLE: Duration = Duration::from_millis(100);

pub(crate) struct Stream {
    stream: String,
    group: String,
    name: String,
    connection: MultiplexedConnection,
}

impl Way for Stream {
    async fn send(keys: &OwnKeys, text: &str) -> anyhow::Result<()> {
        // In production use `Approx`, which is cheaper: Redis then trims whole blocks only.
        let keep = StreamMaxlen::Equals(KEEP);
        keys.connection().xadd_maxlen(keys.name("stream"), keep, "*", &[("text", text)]).await?;
        Ok(())
    }

    async fn consumer(keys: &OwnKeys, group: &str, name: &str) -> anyhow::Result<Stream> {
        let stream = keys.name("stream");
        // From 0, a new group reads the whole Stream; from $, only new messages.
        match keys.connection().xgroup_create_mkstream(&stream, group, "0").await {
            // Another consumer has already created the group.
            Err(error) if error.code() == Some("BUSYGROUP") => {}
            created => created?,
        }
        // Not shared, since a connection that waits in XREADGROUP can do nothing else.
        let connection = keys.connect_consumer().await?;
        Ok(Stream { stream, group: group.to_owned(), name: name.to_owned(), connection })
    }

    fn receivers(consumers: &[(&str, &str)]) -> usize {
        consumers.iter().map(|(group, _)| group).collect::<BTreeSet<_>>().len()
    }

    async fn take(&mut self) -> anyhow::Result<Message> {
        // One, waiting for ever if there is none. `>` is what nobody of the group has got yet.
        let options = StreamReadOptions::default().group(&self.group, &self.name).count(1).block(0);
        let reply = self.connection.xread_options(&[&self.stream], &[">"], &options).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        message(entries.last().context("XREADGROUP did not wait")?)
    }

    async fn acknowledge(&mut self, message: &Message) -> anyhow::Result<()> {
        self.connection.xack(&self.stream, &self.group, &[&message.id]).await?;
        Ok(())
    }

    /// Redis knows which messages were not acknowledged and for how long, so nothing else has to
    /// track dead consumers.
    async fn claim(&mut self, _dead: &str) -> anyhow::Result<Vec<Message>> {
        tokio::time::sleep(MIN_IDLE).await;
        let (stream, group, name) = (&self.stream, &self.group, &self.name);
        let (idle, options) = (MIN_IDLE.as_millis() as u64, StreamAutoClaimOptions::default());
        let claim = self.connection.xautoclaim_options(stream, group, name, idle, "0-0", options);
        claim.await?.claimed.into_iter().map(message).collect()
    }
}

fn message(entry: StreamId) -> anyhow::Result<Message> {
    let text = entry.get("text").context("an entry without a text")?;
    Ok(Message { id: Some(entry.id), text })
}
