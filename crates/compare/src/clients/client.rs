//! The clients, and how to run each.

use std::process::Command;

use acceptance::{Parser, RedisPy};
use anyhow::anyhow;
use demo::Binaries;

const RIVALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rivals");

pub(super) struct Client {
    /// The name on the command line, and of the program in crates/rivals. With `-tuned` it has
    /// settings for this task.
    pub key: &'static str,
    /// The name in the tables, with the version.
    pub title: &'static str,
}

pub(super) static CLIENTS: [Client; 12] = [
    Client { key: "ours", title: "`subscriber`" },
    Client { key: "pubsub", title: "redis 1.8.1 `get_async_pubsub`" },
    Client { key: "manager", title: "redis 1.8.1 `ConnectionManager`" },
    Client { key: "manager-tuned", title: "redis 1.8.1 `ConnectionManager`, tuned" },
    Client { key: "cluster", title: "redis 1.8.1 `cluster_async`" },
    Client { key: "cluster-tuned", title: "redis 1.8.1 `cluster_async`, tuned" },
    Client { key: "fred", title: "fred 10.1.0" },
    Client { key: "fred-tuned", title: "fred 10.1.0, tuned" },
    Client { key: "rustis", title: "rustis 0.27.2" },
    Client { key: "rustis-tuned", title: "rustis 0.27.2, tuned" },
    Client { key: "redis-py", title: "redis-py 8.1.0 hiredis-py 3.5.0" },
    Client { key: "redis-py-tuned", title: "redis-py 8.1.0 hiredis-py 3.5.0, tuned" },
];

impl Client {
    /// Whether it is compared in faults of a cluster, or of a single Redis.
    pub(super) fn takes_part(&self, in_cluster: bool) -> bool {
        match self.program() {
            "ours" | "fred" | "rustis" => true,
            program => (program == "cluster") == in_cluster,
        }
    }

    fn program(&self) -> &str {
        self.key.trim_end_matches("-tuned")
    }
}

/// The programs, built or installed.
pub(super) struct Programs {
    ours: Binaries,
    others: Binaries,
    python: Result<RedisPy, String>,
}

impl Programs {
    /// Builds release builds of all, or for a `short` run those of this workspace in the profile of
    /// this program.
    pub(super) fn build(short: bool) -> anyhow::Result<Programs> {
        if short {
            let ours = Binaries::build(&["subscriber"], &["--bins"])?;
            let others = Binaries::build(&["compare"], &["--examples"])?;
            return Ok(Programs { ours, others, python: Err("a run without --short".to_owned()) });
        }
        let ours = Binaries::cargo_build(&["--package=subscriber", "--bins", "--release"])?;
        let (manifest, target) = (format!("{RIVALS}/Cargo.toml"), format!("{RIVALS}/target"));
        let rivals = ["--manifest-path", &manifest, "--target-dir", &target, "--locked"];
        let others = Binaries::cargo_build(&[&rivals[..], &["--bins", "--release"]].concat())?;
        let python = RedisPy::find_or_install(&target, Parser::Hiredis);
        Ok(Programs { ours, others, python })
    }

    pub(super) fn command(&self, client: &Client, in_cluster: bool) -> anyhow::Result<Command> {
        let mut command = match client.program() {
            "ours" => self.ours.command("subscriber")?,
            "redis-py" => {
                let python = self.python.as_ref().map_err(|missing| anyhow!("needs {missing}"))?;
                let mut command = python.command();
                command.arg(format!("{RIVALS}/python/{}.py", client.key));
                command
            }
            program => self.others.command(program)?,
        };
        command.args((client.key == "ours").then_some("--json"));
        command.args(in_cluster.then_some("--sharded"));
        command.args(client.key.ends_with("-tuned").then_some("--tuned"));
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../../../rivals/Cargo.lock");

    #[test]
    fn the_page_has_a_section_for_each() {
        let page = include_str!("clients.md");
        // The tuned one is in the section of the other.
        for client in CLIENTS.iter().filter(|client| client.key != "cluster-tuned") {
            assert!(page.contains(&format!("\n### {}\n", client.title)), "{}", client.title);
        }
    }

    #[test]
    fn titles_have_the_versions_that_run() {
        assert_eq!(Parser::Hiredis.packages(), ["redis==8.1.0", "hiredis==3.5.0"]);
        for client in CLIENTS.iter().filter(|client| !client.title.contains("redis-py")) {
            let title = client.title.trim_end_matches(", tuned");
            if let [package, version, ..] = title.split(' ').collect::<Vec<_>>()[..] {
                let locked = format!("name = \"{package}\"\nversion = \"{version}\"\n");
                assert!(LOCK.contains(&locked), "{title}");
            }
        }
    }
}
