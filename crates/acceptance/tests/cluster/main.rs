//! The services on a Redis Cluster whose nodes fail and return.
//!
//! ```console
//! $ cargo test -p acceptance --test cluster
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod delivery;
mod failover;
mod numbers;
mod publishing;

use std::process::{Command, ExitCode};

use acceptance::{Need, Terminal, Test, service_command};
use local_redis::LocalCluster;
use serde_json::Value;

/// The longest first.
const SCENES: &[&[Test]] = &[publishing::SCENES, failover::SCENES, delivery::SCENES];

/// These assert a time, which other clusters on the machine would lengthen.
const ALONE: &[Test] = failover::TIMED;

/// The first shard owns the slot of the first channel, and so on.
const CHANNELS: [&str; 3] = ["b", "c", "a"];

fn main() -> ExitCode {
    // More than there are cores, as the tests mostly wait for a failover. Each starts six nodes,
    // which take all cores for a moment.
    service_command("subscriber"); // built first, so that no test waits for the compiler
    Need::real_redis().run(6, SCENES, &[ALONE])
}

/// Three primaries with a replica each.
fn cluster() -> LocalCluster {
    LocalCluster::start(3, 3).unwrap()
}

fn owner(cluster: &LocalCluster, channel: &str) -> usize {
    cluster.owner(channel).unwrap().expect("nobody owns it")
}

/// A service that knows all nodes: `run(&cluster, "subscriber --json a")`.
fn run(cluster: &LocalCluster, line: &str) -> Terminal {
    Terminal::start_command(&mut command(cluster, line))
}

fn command(cluster: &LocalCluster, line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = service_command(words.next().unwrap());
    command.args(words).env("REDIS_URL", cluster.urls());
    command
}

/// The next line of a service with `--json`.
#[track_caller]
fn event(service: &Terminal) -> Value {
    serde_json::from_str(&service.line()).unwrap()
}

/// Asserts that the next event is of this type, and returns it.
#[track_caller]
fn expect(service: &Terminal, kind: &str) -> Value {
    let event = event(service);
    assert_eq!(event["type"], kind, "{event}");
    event
}
