//! A Redis Cluster on this machine: for tests in which nodes fail.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
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
    nodes: Vec<LocalRedis>,
    ids: Vec<String>,
    /// Removed when dropped, which is after the nodes.
    _folder: TempDir,
}

impl LocalCluster {
    /// Starts a cluster of `primaries`, which share the slots evenly, and `replicas` in all, spread
    /// over the primaries in turn. The primaries have the lowest numbers. Returns when every node
    /// reports a healthy cluster and the replicas follow.
    pub fn start(primaries: usize, replicas: usize) -> anyhow::Result<LocalCluster> {
        let server = Server::real().context("no redis-server or valkey-server on the PATH")?;
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
        let ids: Result<_, _> = nodes.iter().map(|node| ask(node, "CLUSTER MYID")).collect();
        let cluster = LocalCluster { nodes, ids: ids?, _folder: folder };
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
        for node in &self.nodes[1..] {
            let bus = ask(node, "CONFIG GET cluster-port")?;
            self.ask(0, &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port()))?;
        }
        let all = format!("cluster_known_nodes:{}\r\n", self.size());
        self.eventually("all know each other", || {
            let infos: Result<Vec<_>, _> =
                (0..self.size()).map(|number| self.ask(number, "CLUSTER INFO")).collect();
            Ok(infos?.iter().all(|info| info.contains(&all)))
        })?;
        for number in primaries..self.size() {
            let primary = &self.ids[(number - primaries) % primaries];
            self.ask(number, &format!("CLUSTER REPLICATE {primary}"))?;
        }
        self.is_ok()
    }

    /// Waits until every node reports a healthy cluster, all agree on the primaries, and the
    /// replicas follow. All nodes must be running.
    pub fn is_ok(&self) -> anyhow::Result<()> {
        self.eventually("the cluster is all right", || {
            let mut views = BTreeSet::new();
            for number in 0..self.size() {
                let info =
                    self.ask(number, "CLUSTER INFO")? + &self.ask(number, "INFO replication")?;
                if !info.contains("cluster_state:ok") || info.contains("master_link_status:down") {
                    return Ok(false);
                }
                let nodes = self.ask(number, "CLUSTER NODES")?;
                let primaries = nodes.lines().filter(|line| line.contains("master"));
                views.insert(primaries.map(id_and_slots).collect::<BTreeSet<_>>());
            }
            Ok(views.len() == 1)
        })
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// One node, to kill, stop or restart it.
    pub fn node(&mut self, number: usize) -> &mut LocalRedis {
        &mut self.nodes[number]
    }

    /// The address of one node.
    pub fn url(&self, number: usize) -> String {
        self.nodes[number].url()
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
        Ok((0..self.size()).find(serves))
    }

    /// Moves the slot of this channel to another primary, as `redis-cli --cluster reshard` does
    /// for a slot without keys.
    pub fn move_slot(&self, channel: &str, to: usize) -> anyhow::Result<()> {
        let slot = self.ask(to, &format!("CLUSTER KEYSLOT {channel}"))?;
        let from = self.owner(channel)?.context("nobody owns it")?;
        let (from_id, to_id) = (&self.ids[from], &self.ids[to]);
        self.ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"))?;
        self.ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"))?;
        // The new owner first: otherwise the others send clients to it too early.
        for number in [to, from] {
            self.ask(number, &format!("CLUSTER SETSLOT {slot} NODE {to_id}"))?;
        }
        Ok(())
    }

    /// Sends a command to one node and returns the answer as text; of a list, the last element.
    pub fn ask(&self, number: usize, command: &str) -> anyhow::Result<String> {
        ask(&self.nodes[number], command)
    }

    fn eventually(
        &self,
        what: &str,
        is_so: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so()? {
            ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The id and the slots (from the ninth word on) in a line of `CLUSTER NODES`.
fn id_and_slots(line: &str) -> String {
    let mut words = line.split(' ');
    let id = words.next().unwrap_or_default();
    let slots: Vec<_> = words.skip(7).filter(|word| !word.starts_with('[')).collect();
    format!("{id} {}", slots.join(" "))
}

/// Sends one command. With these few lines, this crate needs no Redis client.
fn ask(node: &LocalRedis, command: &str) -> anyhow::Result<String> {
    let ask = || -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", node.port()))?;
        // A stopped node accepts connections and never answers.
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "{command}\r\n")?;
        read(&mut BufReader::new(stream))
    };
    ask().with_context(|| format!("{command} to port {}", node.port()))
}

fn read(stream: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else { bail!("no answer") };
    Ok(match kind {
        "+" | ":" => rest.to_owned(),
        "$" => {
            let mut text = vec![0; rest.parse::<usize>()? + 2];
            stream.read_exact(&mut text)?;
            text.truncate(text.len() - 2);
            String::from_utf8(text)?
        }
        "*" => {
            let mut last = String::new();
            for _ in 0..rest.parse()? {
                last = read(stream)?;
            }
            last
        }
        _ => bail!("{line}"),
    })
}
