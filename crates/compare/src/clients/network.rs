//! A network in which packets can get lost: a namespace with one cable into it.
//!
//! Packets are dropped by a wrong hardware address at both ends. Nobody takes them, and nobody
//! says so, as with a cut cable behind a switch. (With the cable's own end down, or with a route
//! that refuses, the system would tell the client.)

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local_redis::Leashed;

const NOBODY: &str = "02:00:00:00:00:01";

pub(super) struct Network {
    /// The namespace, and the cable into it, end with this process.
    holder: Leashed,
    /// The host's end of the cable.
    cable: String,
    host: String,
    client: String,
}

impl Network {
    /// Why there can't be one here.
    pub(super) fn missing() -> Option<&'static str> {
        if !cfg!(target_os = "linux") {
            return Some("needs Linux");
        }
        if !rustix::process::geteuid().is_root() {
            return Some("needs root, for a network namespace");
        }
        let all = [("ip", "-V"), ("nsenter", "-V"), ("unshare", "-V")];
        let there = |(tool, version)| {
            Command::new(tool).arg(version).stdout(Stdio::null()).status().is_ok()
        };
        (!all.into_iter().all(there)).then_some("needs ip, nsenter and unshare")
    }

    pub(super) fn build() -> anyhow::Result<Network> {
        static NUMBER: AtomicU8 = AtomicU8::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // A range for tests of networks (RFC 2544), which nobody else uses.
        let net = format!("198.18.{}.{}", process % 256, u16::from(number % 64) * 4);
        let (net, first) = net.rsplit_once('.').context("no address")?;
        let first: u16 = first.parse()?;
        let holder = Leashed::spawn(Command::new("unshare").args(["--net", "sleep", "3600"]))?;
        let network = Network {
            holder,
            cable: format!("cut{process}-{number}"),
            host: format!("{net}.{}", first + 1),
            client: format!("{net}.{}", first + 2),
        };
        let holder = network.holder.id().to_string();
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net"));
        let deadline = Instant::now() + Duration::from_secs(5);
        while namespace(&holder)? == namespace("self")? {
            ensure!(Instant::now() < deadline, "no network namespace after 5 s");
            std::thread::sleep(Duration::from_millis(5));
        }
        let Network { cable, host, client, .. } = &network;
        network.ip(false, &format!("link add {cable} type veth peer name eth0 netns {holder}"))?;
        network.ip(false, &format!("address add {host}/30 dev {cable}"))?;
        network.ip(false, &format!("link set {cable} up"))?;
        network.ip(true, &format!("address add {client}/30 dev eth0"))?;
        network.ip(true, "link set eth0 up")?;
        Ok(network)
    }

    /// The address of servers on the host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Lets a command run in the namespace.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg(command.get_program());
        inside.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    pub(super) fn cut(&self) -> anyhow::Result<()> {
        let Network { cable, host, client, .. } = self;
        self.ip(false, &format!("neighbour replace {client} lladdr {NOBODY} dev {cable}"))?;
        self.ip(true, &format!("neighbour replace {host} lladdr {NOBODY} dev eth0"))
    }

    /// Both ends ask for the other's hardware address again.
    pub(super) fn mend(&self) -> anyhow::Result<()> {
        let Network { cable, host, client, .. } = self;
        self.ip(false, &format!("neighbour delete {client} dev {cable}"))?;
        self.ip(true, &format!("neighbour delete {host} dev eth0"))
    }

    fn ip(&self, inside: bool, arguments: &str) -> anyhow::Result<()> {
        let mut command = Command::new("ip");
        command.args(arguments.split(' '));
        if inside {
            command = self.enter(&command);
        }
        ensure!(command.status()?.success(), "failed: ip {arguments}");
        Ok(())
    }
}
