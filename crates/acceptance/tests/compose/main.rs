//! docker-compose.yml, its overlay and docker-compose.cluster.yml on a real Docker engine, and the
//! lessons about them.
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

fn main() -> ExitCode {
    let docker = Need::new("REQUIRE_DOCKER", stack::missing(is_required("REQUIRE_DOCKER")));
    let tests = [
        running::TESTS,
        confined::TESTS,
        least_privilege::TESTS,
        cluster::TESTS,
        steps::TESTS,
        pages::TESTS,
    ];
    // Each starts five or nine containers: more at a time would only be slower.
    docker.run(2, &tests, &[])
}
