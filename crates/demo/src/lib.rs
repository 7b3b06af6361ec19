//! Builds the services and runs them as processes, for the demo, the tests and the benchmark.

mod binaries;
mod process;

pub use binaries::{Binaries, SERVICES};
pub use process::Process;
