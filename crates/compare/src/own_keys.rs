//! Keys on a Redis that others may use: all under one prefix, and removed at the end.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use pubsub::Publisher;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, AsyncTypedCommands, Client, ValueType};

/// For commands that are not meant to block.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Remembers every name it hands out, and removes those keys at the end. (A search for the prefix
/// would walk through all keys of the Redis.)
pub(crate) struct OwnKeys {
    pub url: String,
    pub publisher: Publisher,
    pub client: Client,
    connection: MultiplexedConnection,
    prefix: String,
    names: RefCell<BTreeSet<String>>,
}

impl OwnKeys {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<OwnKeys> {
        // This goes first because its errors are clear and never show a password.
        let publisher = Publisher::connect(url).await?;
        let client = Client::open(url).context("not a Redis URL")?;
        let connection = connect(&client, Some(ANSWER_TIMEOUT)).await?;
        let prefix = format!("compare:{:08x}:", rand::random::<u32>());
        let url = url.to_owned();
        Ok(OwnKeys { url, publisher, client, connection, prefix, names: RefCell::default() })
    }

    /// The name under the prefix, for a key or a channel.
    pub(crate) fn name(&self, name: &str) -> String {
        let name = format!("{}{name}", self.prefix);
        self.names.borrow_mut().insert(name.clone());
        name
    }

    /// The only connection that creates keys. It also removes them, so a message that was on its
    /// way at Ctrl+C cannot arrive after the removal.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// A connection for a consumer, which may block for ever. It only moves or reads existing
    /// messages, so it leaves no key behind.
    pub(crate) async fn connect_consumer(&self) -> anyhow::Result<MultiplexedConnection> {
        connect(&self.client, None).await
    }

    /// Counts what Redis holds under the names handed out: keys, messages, bytes.
    pub(crate) async fn left(&self) -> anyhow::Result<[u64; 3]> {
        let mut connection = self.connection();
        let mut left = [0; 3];
        let names = self.names.borrow().clone();
        for name in names {
            let messages = match connection.key_type(&name).await? {
                ValueType::None => continue,
                ValueType::List => connection.llen(&name).await?,
                _ => connection.xlen(&name).await?,
            };
            // SAMPLES 0 measures all elements; the default estimates from five.
            let usage = ["USAGE", &name, "SAMPLES", "0"];
            let bytes: u64 = redis::cmd("MEMORY").arg(&usage).query_async(&mut connection).await?;
            left = [left[0] + 1, left[1] + messages as u64, left[2] + bytes];
        }
        Ok(left)
    }

    /// Removes all of them. Consumers must have been dropped before.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        let names = self.names.borrow().clone();
        if names.is_empty() {
            return Ok(());
        }
        // In one command. Otherwise a message could move to a list that was already removed.
        if self.connection().unlink(&names).await.is_err() {
            // That connection may be the one that failed.
            let cannot = || format!("cannot remove the keys {}*", self.prefix);
            let connection = connect(&self.client, Some(ANSWER_TIMEOUT)).await;
            connection.with_context(cannot)?.unlink(&names).await.with_context(cannot)?;
        }
        Ok(())
    }
}

pub(crate) async fn connect(
    client: &Client,
    answer_timeout: Option<Duration>,
) -> anyhow::Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(answer_timeout);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    connecting.await.context("cannot connect to Redis")
}
