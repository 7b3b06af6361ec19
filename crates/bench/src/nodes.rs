//! The nodes of a cluster, what they count, and what of that comes from published messages.

use std::ops::Sub;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local_redis::{LocalCluster, PATIENCE};

use crate::load::{BATCH, Load, Way};
use crate::messages::CHANNEL;
use crate::paired::median;

/// A running cluster.
pub struct Nodes {
    cluster: LocalCluster,
    /// Process id and port of each.
    processes: Vec<(u32, u16)>,
    calm: Calm,
}

/// When nothing is published.
#[derive(Default)]
struct Calm {
    /// Bytes of a heartbeat, where they are known.
    heartbeat: Option<f64>,
    /// CPU of each node, in seconds a second.
    cpu: Vec<f64>,
}

/// What a node has counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    /// Published messages that it sent to other nodes and got from them.
    sent: f64,
    received: f64,
    /// What else it sent to them: heartbeats.
    heartbeats: f64,
    /// All that it wrote to them, where it is known.
    bytes: Option<f64>,
    /// In seconds.
    cpu: f64,
}

/// What a published message costs.
pub struct Cost {
    /// On the bus.
    pub messages: f64,
    pub bytes: Option<f64>,
    /// Seconds of CPU at the node where it is published, at the one that has the subscriber (if
    /// that is another), at each further one that gets it, and at all nodes together.
    pub takes: f64,
    pub delivers: Option<f64>,
    pub gets: Option<f64>,
    pub all: f64,
}

impl Nodes {
    /// So long they are watched before anything is published.
    pub fn start(primaries: usize, replicas: usize, calm: Duration) -> anyhow::Result<Nodes> {
        let mut cluster = LocalCluster::start(primaries, replicas)?;
        let processes = (0..cluster.size()).map(|number| {
            let node = cluster.node(number);
            (node.process().id(), node.port())
        });
        let processes = processes.collect();
        let mut nodes = Nodes { cluster, processes, calm: Calm::default() };
        let before = nodes.look()?;
        let start = Instant::now();
        sleep(calm);
        let spent = since(&before, nodes.look()?);
        let seconds = start.elapsed().as_secs_f64();
        let heartbeats: f64 = spent.iter().map(|node| node.heartbeats).sum();
        nodes.calm.heartbeat = bytes(&spent).map(|bytes| bytes / heartbeats.max(1.0));
        nodes.calm.cpu = spent.iter().map(|node| node.cpu / seconds).collect();
        Ok(nodes)
    }

    /// What each message costs, the median of some rounds.
    pub fn cost(
        &self,
        way: Way,
        subscribers: usize,
        count: u64,
        rounds: usize,
    ) -> anyhow::Result<Cost> {
        let runs: Result<Vec<_>, _> =
            (0..rounds).map(|_| self.round(way, subscribers, count)).collect();
        let runs = runs?;
        let of = |figure: fn(&Cost) -> Option<f64>| median(runs.iter().filter_map(figure));
        Ok(Cost {
            messages: of(|run| Some(run.messages)).context("no round")?,
            bytes: of(|run| run.bytes),
            takes: of(|run| Some(run.takes)).context("no round")?,
            delivers: of(|run| run.delivers),
            gets: of(|run| run.gets),
            all: of(|run| Some(run.all)).context("no round")?,
        })
    }

    fn round(&self, way: Way, subscribers: usize, count: u64) -> anyhow::Result<Cost> {
        let (takes, delivers) = match way {
            // Another node, if there is one: the bus is between them.
            Way::Plain => (0, 1 % self.processes.len()),
            Way::Sharded => {
                let owner = self.cluster.owner(CHANNEL)?.context("nobody owns the channel")?;
                (owner, owner)
            }
        };
        let port = |node: usize| self.processes[node].1;
        let mut load = Load::connect(way, port(takes), port(delivers), subscribers)?;
        // The first ones make both ends find their memory.
        load.publish(BATCH)?;
        let before = self.settled()?;
        let start = Instant::now();
        load.publish(count)?;
        let spent = since(&before, self.settled()?);
        let seconds = start.elapsed().as_secs_f64();

        Ok(Cost::of(count, &spent, &self.calm, seconds, takes, delivers))
    }

    /// What the nodes have counted, as soon as all that was published has come to where it was
    /// sent.
    fn settled(&self) -> anyhow::Result<Vec<Counted>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let look = self.look()?;
            let sum = |of: fn(&Counted) -> f64| look.iter().map(of).sum::<f64>();
            let (sent, received) = (sum(|node| node.sent), sum(|node| node.received));
            if sent == received {
                return Ok(look);
            }
            ensure!(Instant::now() < deadline, "sent on the bus {sent}, received {received}");
            sleep(Duration::from_millis(5));
        }
    }

    fn look(&self) -> anyhow::Result<Vec<Counted>> {
        (0..self.processes.len()).map(|node| self.counted(node)).collect()
    }

    fn counted(&self, node: usize) -> anyhow::Result<Counted> {
        let cluster = self.cluster.ask(node, "CLUSTER INFO")?;
        let info = self.cluster.ask(node, "INFO")?;
        // Kinds of which there were none are not named.
        let messages = |what: &str| {
            field(&cluster, &format!("cluster_stats_messages_{what}")).unwrap_or_default()
        };
        let of_info = |name: &str| {
            field(&info, name).with_context(|| format!("INFO of node {node} has no {name}"))
        };
        let sent = messages("publish_sent") + messages("publishshard_sent");
        // To clients and replicas; Redis does not count what it writes to the bus.
        let to_others = of_info("total_net_output_bytes")?;
        Ok(Counted {
            sent,
            received: messages("publish_received") + messages("publishshard_received"),
            heartbeats: messages("sent") - sent,
            bytes: written(self.processes[node].0).map(|all| all - to_others),
            cpu: of_info("used_cpu_user")? + of_info("used_cpu_sys")?,
        })
    }
}

impl Cost {
    /// Of each of so many messages, by what the nodes have counted in so many seconds.
    fn of(
        count: u64,
        spent: &[Counted],
        calm: &Calm,
        seconds: f64,
        takes: usize,
        delivers: usize,
    ) -> Cost {
        let each = |figure: f64| figure / count as f64;
        let sum = |of: fn(&Counted) -> f64| spent.iter().map(of).sum::<f64>();
        let heartbeats = calm.heartbeat.map(|size| size * sum(|node| node.heartbeats));
        let cpu = |node: usize| each(spent[node].cpu - calm.cpu[node] * seconds);
        let getting = (0..spent.len()).filter(|&node| node != takes && node != delivers);
        let getting: Vec<_> = getting.filter(|&node| spent[node].received > 0.0).map(cpu).collect();
        Cost {
            messages: each(sum(|node| node.sent)),
            bytes: bytes(spent).zip(heartbeats).map(|(all, heartbeats)| each(all - heartbeats)),
            takes: cpu(takes),
            delivers: (takes != delivers).then(|| cpu(delivers)),
            gets: (!getting.is_empty()).then(|| getting.iter().sum::<f64>() / getting.len() as f64),
            all: (0..spent.len()).map(cpu).sum(),
        }
    }
}

impl Sub for Counted {
    type Output = Counted;

    fn sub(self, before: Counted) -> Counted {
        Counted {
            sent: self.sent - before.sent,
            received: self.received - before.received,
            heartbeats: self.heartbeats - before.heartbeats,
            bytes: self.bytes.zip(before.bytes).map(|(now, before)| now - before),
            cpu: self.cpu - before.cpu,
        }
    }
}

fn since(before: &[Counted], now: Vec<Counted>) -> Vec<Counted> {
    now.into_iter().zip(before).map(|(now, before)| now - *before).collect()
}

fn bytes(nodes: &[Counted]) -> Option<f64> {
    nodes.iter().map(|node| node.bytes).sum()
}

/// The number in a line of `INFO` or `CLUSTER INFO`.
fn field(info: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok();
    info.lines().find_map(value)
}

/// All bytes that a process has written, to sockets too; nothing where there is no `/proc`.
fn written(process: u32) -> Option<f64> {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    field(&io.replace(": ", ":"), "wchar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_info() {
        let info =
            "cluster_stats_messages_sent:7\r\nused_cpu_sys_children:1\r\nused_cpu_sys:0.5\r\n";
        assert_eq!(field(info, "used_cpu_sys"), Some(0.5));
        assert_eq!(field(info, "cluster_stats_messages_sent"), Some(7.0));
        assert_eq!(field(info, "cluster_stats_messages"), None);
    }
    #[test]
    fn what_a_calm_node_does_is_no_cost_of_messages() {
        let node = |sent, received, heartbeats, bytes, cpu| Counted {
            sent,
            received,
            heartbeats,
            bytes: Some(bytes),
            cpu,
        };
        // Ten plain messages of 100 bytes from node 0 to three others, and heartbeats of 50 bytes.
        let spent = [
            node(30.0, 0.0, 2.0, 3100.0, 40.0),
            node(0.0, 10.0, 1.0, 50.0, 20.0),
            node(0.0, 10.0, 0.0, 0.0, 10.0),
            node(0.0, 10.0, 1.0, 50.0, 14.0),
        ];
        let calm = Calm { heartbeat: Some(50.0), cpu: vec![0.5, 0.0, 0.0, 1.0] };
        let cost = Cost::of(10, &spent, &calm, 2.0, 0, 1);
        assert_eq!((cost.messages, cost.bytes), (3.0, Some(300.0)));
        assert_eq!((cost.takes, cost.delivers, cost.gets), (3.9, Some(2.0), Some(1.1)));
        assert!((cost.all - 8.1).abs() < 1e-9, "{}", cost.all);
        // A sharded one is delivered where it is taken; nobody else gets it.
        let spent = [node(0.0, 0.0, 1.0, 50.0, 5.0), node(0.0, 0.0, 1.0, 50.0, 0.0)];
        let cost = Cost::of(10, &spent, &calm, 0.0, 0, 0);
        assert_eq!((cost.messages, cost.bytes), (0.0, Some(0.0)));
        assert_eq!((cost.takes, cost.delivers, cost.gets), (0.5, None, None));
    }
}
