//! Tests that need a program that may be missing on a machine.

use std::process::{Command, ExitCode};
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Failed, Trial};
use local_redis::Server;

/// The name of a test, and the test.
pub type Test = (&'static str, fn());

/// A program that may be missing: a real Redis, Docker, Python.
///
/// A test without it shows as ignored, with the reason in its name. It fails instead if the
/// variable (such as `REQUIRE_REAL_REDIS`) is set to 1.
#[derive(Clone)]
pub struct Need {
    variable: &'static str,
    missing: Option<String>,
}

impl Need {
    /// A need whose tests fail if `variable` is 1 and something is `missing`.
    pub fn new(variable: &'static str, missing: Option<String>) -> Need {
        Need { variable, missing }
    }

    /// The need of a test that runs on every machine.
    pub fn nothing() -> Need {
        Need::new("", None)
    }

    /// `redis-server` or `valkey-server`. The stand-in `meebis` has no ACL, CLIENT KILL, TLS or
    /// cluster.
    pub fn real_redis() -> Need {
        let missing = "redis-server or valkey-server on the PATH".to_owned();
        Need::new("REQUIRE_REAL_REDIS", Server::real().is_err().then_some(missing))
    }

    /// A real Redis and `redis-cli`.
    pub fn redis_cli() -> Need {
        let found = Command::new("redis-cli").arg("--version").output().is_ok();
        let missing = (!found).then(|| "redis-cli on the PATH".to_owned());
        Need::real_redis().and(Need::new("REQUIRE_REAL_REDIS", missing))
    }

    /// Both needs; a test shows the first that is not met.
    pub fn and(self, other: Need) -> Need {
        if self.missing.is_some() { self } else { other }
    }

    pub fn trial(
        &self,
        name: &str,
        test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        let Some(missing) = self.missing.clone() else { return Trial::test(name, test) };
        let required = is_required(self.variable);
        let failed = Failed::from(format!("{}=1 is set, and there is no {missing}", self.variable));
        Trial::test(format!("{name}: needs {missing}"), || Err(failed)).with_ignored_flag(!required)
    }

    /// Runs `at_once` of these tests at a time, then each test of `alone` by itself.
    ///
    /// Tests that mostly wait can be more at a time than the machine has cores.
    pub fn run(self, at_once: usize, together: &[&[Test]], alone: &[&[Test]]) -> ExitCode {
        static MACHINE: RwLock<()> = RwLock::new(());
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(at_once);
        let trial = |&(name, test): &Test, alone: bool| {
            self.trial(name, move || {
                // A failed test poisons the lock, which protects no data.
                let _shared =
                    (!alone).then(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
                let _all = alone.then(|| MACHINE.write().unwrap_or_else(PoisonError::into_inner));
                test();
                Ok(())
            })
        };
        let together = together.iter().copied().flatten().map(|test| trial(test, false));
        let alone = alone.iter().copied().flatten().map(|test| trial(test, true));
        libtest_mimic::run(&arguments, together.chain(alone).collect()).exit_code()
    }
}

/// Whether this variable is set to 1.
pub fn is_required(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}
