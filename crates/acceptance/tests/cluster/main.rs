//! The services on a Redis Cluster, of which parts go away and come back.
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

const SCENES: &[&[Test]] = &[delivery::SCENES, failover::SCENES, publishing::SCENES];

/// These assert a time, in which the others' clusters would have a part.
const ALONE: &[Test] = failover::TIMED;

/// The three shards own the slots of these, in this order.
const CHANNELS: [&str; 3] = ["b", "c", "a"];

fn main() -> ExitCode {
    // More than there are cores, as nearly all of the time is waiting for a failover; not many
    // more, as each has six nodes.
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

/// The next event is of this type.
#[track_caller]
fn expect(service: &Terminal, kind: &str) -> Value {
    let event = event(service);
    assert_eq!(event["type"], kind, "{event}");
    event
}
