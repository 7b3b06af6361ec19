//! What can go wrong, on purpose, beside a real Redis: each fault must be survived, reported and
//! recovered from.
//!
//! ```console
//! $ cargo test -p acceptance --test faults
//! $ cargo test -p acceptance --test faults -- hanging      # only these
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
mod tls;

use std::process::ExitCode;

use acceptance::{Need, Test, service_command};

/// Most of the time of these goes into waiting: they run beside each other.
const BESIDE_OTHERS: &[&[Test]] = &[
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
const ALONE: &[&[Test]] = &[ending::FLOODS, slow::FLOODS];

fn main() -> ExitCode {
    // Far more than there are cores, as nearly all of them wait.
    // Built first: some tests start their clock before they start a service.
    service_command("subscriber");
    Need::real_redis().run(12, BESIDE_OTHERS, ALONE)
}
