//! The bus of a cluster: how often its nodes pass on a published message, plain and sharded, and
//! the CPU that all nodes need for it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local_redis::{LocalCluster, PATIENCE, Server};
use redis::{Connection, Pipeline};

use crate::messages::{CHANNEL, payload};
use crate::paired::{in_turn, median, ratio};
use crate::programs::Bench;
use crate::report::{Report, Table, factor, grouped, micros};

/// Primaries and replicas. A single node, which uses no bus, comes first.
const CLUSTERS: [(usize, usize); 4] = [(1, 0), (3, 0), (6, 0), (3, 3)];
const SIZE: usize = 64;

/// Messages published together. The next ones follow when the subscriber has these: a backlog in
/// a node would cost CPU too.
const BATCH: usize = 100;

/// What all nodes have counted together, or their share for one message.
struct Counted {
    /// Published messages that came over the bus.
    received: f64,
    /// In seconds.
    cpu: f64,
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let batches = bench.pick(500, 2);
    let title = format!("Cluster: {} messages of {SIZE} bytes", grouped((batches * BATCH) as u64));
    let mut table = Table::new(&["", "sent on the bus", "CPU of all nodes", "× one node"]);
    if let Server::StandIn(_) = bench.server {
        table.missing("cluster", "there is no redis-server or valkey-server on the PATH");
        report.table("bus", &title, table);
        return Ok(());
    }
    eprintln!("{title}: starting the nodes ...");
    let mut clusters = Vec::new();
    for (primaries, replicas) in bench.pick(CLUSTERS.to_vec(), vec![CLUSTERS[0], CLUSTERS[3]]) {
        let name = match (primaries, replicas) {
            (1, _) => "one node".to_owned(),
            (_, 0) => format!("{primaries} primaries"),
            _ => format!("{primaries} primaries, {replicas} replicas"),
        };
        clusters.push((name, LocalCluster::start(primaries, replicas)?));
    }
    let both = |(name, cluster)| [(name, cluster, "plain"), (name, cluster, "sharded")];
    let contestants = clusters.iter().map(|(name, cluster)| (name, cluster)).flat_map(both);
    let runs = in_turn(&title, bench.pick(5, 1), contestants.collect(), |(_, cluster, way)| {
        cost(cluster, *way == "sharded", batches)
    })?;
    for (row, ((name, _, way), each)) in runs.iter().enumerate() {
        table.row([
            format!("{name}: {way}"),
            factor(median(each.iter().map(|run| run.received))),
            micros(median(each.iter().map(|run| run.cpu))),
            // The first two rows are one node: plain, and sharded.
            factor(ratio(each, &runs[row % 2].1, |run| run.cpu)),
        ]);
    }
    report.table("bus", &title, table);
    Ok(())
}

/// What one message costs all nodes.
fn cost(cluster: &LocalCluster, sharded: bool, batches: usize) -> anyhow::Result<Counted> {
    let (takes, delivers) = match sharded {
        // Two different nodes, if there are two, so that the message uses the bus.
        false => (0, 1 % cluster.size()),
        true => {
            let owner = cluster.owner(CHANNEL.channel)?.context("no node owns the channel")?;
            (owner, owner)
        }
    };
    let mut load = Load::connect(sharded, &cluster.url(takes), &cluster.url(delivers))?;
    // The first messages make the nodes allocate their buffers.
    load.publish(1)?;
    let before = settled(cluster)?;
    load.publish(batches)?;
    let after = settled(cluster)?;
    let each = |after, before| (after - before) / (batches * BATCH) as f64;
    Ok(Counted {
        received: each(after.received, before.received),
        cpu: each(after.cpu, before.cpu),
    })
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
    publisher: Connection,
    subscriber: Connection,
    batch: Pipeline,
    message: [String; 3],
}

impl Load {
    fn connect(sharded: bool, takes: &str, delivers: &str) -> anyhow::Result<Load> {
        let [publish, subscribe, message] = match sharded {
            false => ["PUBLISH", "SUBSCRIBE", "message"],
            true => ["SPUBLISH", "SSUBSCRIBE", "smessage"],
        };
        let publisher = redis::Client::open(takes)?.get_connection()?;
        let mut subscriber = redis::Client::open(delivers)?.get_connection()?;
        publisher.set_read_timeout(Some(PATIENCE))?;
        subscriber.set_read_timeout(Some(PATIENCE))?;
        redis::cmd(subscribe).arg(CHANNEL.channel).exec(&mut subscriber)?;
        let payload = payload(0, SIZE);
        let mut batch = Pipeline::with_capacity(BATCH);
        for _ in 0..BATCH {
            batch.cmd(publish).arg(CHANNEL.channel).arg(&payload);
        }
        let message = [message.to_owned(), CHANNEL.channel.to_owned(), payload];
        Ok(Load { publisher, subscriber, batch, message })
    }

    /// Publishes, and returns when the subscriber has everything.
    fn publish(&mut self, batches: usize) -> anyhow::Result<()> {
        for _ in 0..batches {
            self.batch.exec(&mut self.publisher)?;
            for _ in 0..BATCH {
                let received = self.subscriber.recv_response().context("messages are missing")?;
                let received: [String; 3] = redis::from_redis_value(received)?;
                ensure!(received == self.message, "received a message that was not published");
            }
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
