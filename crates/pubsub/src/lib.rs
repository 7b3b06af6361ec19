//! Redis Pub/Sub for programs that must know when they have missed something.
//!
//! [`PubSub`] has the methods that the usual Python tutorial teaches (`subscribe`, `psubscribe`,
//! `listen`, `get_message`, `unsubscribe`, `punsubscribe`, `close`), [`Publisher`] has
//! `publish`. What they add to the redis crate:
//!
//! - A lost connection is noticed (within 4 s when Redis hangs, at once when it ends), reported
//!   as [`Event::Disconnected`], made again, and everything is subscribed again.
//! - A reader that is too slow costs a bounded amount of memory, and is told how many messages
//!   it missed, and where.
//! - Everything comes in one order: disconnected, reconnected, confirmations, messages. (With shard
//!   channels, those that are in order go on meanwhile.)
//!
//! What Pub/Sub itself does not give, this crate does not give either: Redis keeps no message for
//! anybody who is not connected at that moment. [`Event::Disconnected`] and
//! [`Event::Reconnected`] say when that was.
//!
//! Each difficulty has a file of its own: `link.rs` (one connection and its heartbeat),
//! `outage.rs` (how to wait and what to say meanwhile), `gate.rs` (what may be told when),
//! `inbox.rs` (bounded memory), `tls.rs` (whom to trust), `addresses.rs` (whom to ask next).
//! `driver.rs` puts them together for a subscriber, `publishing.rs` for a publisher. What sharded
//! Pub/Sub on a cluster needs besides is in the folder `sharded`.

mod address;
mod addresses;
mod byte_string;
mod driver;
mod error;
pub mod escape;
mod event;
mod frame;
mod gate;
mod inbox;
mod link;
mod outage;
mod publisher;
mod publishing;
mod sharded;
mod subscriber;
mod tap;
mod tls;

pub use byte_string::ByteString;
pub use error::Error;
pub use event::Event;
pub use publisher::Publisher;
pub use subscriber::PubSub;
