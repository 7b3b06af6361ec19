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

use acceptance::{Need, is_required};
use libtest_mimic::Arguments;

/// A name and what is to be seen.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Five containers each, or nine: more at once would only be slower.
    arguments.test_threads.get_or_insert(2);
    let docker = Need::new("REQUIRE_DOCKER", stack::missing(is_required("REQUIRE_DOCKER")));
    let trial = |&(name, test): &Test| {
        docker.trial(name, move || {
            test();
            Ok(())
        })
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
