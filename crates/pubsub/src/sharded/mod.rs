//! Sharded Pub/Sub, for clusters: a channel belongs to one shard (by the slot of its name), and
//! its messages stay on the nodes of that shard. So there is a link to each node that owns one of
//! the channels (`nodes.rs`), all of them delivering into the same inbox (`told.rs`), and whenever
//! a node goes away or a slot moves, its channels are placed anew (`subscriptions.rs`, with `placing.rs` and `asking.rs`). Whom a
//! message goes to is looked up in the same way (`publishing.rs`; `unreached.rs` has what to do while an owner is away).
//!
//! Nobody here calculates slots: any node of a cluster answers a command for a channel of another
//! node with MOVED and that node's address.
//!
//! A subscriber of plain channels and patterns does not pass through any of this.

use std::time::Duration;

mod asking;
mod nodes;
mod placing;
mod publisher;
mod publishing;
mod subscriptions;
mod told;
mod unreached;

/// How often one attempt follows a MOVED: nodes that have not heard yet of a new owner name the
/// old one, which names the new one.
const MAX_REDIRECTIONS: usize = 5;
/// In an outage there is nearly always a node that answers, and a failover takes few seconds: half
/// as long as one waits for a single Redis that is away.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

pub(crate) use publisher::Publisher;
pub(crate) use subscriptions::{Command, Subscriptions};
/// Said of a server that does not know the commands.
const NEEDS_REDIS_7: &str = "sharded Pub/Sub needs Redis 7 or later";
