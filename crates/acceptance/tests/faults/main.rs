//! What can go wrong, on purpose, beside a real Redis: each fault must be survived, reported and
//! recovered from.
//!
//! ```console
//! $ cargo test -p acceptance --test faults
//! $ cargo test -p acceptance --test faults -- hanging      # only these
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod addresses;
mod ending;
mod events;
mod first_connect;
mod hanging;
mod outages;
mod publishing;
mod reconnecting;
mod relay;
mod slow;
mod tls;

use std::process::ExitCode;

use acceptance::connection;
use acceptance::real_redis::{self, Scene as Fault};
use local_redis::{LocalRedis, Server};

/// Most of the time of these goes into waiting: they run beside each other.
const BESIDE_OTHERS: &[&[Fault]] = &[
    access::FAULTS,
    addresses::FAULTS,
    ending::FAULTS,
    first_connect::FAULTS,
    hanging::FAULTS,
    outages::FAULTS,
    publishing::FAULTS,
    reconnecting::FAULTS,
    slow::FAULTS,
    tls::FAULTS,
];
/// These take all that the machine has, and would disturb the others' limits.
const ALONE: &[&[Fault]] = &[ending::FLOODS, slow::FLOODS];

fn main() -> ExitCode {
    // Far more than there are cores, as nearly all of them wait.
    real_redis::run(12, BESIDE_OTHERS, ALONE)
}

/// A server of the test's own.
fn redis() -> LocalRedis {
    redis_with(&[])
}

/// The same, with further options of its command line.
fn redis_with(options: &[&str]) -> LocalRedis {
    LocalRedis::start_with(Server::real().unwrap(), options).unwrap()
}

/// Sends a command, in words, and returns what Redis answers.
fn ask(redis: &LocalRedis, command: &str) -> redis::Value {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command.query(&mut connection(redis)).unwrap()
}
