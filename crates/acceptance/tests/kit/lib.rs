//! What the tests of whole services share: services in terminals, programs that may be missing,
//! a real Redis, redis-py.

// Only tests and benchmarks use this crate, and they fail by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

pub mod line;
mod need;
mod real_redis;
mod redis_py;
mod terminal;

pub use need::{Need, Test, is_required};
pub use real_redis::*;
pub use redis_py::{Parser, RedisPy};
pub use terminal::*;
