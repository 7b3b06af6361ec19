//! What the reader sees of the events that the nodes of a cluster deliver.
//!
//! Messages go to the inbox as they come, also in an outage: the other shards continue, and their
//! messages gain nothing by waiting. Confirmations wait until every channel has its place again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::inbox::Inbox;
use crate::{ByteString, Event};

pub(super) struct ShardEvents {
    inbox: Arc<Inbox>,
    /// Channels that a node has unsubscribed without being asked, with that node's name.
    moved: UnboundedSender<(String, ByteString)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In an outage: the channels that were confirmed meanwhile, with Redis's count.
    held: Option<BTreeMap<ByteString, u64>>,
    /// Channels that are being unsubscribed on request.
    leaving: BTreeSet<ByteString>,
}

impl ShardEvents {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        moved: UnboundedSender<(String, ByteString)>,
    ) -> ShardEvents {
        ShardEvents { inbox, moved, state: Mutex::default() }
    }

    pub(super) fn deliver(&self, node: &str, events: Vec<Event>) {
        let events = events.into_iter().filter(|event| match event {
            Event::Subscribe { channel, count } => {
                let mut state = self.lock();
                let held = state.held.as_mut();
                held.map(|held| held.insert(channel.clone(), *count)).is_none()
            }
            Event::Unsubscribe { channel, .. } => {
                let on_request = self.lock().leaving.remove(channel);
                if !on_request {
                    // The slot has moved to another node. An error means that all is being closed.
                    let _ = self.moved.send((node.to_owned(), channel.clone()));
                }
                on_request
            }
            _ => true,
        });
        self.inbox.push_all(events);
    }

    /// Reports the next SUNSUBSCRIBE of these channels to the reader.
    pub(super) fn leave(&self, channels: &[ByteString]) {
        self.lock().leaving.extend(channels.iter().cloned());
    }

    /// Ends what [`leave`](Self::leave) has begun.
    pub(super) fn left(&self, channels: &[ByteString]) {
        self.lock().leaving.retain(|channel| !channels.contains(channel));
    }

    pub(super) fn disconnected(&self, reason: String) {
        self.lock().held = Some(BTreeMap::new());
        self.inbox.push_all([Event::Disconnected { reason }]);
    }

    /// Everything that is `wanted` has its place again, except what was `refused`.
    pub(super) fn reconnected(
        &self,
        gap: Duration,
        attempts: u32,
        wanted: impl Fn(&ByteString) -> bool,
        refused: Vec<Event>,
    ) {
        let mut state = self.lock();
        let held = state.held.take().unwrap_or_default();
        let confirmed = held
            .into_iter()
            .filter(|(channel, _)| wanted(channel))
            .map(|(channel, count)| Event::Subscribe { channel, count });
        let repeated = confirmed.chain(refused).collect();
        self.inbox.change(|queue| queue.reconnected(gap, attempts, repeated));
    }

    pub(super) fn refused(&self, refused: Vec<Event>) {
        self.inbox.push_all(refused);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
