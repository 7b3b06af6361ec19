//! Tests that nothing but a real Redis can serve: the stand-in has no way to be cut off, to forbid
//! or to be many.

use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Trial};
use local_redis::Server;

use crate::service_command;

/// A name and what is to be seen.
pub type Scene = (&'static str, fn());

static MACHINE: RwLock<()> = RwLock::new(());

/// Runs the scenes, so many `beside_others` at a time, and those that need the whole machine
/// `alone`. Without a real Redis they show as ignored, with the reason; with REQUIRE_REAL_REDIS=1
/// they fail.
pub fn run(at_a_time: usize, beside_others: &[&[Scene]], alone: &[&[Scene]]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_a_time);
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
    let beside_others = beside_others.iter().copied().flatten().map(|&scene| trial(scene, false));
    let alone = alone.iter().copied().flatten().map(|&scene| trial(scene, true));
    libtest_mimic::run(&arguments, beside_others.chain(alone).collect()).exit_code()
}
