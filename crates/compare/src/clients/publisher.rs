//! Publishes numbered messages, and knows which of them Redis accepted.

use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};

use super::fault::{CHANNEL, Servers};
use crate::own_keys;

/// The time between two messages at the steady rate.
const INTERVAL: Duration = Duration::from_millis(50);
const FLOOD: u64 = 500_000;
const BATCH: u64 = 10_000;
/// The length of a message in the flood, in bytes.
const LENGTH: usize = 100;

#[derive(Default)]
pub(super) struct Publisher {
    /// The numbers of the messages that Redis accepted.
    pub published: Vec<u64>,
    pub next: u64,
    /// How many subscribers got the last message, as Redis counts.
    pub receivers: u64,
    connection: Option<MultiplexedConnection>,
    /// The messages that wait for an answer, by number.
    answers: JoinSet<(u64, RedisResult<u64>)>,
}

impl Publisher {
    /// Publishes at the steady rate for so long. Connects again whenever the connection breaks, and
    /// never waits for an answer.
    pub(super) async fn publish(&mut self, time: Duration, servers: &mut Servers) {
        let command = if let Servers::Single(..) = servers { "PUBLISH" } else { "SPUBLISH" };
        let publishing = async {
            let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
            loop {
                if self.connection.is_none() {
                    self.connection = connect(servers).await;
                }
                if let Some(mut connection) = self.connection.clone() {
                    let number = self.next;
                    self.next += 1;
                    let mut publish = redis::cmd(command);
                    publish.arg(CHANNEL).arg(number);
                    self.answers
                        .spawn(async move { (number, publish.query_async(&mut connection).await) });
                }
                ticks.tick().await;
                self.read_answers();
            }
        };
        let _: Result<(), _> = timeout(time, publishing).await;
    }

    /// Reads the answers that have arrived. An error ends the connection: in a cluster, the slot
    /// has moved.
    pub(super) fn read_answers(&mut self) {
        while let Some(answer) = self.answers.try_join_next() {
            match answer {
                Ok((number, Ok(receivers))) => {
                    self.published.push(number);
                    self.receivers = receivers;
                }
                _ => self.connection = None,
            }
        }
    }

    /// Publishes 500,000 messages as fast as Redis takes them.
    pub(super) async fn flood(&mut self) -> anyhow::Result<()> {
        let connection = self.connection.as_mut().context("not connected to Redis")?;
        for _ in 0..FLOOD / BATCH {
            let numbers = self.next..self.next + BATCH;
            let mut pipeline = redis::pipe();
            for number in numbers.clone() {
                pipeline.publish(CHANNEL, format!("{number:.<LENGTH$}"));
            }
            pipeline.exec_async(connection).await?;
            self.next = numbers.end;
            self.published.extend(numbers);
        }
        Ok(())
    }
}

async fn connect(servers: &mut Servers) -> Option<MultiplexedConnection> {
    let client = Client::open(servers.redis().ok()?.url()).ok()?;
    // A Redis that hangs may answer later.
    own_keys::connect(&client, None).await.ok()
}
