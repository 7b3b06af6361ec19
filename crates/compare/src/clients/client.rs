//! The clients, and how to run each.

use std::path::PathBuf;
use std::process::Command;

use acceptance::{Parser, RedisPy};
use anyhow::{Context, anyhow};
use demo::Binaries;

const RIVALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rivals");
/// Where the versions of the other clients are.
const LOCK: &str = include_str!("../../../rivals/Cargo.lock");

#[derive(Clone, Copy)]
pub struct Client {
    /// How the command line calls it.
    pub key: &'static str,
    /// The package, and a name in the tables.
    package: &'static str,
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
    /// Whether the first table has it, and the table of clusters.
    pub single: bool,
    pub cluster: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Ours,
    Pubsub,
    Rival(&'static str),
    Python(&'static str),
}

use Program::{Ours, Pubsub, Python, Rival};

const TUNED: &[&str] = &["--tuned"];

pub const CLIENTS: [Client; 12] = [
    client("ours", "", "`subscriber`", Ours, &[], true, true),
    client("pubsub", "redis", "`get_async_pubsub`", Pubsub, &[], true, false),
    client("manager", "redis", "`ConnectionManager`", Rival("redis-manager"), &[], true, false),
    client(
        "manager-tuned",
        "redis",
        "`ConnectionManager`",
        Rival("redis-manager"),
        TUNED,
        true,
        false,
    ),
    client("cluster", "redis", "`cluster_async`", Rival("redis-cluster"), &[], false, true),
    client("cluster-tuned", "redis", "`cluster_async`", Rival("redis-cluster"), TUNED, false, true),
    client("fred", "fred", "", Rival("fred"), &[], true, true),
    client("fred-tuned", "fred", "", Rival("fred"), TUNED, true, true),
    client("rustis", "rustis", "", Rival("rustis"), &[], true, true),
    client("rustis-tuned", "rustis", "", Rival("rustis"), TUNED, true, true),
    client("redis-py", "redis-py", "", Python("defaults.py"), &[], true, false),
    client("redis-py-tuned", "redis-py", "", Python("tuned.py"), TUNED, true, false),
];

const fn client(
    key: &'static str,
    package: &'static str,
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
    single: bool,
    cluster: bool,
) -> Client {
    Client { key, package, name, program, arguments, single, cluster }
}

impl Client {
    /// With its version, and whether it has its defaults.
    pub fn title(&self) -> String {
        let version = match self.program {
            Ours => return self.name.to_owned(),
            Python(_) => Parser::Hiredis
                .packages()
                .join(" ")
                .replace("redis==", "redis-py ")
                .replace("==", " "),
            _ => format!("{} {}", self.package, version(self.package).unwrap_or("?")),
        };
        let tuned = if self.arguments == TUNED { ", tuned" } else { "" };
        format!("{version} {}", self.name).trim_end().to_owned() + tuned
    }
}

fn version(package: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

/// What was built or installed of them.
pub struct Programs {
    ours: Binaries,
    pubsub: Binaries,
    rivals: Option<Binaries>,
    python: Result<RedisPy, String>,
}

impl Programs {
    /// All, as release builds.
    pub fn build_all() -> anyhow::Result<Programs> {
        let rivals = Binaries::build_outside(&PathBuf::from(RIVALS))?;
        Ok(Programs {
            ours: Binaries::build_released(&["subscriber"])?,
            pubsub: rivals.clone(),
            python: RedisPy::find_or_install(&format!("{RIVALS}/target"), Parser::Hiredis),
            rivals: Some(rivals),
        })
    }

    /// Those that are in this workspace, as this program was built.
    pub fn build_short() -> anyhow::Result<Programs> {
        Ok(Programs {
            ours: Binaries::build(&["subscriber"])?,
            pubsub: Binaries::build_examples(&["compare"])?,
            rivals: None,
            python: Err("not built".to_owned()),
        })
    }

    pub fn command(&self, client: &Client, cluster: bool) -> anyhow::Result<Command> {
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
        match (client.program, cluster) {
            (Ours, false) => command.arg("--json"),
            (Ours, true) => command.args(["--json", "--sharded"]),
            (_, false) => command.args(client.arguments),
            (_, true) => command.args(client.arguments).arg("--cluster"),
        };
        command.env_remove("RUST_LOG").env_remove("REDIS_PASSWORD_FILE");
        Ok(command)
    }
}
