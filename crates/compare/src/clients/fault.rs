//! What is done to Redis or to the network between the client and Redis.

use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use clap::ValueEnum;
use local_redis::{LocalCluster, LocalRedis, Server, Signal};

use super::CHANNEL;
use super::network::Network;

pub(super) const NO_SERVER: &str = "there is no redis-server or valkey-server on the PATH";

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum Fault {
    Restart,
    LongRestart,
    Hang,
    Dropped,
    Revoked,
    Stall,
    SlotMoved,
    OwnerKilled,
}

impl Fault {
    pub(super) fn title(self) -> &'static str {
        match self {
            Fault::Restart => "Redis killed, started again after 1 s",
            Fault::LongRestart => "Redis killed, started again after 40 s",
            Fault::Hang => "Redis hangs for 10 s",
            Fault::Dropped => "Packets dropped for 90 s",
            Fault::Revoked => "Right to the channel revoked for 10 s",
            Fault::Stall => "Output not read during 500,000 messages",
            Fault::SlotMoved => "Cluster: slot moved to another node",
            Fault::OwnerKilled => "Cluster: owner of the slot killed",
        }
    }

    pub(super) fn needs_cluster(self) -> bool {
        matches!(self, Fault::SlotMoved | Fault::OwnerKilled)
    }
}

/// The servers that one client has to itself, and how it reaches them.
pub(super) struct Stage {
    servers: Mutex<Servers>,
    network: Option<Network>,
}

enum Servers {
    One(LocalRedis),
    Cluster(LocalCluster),
}

impl Stage {
    pub(super) fn build(fault: Fault) -> anyhow::Result<Stage> {
        let mut network = None;
        let servers = if fault.needs_cluster() {
            Servers::Cluster(LocalCluster::start(3, 3)?)
        } else {
            let server = Server::real().ok_or_else(|| anyhow::anyhow!(NO_SERVER))?;
            let mut options = vec!["--user", "reader", "on", "nopass", "+@all", "&notifications"];
            if fault == Fault::Dropped {
                let network = network.insert(Network::build()?);
                options.extend(["--protected-mode", "no", "--bind", "127.0.0.1", network.host()]);
            }
            Servers::One(LocalRedis::start_with(server, &options)?)
        };
        Ok(Stage { servers: Mutex::new(servers), network })
    }

    /// What the client is told.
    pub(super) fn url(&self, fault: Fault) -> String {
        match &*self.servers() {
            Servers::One(redis) if fault == Fault::Revoked => {
                redis.url().replace("127", "reader:any@127")
            }
            Servers::One(redis) => match &self.network {
                Some(network) => redis.url().replace("127.0.0.1", network.host()),
                None => redis.url(),
            },
            Servers::Cluster(cluster) => cluster.urls(),
        }
    }

    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Where to publish, and with which command.
    pub(super) fn target(&self) -> anyhow::Result<Option<(u16, &'static str)>> {
        Ok(match &mut *self.servers() {
            Servers::One(redis) => Some((redis.port(), "PUBLISH")),
            Servers::Cluster(cluster) => match cluster.owner(CHANNEL)? {
                Some(owner) => Some((cluster.node(owner).port(), "SPUBLISH")),
                None => None,
            },
        })
    }

    /// How many subscribers Redis counts.
    pub(super) fn subscribers(&self) -> anyhow::Result<u64> {
        match &*self.servers() {
            Servers::One(redis) => {
                let mut numsub = redis::cmd("PUBSUB");
                numsub.arg("NUMSUB").arg(CHANNEL);
                let (_, count): (String, u64) = numsub.query(&mut connect(redis)?)?;
                Ok(count)
            }
            Servers::Cluster(cluster) => {
                let numsub = format!("PUBSUB SHARDNUMSUB {CHANNEL}");
                // A node that was killed has none.
                let counts = (0..cluster.size()).filter_map(|node| cluster.ask(node, &numsub).ok());
                Ok(counts.filter_map(|count| count.parse::<u64>().ok()).sum())
            }
        }
    }

    /// Returns when the cause is gone; that the client has noticed is another matter.
    pub(super) fn strike(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Restart => self.restart(Duration::from_secs(1))?,
            Fault::LongRestart => self.restart(Duration::from_secs(40))?,
            Fault::Hang => {
                self.signal(Signal::STOP);
                sleep(Duration::from_secs(10));
                self.signal(Signal::CONT);
            }
            Fault::Dropped => {
                let network = self.network.as_ref().ok_or_else(|| anyhow::anyhow!("no network"))?;
                network.cut()?;
                sleep(Duration::from_secs(90));
                network.mend()?;
            }
            Fault::Revoked => {
                // Redis cuts off subscribers that may no longer listen.
                self.grant("resetchannels")?;
                sleep(Duration::from_secs(10));
                self.grant("&notifications")?;
            }
            Fault::SlotMoved | Fault::OwnerKilled => {
                let Servers::Cluster(cluster) = &mut *self.servers() else { return Ok(()) };
                let Some(owner) = cluster.owner(CHANNEL)? else { return Ok(()) };
                match fault {
                    Fault::SlotMoved => cluster.move_slot(CHANNEL, (owner + 1) % 3)?,
                    _ => cluster.node(owner).kill()?,
                }
            }
            Fault::Stall => {}
        }
        Ok(())
    }

    fn restart(&self, after: Duration) -> anyhow::Result<()> {
        if let Servers::One(redis) = &mut *self.servers() {
            redis.kill()?;
        }
        sleep(after);
        if let Servers::One(redis) = &mut *self.servers() {
            redis.restart()?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Servers::One(redis) = &mut *self.servers() {
            redis.process().signal(signal);
        }
    }

    fn grant(&self, right: &str) -> anyhow::Result<()> {
        if let Servers::One(redis) = &*self.servers() {
            let mut acl = redis::cmd("ACL");
            acl.arg("SETUSER").arg("reader").arg(right).exec(&mut connect(redis)?)?;
        }
        Ok(())
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn connect(redis: &LocalRedis) -> anyhow::Result<redis::Connection> {
    let client = redis::Client::open(redis.url())?;
    Ok(client.get_connection_with_timeout(Duration::from_secs(2))?)
}
