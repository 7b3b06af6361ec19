//! What the tests of whole services share: terminals with a service in each, a real Redis where
//! a test needs one, redis-py.

// Only tests and benchmarks use this crate, where a panic is the way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

pub mod line;
mod need;
pub mod real_redis;
mod redis_py;
mod terminal;

pub use need::{Need, is_required};
pub use redis_py::{Parser, RedisPy};
pub use terminal::*;
