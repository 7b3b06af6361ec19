//! A Redis Cluster on this machine: for tests in which nodes fail.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::{LocalRedis, PATIENCE, Server, free_port};

/// The number of slots in every Redis Cluster.
const SLOTS: usize = 16_384;

/// Several `redis-server` or `valkey-server` that are one cluster, all killed when it is dropped.
/// Their configuration files, which a restarted node needs to find the others, are in a temporary
/// folder.
pub struct LocalCluster {
    /// First the primaries, then the replicas as they were at the start.
    pub nodes: Vec<LocalRedis>,
    /// Removed when dropped, which is after the nodes.
    _folder: TempDir,
}

impl LocalCluster {
    /// Starts a cluster of `primaries`, which share the slots evenly, and `replicas` in all, spread
    /// over the primaries in turn. The primaries have the lowest numbers. Returns when every node
    /// reports a healthy cluster and the replicas follow.
    pub fn start(primaries: usize, replicas: usize) -> anyhow::Result<LocalCluster> {
        let server = Server::real()?;
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let mut nodes = Vec::new();
        for number in 0..primaries + replicas {
            let dir = folder.path().join(number.to_string());
            std::fs::create_dir(&dir)?;
            let dir = dir.to_str().context("the temporary folder's name is not UTF-8")?;
            let bus = free_port()?.to_string();
            let options = [
                ["--cluster-enabled", "yes"],
                // In ms: after this much silence, a node counts as dead.
                ["--cluster-node-timeout", "2000"],
                ["--cluster-port", &bus],
                // By default a primary waits 5 s for more replicas before it sends anything.
                ["--repl-diskless-sync-delay", "0"],
                ["--dir", dir],
            ];
            nodes.push(LocalRedis::start_with(server.clone(), options.as_flattened())?);
        }
        let cluster = LocalCluster { nodes, _folder: folder };
        cluster.form(primaries)?;
        Ok(cluster)
    }

    fn form(&self, primaries: usize) -> anyhow::Result<()> {
        for number in 0..primaries {
            let (first, end) = (SLOTS * number / primaries, SLOTS * (number + 1) / primaries);
            self.ask(number, &format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))?;
            // Primaries with the same epoch would first have to resolve the conflict.
            self.ask(number, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
        }
        for number in 1..self.nodes.len() {
            let (port, bus) =
                (self.nodes[number].port(), self.ask(number, "CONFIG GET cluster-port")?);
            self.ask(0, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"))?;
        }
        for number in primaries..self.nodes.len() {
            let primary = self.id((number - primaries) % primaries)?;
            // Refused until the two know each other.
            eventually(|| self.ask(number, &format!("CLUSTER REPLICATE {primary}")).map(drop))?;
        }
        self.is_ok()
    }

    /// Waits until every node reports a healthy cluster, all agree on the primaries, and the
    /// replicas follow. All nodes must be running.
    pub fn is_ok(&self) -> anyhow::Result<()> {
        eventually(|| {
            let mut views = BTreeSet::new();
            for number in 0..self.nodes.len() {
                let info =
                    self.ask(number, "CLUSTER INFO")? + &self.ask(number, "INFO replication")?;
                ensure!(info.contains("cluster_state:ok"), "not healthy at node {number}");
                ensure!(!info.contains("master_link_status:down"), "node {number} does not follow");
                let nodes = self.ask(number, "CLUSTER NODES")?;
                views.insert(nodes.lines().map(place).collect::<BTreeSet<_>>());
            }
            ensure!(views.len() == 1, "the nodes do not agree");
            Ok(())
        })
    }

    /// The addresses of all nodes, separated by commas.
    pub fn urls(&self) -> String {
        let urls: Vec<_> = self.nodes.iter().map(LocalRedis::url).collect();
        urls.join(",")
    }

    /// The number of the node that serves the channel's slot, or `None` during a failover.
    pub fn owner(&self, channel: &str) -> anyhow::Result<Option<usize>> {
        ensure!(!channel.contains(' '), "'{channel}' contains spaces");
        // The others answer with an error; killed and stopped nodes do not answer.
        let serves = |&node: &usize| self.ask(node, &format!("EXISTS {channel}")).is_ok();
        Ok((0..self.nodes.len()).find(serves))
    }

    /// Moves the slot of this channel to another primary, as `redis-cli --cluster reshard` does
    /// for a slot without keys.
    pub fn move_slot(&self, channel: &str, to: usize) -> anyhow::Result<()> {
        let slot = self.ask(to, &format!("CLUSTER KEYSLOT {channel}"))?;
        let from = self.owner(channel)?.context("nobody owns it")?;
        let (from_id, to_id) = (self.id(from)?, self.id(to)?);
        self.ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"))?;
        self.ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"))?;
        // The new owner first: otherwise the others send clients to it too early.
        for number in [to, from] {
            self.ask(number, &format!("CLUSTER SETSLOT {slot} NODE {to_id}"))?;
        }
        Ok(())
    }

    fn id(&self, number: usize) -> anyhow::Result<String> {
        self.ask(number, "CLUSTER MYID")
    }

    /// Sends a command to one node and returns the answer as text; of a list, the last element.
    pub fn ask(&self, number: usize, command: &str) -> anyhow::Result<String> {
        let port = self.nodes[number].port();
        ask(port, command).with_context(|| format!("{command} to port {port}"))
    }
}

/// Tries it again until it succeeds.
fn eventually(attempt: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = attempt() {
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {error:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Which node, whose replica, and its slots, in a line of `CLUSTER NODES`.
fn place(line: &str) -> String {
    let words = line.split(' ').enumerate();
    let place = words.filter(|(at, word)| matches!(at, 0 | 3 | 8..) && !word.starts_with('['));
    place.map(|(_, word)| format!("{word} ")).collect()
}

/// Sends one command. With these few lines, this crate needs no Redis client.
fn ask(port: u16, command: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // A stopped node accepts connections and never answers.
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "{command}\r\nQUIT\r\n")?;
    let answers = std::io::read_to_string(stream)?;
    // The answer to QUIT, after which Redis closes the connection.
    let answer = answers.strip_suffix("\r\n+OK\r\n").context("no answer")?;
    let (kind, rest) = answer.split_at_checked(1).context("an empty answer")?;
    let answer = match kind {
        "+" | ":" => rest,
        // Begins with a line that has the length.
        "$" => rest.split_once("\r\n").map_or("", |(_, text)| text),
        "*" => rest.rsplit("\r\n").next().map_or("", |last| last.trim_start_matches(':')),
        _ => bail!("{answer}"),
    };
    Ok(answer.to_owned())
}
