//! Tests that need something that not every machine has.

use std::process::Command;

use libtest_mimic::{Failed, Trial};
use local_redis::Server;

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

    /// For a test that runs everywhere.
    pub fn nothing() -> Need {
        Need::new("", None)
    }

    /// The stand-in `meebis` has no ACL, CLIENT KILL, TLS or cluster.
    pub fn real_redis() -> Need {
        let missing = "redis-server or valkey-server on the PATH".to_owned();
        Need::new("REQUIRE_REAL_REDIS", Server::real().is_none().then_some(missing))
    }

    /// A real Redis and `redis-cli`.
    pub fn redis_cli() -> Need {
        let found = Command::new("redis-cli").arg("--version").output().is_ok();
        let missing = (!found).then(|| "redis-cli on the PATH".to_owned());
        Need::real_redis().and(Need::new("REQUIRE_REAL_REDIS", missing))
    }

    /// Both of them.
    pub fn and(self, other: Need) -> Need {
        if self.missing.is_some() { self } else { other }
    }

    pub fn is_met(&self) -> bool {
        self.missing.is_none()
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
}

/// Whether this variable is set to 1.
pub fn is_required(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}
