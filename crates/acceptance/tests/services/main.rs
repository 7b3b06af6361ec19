//! The three services as processes, beside a Redis or its stand-in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod arguments;
mod ending;
mod json;
mod messages;
mod outages;
mod safety;
