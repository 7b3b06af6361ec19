//! Runs the services as processes: for the demo, for the tests of whole services, and to
//! measure them.

mod binaries;
mod process;
mod redis_py;

pub use binaries::{Binaries, SERVICES};
pub use process::Process;
pub use redis_py::{Parser, RedisPy};
