//! Causes faults on purpose, beside a real Redis. The services must survive, report and recover
//! from each.
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

/// These mostly wait, so they run at the same time, the longest first.
const BESIDE_OTHERS: &[&[Test]] = &[
    outages::FAULTS,
    publishing::FAULTS,
    hanging::FAULTS,
    access::FAULTS,
    addresses::FAULTS,
    ending::FAULTS,
    first_connect::FAULTS,
    reconnecting::FAULTS,
    slow::FAULTS,
    tls::FAULTS,
];
/// These use all cores, so that the others would miss their time limits.
const ALONE: &[&[Test]] = &[ending::FLOODS, slow::FLOODS];

fn main() -> ExitCode {
    // Far more than there are cores, as nearly all of them wait.
    // Built first: some tests start their clock before they start a service.
    service_command("subscriber");
    Need::real_redis().run(12, BESIDE_OTHERS, ALONE)
}
