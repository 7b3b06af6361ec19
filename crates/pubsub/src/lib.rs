//! Redis Pub/Sub for programs that must know when they have missed something.
//!
//! [`PubSub`] has the methods that the usual Python tutorial teaches (`subscribe`, `psubscribe`,
//! `listen`, `get_message`, `unsubscribe`, `punsubscribe`, `close`), [`Publisher`] has
//! `publish`. What they add to the redis crate:
//!
//! - A lost connection is noticed (within 4 s when Redis hangs, at once when it ends), reported
//!   as [`Event::Disconnected`], and made again; then everything is subscribed again.
//! - A reader that is too slow costs a bounded amount of memory, and learns how many messages it
//!   missed, and where.
//! - Events have one order: disconnected, reconnected, confirmations, messages. (With sharded
//!   Pub/Sub the channels of other nodes continue meanwhile.)
//!
//! This crate cannot add what Pub/Sub itself does not have: Redis keeps no message for a
//! subscriber that is not connected at that moment. [`Event::Disconnected`] and
//! [`Event::Reconnected`] say when that was.
//!
//! # Why it does not use the redis crate's `ConnectionManager`
//!
//! `docs/clients.md` of the repository compares them in runs (redis 1.8.1). After 40 s without
//! Redis, `ConnectionManager` with its default retries did not come back. When Redis refused to
//! subscribe it again, it stayed connected and deaf, also when tuned. A PING without an answer did
//! not make it reconnect. Its messages wait in a channel without a bound: 500,000 unread messages
//! of 100 bytes took 220 MB there, and 22 MB here, where the dropped ones are counted. After a
//! short restart it is as fast as this crate, and it reports the lost connection in the stream.
//!
//! # How it is built
//!
//! Each difficulty has a file of its own:
//!
//! - `socket.rs` opens the stream of bytes, with the certificates of `tls.rs`; `tap.rs` takes the
//!   messages out of it before the redis crate decodes the rest (`frame.rs` finds where each
//!   ends);
//! - `link.rs` is one connection and its heartbeat, `role.rs` knows servers that answer but get no
//!   messages;
//! - `gate.rs` decides what a new connection may deliver when, `inbox.rs` bounds the memory,
//!   `outage.rs` has the delays and the log of an outage, `addresses.rs` the next server to try;
//! - `subscriptions.rs` (each of whose attempts to connect is in `attempt.rs`) and `publishing.rs` are
//!   the tasks that put these together, `task.rs` is how they end.
//!
//! What a cluster needs besides is in the folder `cluster`.

mod address;
mod addresses;
mod answer;
mod attempt;
mod byte_string;
mod cluster;
mod error;
pub mod escape;
mod event;
mod frame;
mod gate;
mod inbox;
mod kind;
mod link;
mod lock;
mod outage;
mod publisher;
mod publishing;
mod pubsub;
mod role;
mod socket;
mod stats;
mod subscriptions;
mod tap;
mod task;
mod tls;

pub use byte_string::ByteString;
pub use error::Error;
pub use event::Event;
pub use publisher::{Publisher, PublisherBuilder};
pub use pubsub::{Events, PubSub, PubSubBuilder};
pub use stats::Stats;

/// The quick start of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
