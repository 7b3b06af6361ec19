//! docker-compose.yml, its overlay and docker-compose.cluster.yml on a real engine, as a person
//! uses them, and the lessons about them.
//!
//! ```console
//! $ cargo test -p acceptance --test compose
//! $ REQUIRE_DOCKER=1 cargo test -p acceptance --test compose     # without Docker: fails
//! ```
//!
//! The first run builds the image, which takes minutes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod confined;
mod least_privilege;
mod pages;
mod running;
mod stack;
mod steps;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A name and what is to be seen.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Five containers each, or nine: more at once would only be slower.
    arguments.test_threads.get_or_insert(2);
    let required = std::env::var_os("REQUIRE_DOCKER").is_some_and(|value| value == "1");
    let missing = stack::missing(required);
    let trial = |&(name, test): &Test| {
        let missing = missing.clone();
        let name = match &missing {
            Some(reason) => format!("{name}: {reason}"),
            None => name.to_owned(),
        };
        let ignored = missing.is_some() && !required;
        let run = move || match missing {
            Some(reason) => Err(reason.into()),
            None => {
                test();
                Ok(())
            }
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    };
    let tests = [
        running::TESTS,
        confined::TESTS,
        least_privilege::TESTS,
        cluster::TESTS,
        steps::TESTS,
        pages::TESTS,
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().map(trial).collect()).exit_code()
}
