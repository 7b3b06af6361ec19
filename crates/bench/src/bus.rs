//! The bus of a cluster: how often its nodes pass on a published message, plain and sharded, and
//! the CPU that all nodes need for it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Sub;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local_redis::{LocalCluster, PATIENCE, Server};

use crate::messages::{CHANNEL, payload};
use crate::paired::{in_turn, median, ratio};
use crate::readers::Bench;
use crate::report::{Report, Table, factor, grouped, micros};
use crate::resp::{Integers, command, connect, push};

/// Primaries and replicas. A single node, which uses no bus, comes first.
const CLUSTERS: [(usize, usize); 4] = [(1, 0), (3, 0), (6, 0), (3, 3)];
const SIZE: usize = 64;

/// Messages published together. The next ones follow when the subscriber has these: a backlog in
/// a node would cost CPU too.
const BATCH: usize = 100;

/// What the nodes have counted, added up.
#[derive(Clone, Copy, PartialEq)]
struct Counted {
    /// Published messages that came over the bus.
    received: f64,
    /// In seconds.
    cpu: f64,
}

impl Sub for Counted {
    type Output = Counted;

    fn sub(self, before: Counted) -> Counted {
        Counted { received: self.received - before.received, cpu: self.cpu - before.cpu }
    }
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let batches = bench.pick(500, 2);
    let count = batches * BATCH;
    let title = format!("Cluster: {} messages of {SIZE} bytes", grouped(count as u64));
    let header = ["", "sent on the bus", "CPU of all nodes", "× one node"];
    let mut table = Table::new(&header);
    if let Server::StandIn(_) = bench.server {
        table.missing("cluster", "there is no redis-server or valkey-server on the PATH");
        report.table("bus", &title, table);
        return Ok(());
    }
    eprintln!("{title}: starting the nodes ...");
    let mut contestants = Vec::new();
    let mut clusters = Vec::new();
    for (primaries, replicas) in bench.pick(CLUSTERS.to_vec(), vec![CLUSTERS[0], CLUSTERS[3]]) {
        let name = match (primaries, replicas) {
            (1, _) => "one node".to_owned(),
            (_, 0) => format!("{primaries} primaries"),
            _ => format!("{primaries} primaries, {replicas} replicas"),
        };
        contestants.extend([false, true].map(|sharded| (clusters.len(), name.clone(), sharded)));
        clusters.push(LocalCluster::start(primaries, replicas)?);
    }
    let runs = in_turn(&title, bench.pick(5, 1), &contestants, |(cluster, _, sharded)| {
        cost(&mut clusters[*cluster], *sharded, batches)
    })?;
    for ((_, name, sharded), each) in &runs {
        let way = if *sharded { "sharded" } else { "plain" };
        table.row([
            format!("{name}: {way}"),
            factor(median(each.iter().map(|run| run.received))),
            micros(median(each.iter().map(|run| run.cpu))),
            factor(ratio(each, &runs[usize::from(*sharded)].1, |run| run.cpu)),
        ]);
    }
    report.table("bus", &title, table);
    Ok(())
}

/// What one message costs all nodes.
fn cost(cluster: &mut LocalCluster, sharded: bool, batches: usize) -> anyhow::Result<Counted> {
    let (takes, delivers) = match sharded {
        // Two different nodes, if there are two, so that the message uses the bus.
        false => (0, 1 % cluster.size()),
        true => {
            let owner = cluster.owner(CHANNEL)?.context("no node owns the channel")?;
            (owner, owner)
        }
    };
    let mut load =
        Load::connect(sharded, cluster.node(takes).port(), cluster.node(delivers).port())?;
    // The first messages make the nodes allocate their buffers.
    load.publish(1)?;
    let before = settled(cluster)?;
    load.publish(batches)?;
    let spent = settled(cluster)? - before;
    let each = (batches * BATCH) as f64;
    Ok(Counted { received: spent.received / each, cpu: spent.cpu / each })
}

/// Waits until nothing more arrives over the bus. (Not for as many as were sent: Valkey counted
/// its light messages only where they arrive, at first.)
fn settled(cluster: &LocalCluster) -> anyhow::Result<Counted> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = counted(cluster)?;
    loop {
        sleep(Duration::from_millis(50));
        let now = counted(cluster)?;
        if now.received == before.received {
            return Ok(now);
        }
        ensure!(Instant::now() < deadline, "messages still arrive over the bus");
        before = now;
    }
}

fn counted(cluster: &LocalCluster) -> anyhow::Result<Counted> {
    let mut sum = Counted { received: 0.0, cpu: 0.0 };
    for node in 0..cluster.size() {
        let bus = cluster.ask(node, "CLUSTER INFO")?;
        let cpu = cluster.ask(node, "INFO cpu")?;
        for kind in ["publish", "publishshard"] {
            let name = format!("cluster_stats_messages_{kind}_received");
            // Redis omits counters that are zero.
            sum.received += field(&bus, &name).unwrap_or_default();
        }
        for name in ["used_cpu_user", "used_cpu_sys"] {
            sum.cpu += field(&cpu, name).with_context(|| format!("INFO has no {name}"))?;
        }
    }
    Ok(sum)
}

/// The number in a line of `INFO` or `CLUSTER INFO`.
fn field(info: &str, name: &str) -> Option<f64> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
}

/// A publisher and a subscriber.
struct Load {
    publisher: TcpStream,
    subscriber: TcpStream,
    /// A batch, as it is published and as it is received.
    commands: Vec<u8>,
    messages: Vec<u8>,
}

impl Load {
    fn connect(sharded: bool, takes: u16, delivers: u16) -> anyhow::Result<Load> {
        let [publish, subscribe, message]: [&[u8]; 3] = match sharded {
            false => [b"PUBLISH", b"SUBSCRIBE", b"message"],
            true => [b"SPUBLISH", b"SSUBSCRIBE", b"smessage"],
        };
        let (channel, payload) = (CHANNEL.as_bytes(), payload(0, SIZE));
        let (publisher, mut subscriber) = (connect(takes)?, connect(delivers)?);
        publisher.set_read_timeout(Some(PATIENCE))?;
        subscriber.set_read_timeout(Some(PATIENCE))?;
        let mut sent = Vec::new();
        command(&mut sent, &[subscribe, channel]);
        subscriber.write_all(&sent)?;
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while push(&answer)?.is_none() {
            subscriber.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        let batch = |words: &[&[u8]]| {
            let mut one = Vec::new();
            command(&mut one, words);
            one.repeat(BATCH)
        };
        let commands = batch(&[publish, channel, payload.as_bytes()]);
        // Redis encodes a push (in RESP2) in the same way as a command.
        let messages = batch(&[message, channel, payload.as_bytes()]);
        Ok(Load { publisher, subscriber, commands, messages })
    }

    /// Publishes, and returns when the subscriber has everything.
    fn publish(&mut self, batches: usize) -> anyhow::Result<()> {
        let mut answer = [0; 4096];
        let mut received = vec![0; self.messages.len()];
        for _ in 0..batches {
            self.publisher.write_all(&self.commands)?;
            let mut answers = Integers::default();
            while answers.count < BATCH as u64 {
                let read = self.publisher.read(&mut answer)?;
                ensure!(read > 0, "Redis closed the connection");
                answers.read(&answer[..read])?;
            }
            self.subscriber.read_exact(&mut received).context("messages are missing")?;
            ensure!(received == self.messages, "received messages that were not published");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_info() {
        let info = "used_cpu_sys_children:1\r\nused_cpu_sys:0.5\r\n";
        assert_eq!(field(info, "used_cpu_sys"), Some(0.5));
        assert_eq!(field(info, "used_cpu"), None);
    }
}
