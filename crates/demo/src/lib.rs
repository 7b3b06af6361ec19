//! Runs the services as processes: for the demo, for the tests of whole services, and to
//! measure them.

mod binaries;
mod process;

pub use binaries::{Binaries, SERVICES};
pub use process::Process;
