//! The library beside a real Redis: with ACLs, killed clients, replicas and clusters, which the
//! stand-in does not have.
//!
//! ```console
//! $ cargo test -p redis-pubsub-client --test real_redis
//! $ cargo test -p redis-pubsub-client --test real_redis -- deaf      # only these
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod closing;
mod deaf;
mod kit;
mod refused;
mod sharded;
mod unread;

use std::process::ExitCode;

use acceptance::Need;

fn main() -> ExitCode {
    // More than there are cores, as nearly all of them wait; the longest first.
    let tests = [deaf::TESTS, sharded::TESTS, closing::TESTS, refused::TESTS, unread::TESTS];
    Need::real_redis().run(8, &tests, &[])
}
