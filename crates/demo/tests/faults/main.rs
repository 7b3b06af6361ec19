//! What can go wrong, on purpose, beside a real Redis: each fault must be survived, reported and
//! recovered from.
//!
//! ```console
//! $ cargo test -p demo --test faults
//! $ cargo test -p demo --test faults -- hanging      # only these
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
#[path = "../terminal/mod.rs"]
mod terminal;
mod tls;

use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Trial};
use local_redis::{LocalRedis, Server};
use terminal::{connection, service_command};

/// A fault: its name and what is to be seen.
type Fault = (&'static str, fn());

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

static MACHINE: RwLock<()> = RwLock::new(());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Far more than there are cores, as nearly all of them wait.
    arguments.test_threads.get_or_insert(12);
    let missing = Server::real().is_none();
    if !missing && !arguments.list {
        // Builds the services, so that no fault's time goes into that.
        service_command("subscriber");
    }
    let required = std::env::var_os("REQUIRE_REAL_REDIS").is_some_and(|value| value == "1");
    let trial = |(name, fault): Fault, alone: bool| {
        let name = match missing {
            true => format!("{name}: needs redis-server or valkey-server on the PATH"),
            false => name.to_owned(),
        };
        Trial::test(name, move || {
            if missing {
                return Err("there is none".into());
            }
            // A fault that failed has said so: the lock is as good as before.
            let _shared = (!alone).then(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
            let _all = alone.then(|| MACHINE.write().unwrap_or_else(PoisonError::into_inner));
            fault();
            Ok(())
        })
        .with_ignored_flag(missing && !required)
    };
    let beside_others = BESIDE_OTHERS.iter().copied().flatten().map(|&fault| trial(fault, false));
    let alone = ALONE.iter().copied().flatten().map(|&fault| trial(fault, true));
    libtest_mimic::run(&arguments, beside_others.chain(alone).collect()).exit_code()
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
