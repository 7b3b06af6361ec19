//! The faults, and the servers that they happen to.

use std::process::Command;

use anyhow::Context;
use local_redis::{LocalCluster, LocalRedis, Server, Signal};

use super::network::{CUT, MEND, Network};

const NO_OWNER: &str = "the slot has no owner";
pub(super) const CHANNEL: &str = "notifications";

pub(super) struct Fault {
    /// The name on the command line and in the template of the page.
    pub key: &'static str,
    pub title: &'static str,
    pub seconds: u64,
}

pub(super) static FAULTS: [Fault; 8] = [
    Fault { key: "restart", title: "Redis killed, started again after 1 s", seconds: 1 },
    Fault { key: "long-restart", title: "Redis killed, started again after 40 s", seconds: 40 },
    Fault { key: "hang", title: "Redis hangs for 10 s", seconds: 10 },
    Fault { key: "dropped", title: "Packets dropped for 90 s", seconds: 90 },
    Fault { key: "revoked", title: "Right to the channel revoked for 10 s", seconds: 10 },
    Fault { key: "slot-moved", title: "Cluster: slot moved to another node", seconds: 0 },
    Fault { key: "owner-killed", title: "Cluster: owner of the slot killed", seconds: 0 },
    Fault { key: "stall", title: "Output not read during 500,000 messages", seconds: 3 },
];

impl Fault {
    pub(super) fn in_cluster(&self) -> bool {
        matches!(self.key, "slot-moved" | "owner-killed")
    }
}

/// The servers of one client.
pub(super) enum Servers {
    /// One Redis. The client is in the network, if there is one.
    Single(LocalRedis, Option<Network>),
    Cluster(LocalCluster),
}

use Servers::{Cluster, Single};

impl Servers {
    pub(super) fn start(fault: &Fault) -> anyhow::Result<Servers> {
        if fault.in_cluster() {
            return Ok(Cluster(LocalCluster::start(3, 3)?));
        }
        let mut options = vec!["--user", "reader", "on", "nopass", "+@all", "&notifications"];
        let network = (fault.key == "dropped").then(Network::build).transpose()?;
        if let Some(network) = &network {
            options.extend(["--protected-mode", "no", "--bind", "127.0.0.1", &network.host]);
        }
        Ok(Single(LocalRedis::start_with(Server::real()?, &options)?, network))
    }

    /// Gives a client the address, and puts it into the network if there is one.
    pub(super) fn connect(&self, mut client: Command) -> Command {
        let url = match self {
            // A user whose rights can be changed.
            Single(redis, None) => redis.url().replace("127.", "reader:any@127."),
            Single(redis, Some(network)) => {
                client = network.enter(&client);
                format!("redis://{}:{}", network.host, redis.port())
            }
            Cluster(cluster) => cluster.urls(),
        };
        client.env("REDIS_URL", url).env_remove("REDIS_PASSWORD_FILE").env_remove("RUST_LOG");
        client
    }

    /// The Redis where the channel is. A cluster has no such place until a failover is done.
    pub(super) fn redis(&mut self) -> anyhow::Result<&mut LocalRedis> {
        match self {
            Single(redis, _) => Ok(redis),
            Cluster(cluster) => {
                let owner = cluster.owner(CHANNEL)?.context(NO_OWNER)?;
                Ok(&mut cluster.nodes[owner])
            }
        }
    }

    /// Begins the fault, or ends it if it is of a kind that ends.
    pub(super) fn set(&mut self, fault: &Fault, begins: bool) -> anyhow::Result<()> {
        match (fault.key, begins) {
            ("restart" | "long-restart" | "owner-killed", true) => self.redis()?.kill()?,
            ("restart" | "long-restart", false) => self.redis()?.restart()?,
            ("hang", true) => self.redis()?.process.signal(Signal::STOP),
            ("hang", false) => self.redis()?.process.signal(Signal::CONT),
            ("revoked", _) => {
                // Without the right, Redis also closes the connections of subscribers.
                let rule = if begins { "resetchannels" } else { "&notifications" };
                let mut connection = redis::Client::open(self.redis()?.url())?.get_connection()?;
                redis::cmd("ACL").arg(&["SETUSER", "reader", rule]).exec(&mut connection)?;
            }
            ("dropped", _) => {
                if let Single(_, Some(network)) = self {
                    network.run(if begins { CUT } else { MEND })?;
                }
            }
            ("slot-moved", true) => {
                if let Cluster(cluster) = self {
                    let owner = cluster.owner(CHANNEL)?.context(NO_OWNER)?;
                    cluster.move_slot(CHANNEL, (owner + 1) % 3)?;
                }
            }
            // The reader of its output makes a stall. In a cluster nothing ends.
            _ => {}
        }
        Ok(())
    }
}
