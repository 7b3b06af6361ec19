//! The bus of a cluster: how often its nodes pass on a published message, plain and sharded, and
//! the CPU that all nodes need for it.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};
use local_redis::{LocalCluster, Server};

use crate::messages::{CHANNEL, payload};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, connect};
use crate::report::{Report, Table, factor, grouped, micros};

/// Primaries and replicas. A single node, which uses no bus, comes first. A quick run measures the
/// first and the last.
const CLUSTERS: [(&str, usize, usize); 4] = [
    ("one node", 1, 0),
    ("3 primaries", 3, 0),
    ("6 primaries", 6, 0),
    ("3 primaries, 3 replicas", 3, 3),
];
const SIZE: usize = 64;

/// Messages published together. The next ones follow when the subscriber has these: a backlog in
/// a node would cost CPU too.
const BATCH: usize = 100;

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
    for (name, primaries, replicas) in CLUSTERS.into_iter().step_by(bench.pick(1, 3)) {
        clusters.push((name, LocalCluster::start(primaries, replicas)?));
    }
    let both = clusters.iter().flat_map(|it| [(it, "plain"), (it, "sharded")]).collect();
    let runs = in_turn(&title, bench.pick(5, 1), both, |((_, cluster), way)| {
        cost(cluster, *way == "sharded", batches)
    })?;
    for (row, (((name, _), way), each)) in runs.iter().enumerate() {
        table.row([
            format!("{name}: {way}"),
            factor(median(each.iter().map(|(received, _)| *received))),
            micros(median(each.iter().map(|(_, cpu)| *cpu))),
            // The first two rows are one node: plain, and sharded.
            factor(ratio(each, &runs[row % 2].1, |(_, cpu)| *cpu)),
        ]);
    }
    report.table("bus", &title, table);
    Ok(())
}

/// How often a message is sent on the bus, and the CPU that all nodes need for it, in seconds.
fn cost(cluster: &LocalCluster, sharded: bool, batches: usize) -> anyhow::Result<(f64, f64)> {
    let (channel, payload) = (CHANNEL.channel, payload(0, SIZE));
    let [publish, subscribe, message] = match sharded {
        false => ["PUBLISH", "SUBSCRIBE", "message"],
        true => ["SPUBLISH", "SSUBSCRIBE", "smessage"],
    };
    let (publish_at, subscribe_at) = match sharded {
        // Two different nodes, if there are two, so that the message uses the bus.
        false => (0, 1 % cluster.size()),
        true => {
            let owner = cluster.owner(channel)?.context("no node owns the channel")?;
            (owner, owner)
        }
    };
    let mut publisher = connect(&cluster.url(publish_at))?;
    let mut subscriber = connect(&cluster.url(subscribe_at))?;
    redis::cmd(subscribe).arg(channel).exec(&mut subscriber)?;
    let mut batch = redis::pipe();
    for _ in 0..BATCH {
        batch.cmd(publish).arg(channel).arg(&payload);
    }
    let mut publish = |batches| -> anyhow::Result<(f64, f64)> {
        for _ in 0..batches {
            batch.exec(&mut publisher)?;
            for _ in 0..BATCH {
                let received = subscriber.recv_response().context("messages are missing")?;
                let received: [String; 3] = redis::from_redis_value(received)?;
                ensure!(received == [message, channel, &payload], "received {received:?}");
            }
        }
        // The nodes without a subscriber may still read the last batch. How many messages that makes
        // depends on the server, so this waits until the number stays the same.
        let mut before = counted(cluster)?;
        loop {
            sleep(Duration::from_millis(50));
            let now = counted(cluster)?;
            if now.0 == before.0 {
                return Ok(now);
            }
            before = now;
        }
    };
    // The first messages make the nodes allocate their buffers.
    let before = publish(1)?;
    let after = publish(batches)?;
    let each = |after: f64, before: f64| (after - before) / (batches * BATCH) as f64;
    Ok((each(after.0, before.0), each(after.1, before.1)))
}

/// How many messages have arrived over the bus, and the CPU of all nodes in seconds.
fn counted(cluster: &LocalCluster) -> anyhow::Result<(f64, f64)> {
    let (mut received, mut cpu) = (0.0, 0.0);
    for node in 0..cluster.size() {
        let info = cluster.ask(node, "CLUSTER INFO")? + &cluster.ask(node, "INFO cpu")?;
        for kind in ["publish", "publishshard"] {
            let name = format!("cluster_stats_messages_{kind}_received");
            // Redis omits counters that are zero.
            received += field(&info, &name).unwrap_or_default();
        }
        for name in ["used_cpu_user", "used_cpu_sys"] {
            cpu += field(&info, name).with_context(|| format!("INFO has no {name}"))?;
        }
    }
    Ok((received, cpu))
}

/// The number in a line of `INFO` or `CLUSTER INFO`.
fn field(info: &str, name: &str) -> Option<f64> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
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
