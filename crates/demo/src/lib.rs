//! Runs the services as processes: for the demo, and for the tests of whole services.

mod binaries;
mod process;

pub use binaries::{Binaries, SERVICES};
pub use process::Process;
