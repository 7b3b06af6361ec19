//! Runs tests that need a real Redis: the stand-in has no CLIENT KILL, no ACL and no cluster.

use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::Arguments;

use crate::{Need, service_command};

/// The name of a test, and the test.
pub type Scene = (&'static str, fn());

static MACHINE: RwLock<()> = RwLock::new(());

/// Runs `beside_others`, so many `at_a_time`, and each test that needs the whole machine `alone`.
pub fn run(at_a_time: usize, beside_others: &[&[Scene]], alone: &[&[Scene]]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_a_time);
    let need = Need::real_redis();
    if need.is_met() && !arguments.list {
        // Builds the services first, so that no test waits for the compiler.
        service_command("subscriber");
    }
    let trial = |(name, scene): Scene, alone: bool| {
        need.trial(name, move || {
            // A failed test poisons the lock, which protects no data.
            let _shared = (!alone).then(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
            let _all = alone.then(|| MACHINE.write().unwrap_or_else(PoisonError::into_inner));
            scene();
            Ok(())
        })
    };
    let beside_others = beside_others.iter().copied().flatten().map(|&scene| trial(scene, false));
    let alone = alone.iter().copied().flatten().map(|&scene| trial(scene, true));
    libtest_mimic::run(&arguments, beside_others.chain(alone).collect()).exit_code()
}
