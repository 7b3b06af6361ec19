//! The services on a Redis Cluster, of which parts go away and come back.
//!
//! ```console
//! $ cargo test -p demo --test cluster
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod delivery;
mod failover;
mod numbers;
mod publishing;
#[path = "../terminal/mod.rs"]
mod terminal;

use std::process::{Command, ExitCode};
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Trial};
use local_redis::{LocalCluster, Server};
use serde_json::Value;
use terminal::{Terminal, service_command};

/// A name and what is to be seen.
type Scene = (&'static str, fn());

const SCENES: &[&[Scene]] = &[delivery::SCENES, failover::SCENES, publishing::SCENES];

/// These assert a time, in which the others' clusters would have a part.
const ALONE: &[Scene] = failover::TIMED;

static MACHINE: RwLock<()> = RwLock::new(());

/// The three shards own the slots of these, in this order.
const CHANNELS: [&str; 3] = ["b", "c", "a"];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // More than there are cores, as nearly all of the time is waiting for a failover; not many
    // more, as each has six nodes.
    arguments.test_threads.get_or_insert(3);
    let missing = Server::real().is_none();
    if !missing && !arguments.list {
        // Builds the services, so that no scene's time goes into that.
        service_command("subscriber");
    }
    let required = std::env::var_os("REQUIRE_REAL_REDIS").is_some_and(|value| value == "1");
    let trial = |(name, scene): Scene, alone: bool| {
        let name = match missing {
            true => format!("{name}: needs redis-server or valkey-server on the PATH"),
            false => name.to_owned(),
        };
        Trial::test(name, move || {
            if missing {
                return Err("there is none".into());
            }
            // A scene that failed has said so: the lock is as good as before.
            let _shared = (!alone).then(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
            let _all = alone.then(|| MACHINE.write().unwrap_or_else(PoisonError::into_inner));
            scene();
            Ok(())
        })
        .with_ignored_flag(missing && !required)
    };
    let scenes = SCENES.iter().copied().flatten().map(|&scene| trial(scene, false));
    let alone = ALONE.iter().map(|&scene| trial(scene, true));
    libtest_mimic::run(&arguments, scenes.chain(alone).collect()).exit_code()
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
