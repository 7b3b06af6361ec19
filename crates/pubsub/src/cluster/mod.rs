//! Sharded Pub/Sub, for clusters: a channel belongs to one shard (by the slot of its name), and
//! its messages stay on the nodes of that shard. So there is a link to each node that owns one of
//! the channels (`nodes.rs`).
//!
//! - For a subscriber, `shard_subscriptions.rs` is the task. `placing.rs` subscribes to each
//!   channel at its owner, again whenever a node is lost or a slot moves; `shard_events.rs` decides
//!   what of that the reader sees.
//! - For a publisher, `shard_publishing.rs` is the task; `lost_owners.rs` decides when to try again
//!   after an owner was lost.
//!
//! Nothing here calculates slots: any node of a cluster answers a command for a channel of another
//! node with MOVED and that node's address.

use std::time::Duration;

mod lost_owners;
mod nodes;
mod placing;
mod shard_events;
mod shard_publishing;
mod shard_subscriptions;

pub(crate) use shard_publishing::ShardPublishing;
pub(crate) use shard_subscriptions::ShardSubscriptions;

/// How often one attempt follows a MOVED: nodes that do not know a new owner yet name the old one,
/// which names the new one.
const MAX_REDIRECTIONS: usize = 5;
/// Half as long as for a single Redis: in an outage there is nearly always another node that
/// answers, and a failover takes few seconds.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
const NEEDS_REDIS_7: &str = "sharded Pub/Sub needs Redis 7 or later";
const IN_CIRCLES: &str = "the nodes of the cluster name each other as the owner";
