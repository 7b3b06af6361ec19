//! Publishes numbered messages, and knows which of them Redis accepted.

use std::time::Duration;

use anyhow::Context;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::codec::{Framed, LinesCodec};

use super::fault::{CHANNEL, Servers};

/// The time between two messages at the steady rate.
const INTERVAL: Duration = Duration::from_millis(50);
const FLOOD: u64 = 500_000;
const BATCH: usize = 10_000;
/// The length of a message in the flood, in bytes.
const LENGTH: usize = 100;

#[derive(Default)]
pub(super) struct Publisher {
    /// The numbers of the messages that Redis accepted.
    pub published: Vec<u64>,
    /// The number of the next message.
    pub next: u64,
    /// The number of subscribers that got the last message, as Redis counts.
    pub receivers: u64,
    /// The command that publishes comes with it.
    connection: Option<(Framed<TcpStream, LinesCodec>, &'static str)>,
    /// The number of the next message to be answered.
    answered: u64,
}

impl Publisher {
    /// Publishes at the steady rate, for ever. Connects again whenever the connection breaks, and
    /// never waits for an answer. A later call continues where an earlier one was dropped.
    pub(super) async fn publish(&mut self, servers: &Servers) {
        loop {
            if self.connection.is_none() {
                self.connection = connect(servers).await;
                self.answered = self.next;
            }
            if let Some((stream, command)) = &mut self.connection {
                let line = format!("{command} {CHANNEL} {}", self.next);
                self.next += 1;
                // An error shows when the answers are read.
                let _ = stream.send(line).await;
            }
            sleep(INTERVAL).await;
            self.read_answers();
        }
    }

    /// Reads the answers that have arrived. Anything but a number ends the connection: in a
    /// cluster, the slot has moved.
    pub(super) fn read_answers(&mut self) {
        while let Some((stream, _)) = &mut self.connection
            && let Some(answer) = stream.next().now_or_never()
        {
            let answer = answer.and_then(Result::ok);
            match answer.and_then(|answer| answer.strip_prefix(':')?.parse().ok()) {
                Some(receivers) => {
                    self.receivers = receivers;
                    self.published.push(self.answered);
                    self.answered += 1;
                }
                None => self.connection = None,
            }
        }
    }

    /// Publishes 500,000 messages as fast as Redis takes them, and blocks meanwhile.
    pub(super) fn flood(&mut self, servers: &Servers) -> anyhow::Result<()> {
        let (address, _) = servers.publish_at().context("there is no Redis")?;
        let mut connection = redis::Client::open(format!("redis://{address}"))?.get_connection()?;
        let first = self.next;
        self.next += FLOOD;
        for number in (first..self.next).step_by(BATCH) {
            let mut pipeline = redis::pipe();
            for number in number..number + BATCH as u64 {
                pipeline.publish(CHANNEL, format!("{number:.<LENGTH$}"));
            }
            pipeline.exec(&mut connection)?;
        }
        self.published.extend(first..self.next);
        // The next steady message needs a new connection: the answers on this one would be counted
        // for the messages of the flood.
        self.connection = None;
        Ok(())
    }
}

async fn connect(servers: &Servers) -> Option<(Framed<TcpStream, LinesCodec>, &'static str)> {
    let (address, command) = servers.publish_at()?;
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some((Framed::new(stream, LinesCodec::new()), command))
}
