//! The clients, and how to run each.

use std::path::PathBuf;
use std::process::Command;

use acceptance::{Parser, RedisPy};
use anyhow::{Context, anyhow};
use demo::Binaries;

use super::fault::Fault;

const RIVALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rivals");
/// Where the versions of the other clients are.
const LOCK: &str = include_str!("../../../rivals/Cargo.lock");

pub(super) struct Client {
    /// How the command line calls it. With `-tuned` it has settings for this task.
    pub key: &'static str,
    package: &'static str,
    name: &'static str,
    program: Program,
    tables: Tables,
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Ours,
    Pubsub,
    Rival(&'static str),
    Python(&'static str),
}

#[derive(Clone, Copy, PartialEq)]
enum Tables {
    Single,
    Clusters,
    Both,
}

use Program::{Ours, Pubsub, Python, Rival};
use Tables::{Both, Clusters, Single};

pub(super) static CLIENTS: [Client; 12] = [
    client("ours", "", "`subscriber`", Ours, Both),
    client("pubsub", "redis", "`get_async_pubsub`", Pubsub, Single),
    client("manager", "redis", "`ConnectionManager`", Rival("redis-manager"), Single),
    client("manager-tuned", "redis", "`ConnectionManager`", Rival("redis-manager"), Single),
    client("cluster", "redis", "`cluster_async`", Rival("redis-cluster"), Clusters),
    client("cluster-tuned", "redis", "`cluster_async`", Rival("redis-cluster"), Clusters),
    client("fred", "fred", "", Rival("fred"), Both),
    client("fred-tuned", "fred", "", Rival("fred"), Both),
    client("rustis", "rustis", "", Rival("rustis"), Both),
    client("rustis-tuned", "rustis", "", Rival("rustis"), Both),
    client("redis-py", "redis-py", "", Python("defaults.py"), Single),
    client("redis-py-tuned", "redis-py", "", Python("tuned.py"), Single),
];

const fn client(
    key: &'static str,
    package: &'static str,
    name: &'static str,
    program: Program,
    tables: Tables,
) -> Client {
    Client { key, package, name, program, tables }
}

impl Client {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.tables == Both || (self.tables == Clusters) == fault.needs_cluster()
    }

    fn is_tuned(&self) -> bool {
        self.key.ends_with("-tuned")
    }

    /// With its version, and whether it has its defaults.
    pub(super) fn title(&self) -> String {
        let version = match self.program {
            Ours => return self.name.to_owned(),
            Python(_) => Parser::Hiredis
                .packages()
                .join(" ")
                .replace("redis==", "redis-py ")
                .replace("==", " "),
            _ => format!("{} {}", self.package, version(self.package).unwrap_or("?")),
        };
        let tuned = if self.is_tuned() { ", tuned" } else { "" };
        format!("{version} {}", self.name).trim_end().to_owned() + tuned
    }
}

fn version(package: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

/// What was built or installed of them.
pub(super) struct Programs {
    ours: Binaries,
    pubsub: Binaries,
    rivals: Option<Binaries>,
    python: Result<RedisPy, String>,
}

impl Programs {
    /// All, as release builds.
    pub(super) fn build_all() -> anyhow::Result<Programs> {
        let rivals = Binaries::build_outside(&PathBuf::from(RIVALS))?;
        Ok(Programs {
            ours: Binaries::build_released(&["subscriber"])?,
            pubsub: rivals.clone(),
            python: RedisPy::find_or_install(&format!("{RIVALS}/target"), Parser::Hiredis),
            rivals: Some(rivals),
        })
    }

    /// Those that are in this workspace, as this program was built.
    pub(super) fn build_short() -> anyhow::Result<Programs> {
        Ok(Programs {
            ours: Binaries::build(&["subscriber"])?,
            pubsub: Binaries::build_examples(&["compare"])?,
            rivals: None,
            python: Err("not built".to_owned()),
        })
    }

    pub(super) fn command(&self, client: &Client, fault: Fault) -> anyhow::Result<Command> {
        let mut command = match client.program {
            Ours => self.ours.command("subscriber")?,
            Pubsub if self.rivals.is_none() => self.pubsub.command("get_async_pubsub")?,
            Pubsub => self.pubsub.command("redis-pubsub")?,
            Rival(name) => self.rivals.as_ref().context("not built")?.command(name)?,
            Python(script) => {
                let python = self.python.as_ref().map_err(|missing| anyhow!("needs {missing}"))?;
                let mut command = python.command();
                command.arg(format!("{RIVALS}/python/{script}"));
                command
            }
        };
        match (client.program, fault.needs_cluster()) {
            (Ours, false) => drop(command.arg("--json")),
            (Ours, true) => drop(command.args(["--json", "--sharded"])),
            (_, false) => {}
            (_, true) => drop(command.arg("--cluster")),
        }
        if client.is_tuned() {
            command.arg("--tuned");
        }
        command.env_remove("RUST_LOG").env_remove("REDIS_PASSWORD_FILE");
        Ok(command)
    }
}
