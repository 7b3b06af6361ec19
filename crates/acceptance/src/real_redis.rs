//! Tests that nothing but a real Redis can serve: the stand-in has no way to be cut off, to forbid
//! or to be many.

use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::Arguments;

use crate::{Need, service_command};

/// A name and what is to be seen.
pub type Scene = (&'static str, fn());

static MACHINE: RwLock<()> = RwLock::new(());

/// Runs the scenes, so many `beside_others` at a time, and those that need the whole machine
/// `alone`.
pub fn run(at_a_time: usize, beside_others: &[&[Scene]], alone: &[&[Scene]]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_a_time);
    let need = Need::real_redis();
    if need.is_met() && !arguments.list {
        // Builds the services, so that no scene's time goes into that.
        service_command("subscriber");
    }
    let trial = |(name, scene): Scene, alone: bool| {
        need.trial(name, move || {
            // A scene that failed has said so: the lock is as good as before.
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
