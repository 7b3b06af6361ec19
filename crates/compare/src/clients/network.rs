//! A network in which packets can get lost: a namespace with one cable into it.
//!
//! A wrong hardware address at both ends of the cable makes every packet vanish without an error,
//! as a cut cable behind a switch does. (If the cable's own end were down, or a route refused, the
//! system would tell the client.)

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use local_redis::Leashed;

/// `$HOLDER` is the process in the namespace.
const BUILD: &str = "
    ip link add cut$HOLDER type veth peer name eth0 netns $HOLDER
    ip address add $HOST/30 dev cut$HOLDER
    ip link set cut$HOLDER up
    nsenter $NAMESPACE ip address add $CLIENT/30 dev eth0
    nsenter $NAMESPACE ip link set eth0 up";
pub(super) const CUT: &str = "
    ip neighbour replace $CLIENT lladdr 02:00:00:00:00:01 dev cut$HOLDER
    nsenter $NAMESPACE ip neighbour replace $HOST lladdr 02:00:00:00:00:01 dev eth0";
/// Both ends ask for the other's hardware address again.
pub(super) const MEND: &str = "
    ip neighbour delete $CLIENT dev cut$HOLDER
    nsenter $NAMESPACE ip neighbour delete $HOST dev eth0";

const NEEDS: &str = "needs Linux, root, and the programs ip, nsenter and unshare";

pub(super) struct Network {
    /// A process in the namespace. The namespace and the cable disappear with it.
    holder: Leashed,
    /// The argument with which nsenter enters it.
    namespace: String,
    /// The address of servers on the host.
    pub host: String,
    client: String,
}

impl Network {
    pub(super) fn build() -> anyhow::Result<Network> {
        let mut unshare = Command::new("unshare");
        let script = "ip -V && nsenter -V && echo && exec sleep 3600";
        unshare.args(["--net", "sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = Leashed::spawn(&mut unshare).context(NEEDS)?;
        // The empty line comes out of the namespace, so by then there is one.
        let stdout = holder.child.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        ensure!(lines.any(|line| line.is_empty()), NEEDS);

        // A range for tests of networks (RFC 2544), which nobody else uses.
        let id = holder.child.id();
        let address = |end| format!("198.18.{}.{}", id / 64 % 256, id % 64 * 4 + end);
        let namespace = format!("--net=/proc/{id}/ns/net");
        let network = Network { holder, namespace, host: address(1), client: address(2) };
        network.run(BUILD)?;
        Ok(network)
    }

    /// The same command in the namespace.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(&self.namespace).arg(command.get_program()).args(command.get_args());
        inside
    }

    pub(super) fn run(&self, script: &str) -> anyhow::Result<()> {
        let mut sh = Command::new("sh");
        sh.args(["-ec", script]).env("HOST", &self.host).env("CLIENT", &self.client);
        sh.env("HOLDER", self.holder.child.id().to_string()).env("NAMESPACE", &self.namespace);
        ensure!(sh.status()?.success(), "this failed:{script}");
        Ok(())
    }
}
