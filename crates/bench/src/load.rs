//! What is published in a cluster, and received: the same messages over and over, plain or sharded.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, ensure};
use local_redis::PATIENCE;

use crate::messages::{CHANNEL, filler};
use crate::resp::{Integers, command, connect, push};

pub const SIZE: usize = 64;

/// How many messages are published together. The next ones follow when the subscribers have these:
/// what is faster than the bus only waits in a node, where moving it costs CPU.
pub const BATCH: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Plain,
    Sharded,
}

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Plain => "plain",
            Way::Sharded => "sharded",
        }
    }

    /// To publish, to subscribe, and what a subscriber gets.
    fn words(self) -> [&'static [u8]; 3] {
        match self {
            Way::Plain => [b"PUBLISH", b"SUBSCRIBE", b"message"],
            Way::Sharded => [b"SPUBLISH", b"SSUBSCRIBE", b"smessage"],
        }
    }
}

/// One publisher, and subscribers at one node.
pub struct Load {
    publisher: TcpStream,
    subscribers: Vec<TcpStream>,
    /// A batch, as it is sent and as it is received.
    commands: Vec<u8>,
    messages: Vec<u8>,
}

impl Load {
    pub fn connect(
        way: Way,
        takes: u16,
        delivers: u16,
        subscribers: usize,
    ) -> anyhow::Result<Load> {
        let [publish, subscribe, message] = way.words();
        let (channel, payload) = (CHANNEL.as_bytes(), filler(SIZE));
        let open = |port| -> anyhow::Result<TcpStream> {
            let stream = connect(port)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let subscribed = |_| -> anyhow::Result<TcpStream> {
            let mut stream = open(delivers)?;
            let mut sent = Vec::new();
            command(&mut sent, &[subscribe, channel]);
            stream.write_all(&sent)?;
            let (mut answer, mut byte) = (Vec::new(), [0]);
            while push(&answer)?.is_none() {
                stream.read_exact(&mut byte)?;
                answer.push(byte[0]);
            }
            Ok(stream)
        };
        let batch = |words: &[&[u8]]| {
            let mut one = Vec::new();
            command(&mut one, words);
            one.repeat(BATCH as usize)
        };
        Ok(Load {
            publisher: open(takes)?,
            subscribers: (0..subscribers).map(subscribed).collect::<Result<_, _>>()?,
            commands: batch(&[publish, channel, payload.as_bytes()]),
            // Redis writes it as a command is written.
            messages: batch(&[message, channel, payload.as_bytes()]),
        })
    }

    /// Returns when the subscribers have all of them.
    pub fn publish(&mut self, count: u64) -> anyhow::Result<()> {
        let mut answer = [0; 4096];
        let mut received = vec![0; self.messages.len()];
        for _ in 0..count / BATCH {
            self.publisher.write_all(&self.commands)?;
            let mut answers = Integers::default();
            while answers.answers < BATCH {
                let read = self.publisher.read(&mut answer)?;
                ensure!(read > 0, "Redis has closed the connection");
                answers.read(&answer[..read], |_| ())?;
            }
            for subscriber in &mut self.subscribers {
                subscriber.read_exact(&mut received).context("messages are missing")?;
                ensure!(received == self.messages, "other messages than those published");
            }
        }
        Ok(())
    }
}
