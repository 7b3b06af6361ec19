//! What the reader sees of the events that the nodes of a cluster deliver.
//!
//! Messages go to the inbox as they come, also in an outage: the other shards continue, and their
//! messages gain nothing by waiting. Confirmations wait until every channel has its place again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::inbox::Inbox;
use crate::lock::lock;
use crate::tap::Pause;
use crate::{ByteString, Event};

pub(super) struct ShardEvents {
    pub(super) inbox: Arc<Inbox>,
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

    pub(super) fn deliver(&self, node: &str, events: Vec<Event>) -> Option<Pause> {
        // Until all is in the inbox, so that nothing comes between; and before the inbox's own
        // lock, as everywhere in this file.
        let mut state = lock(&self.state);
        let events = events.into_iter().filter(|event| match event {
            Event::Subscribe { channel, count } => {
                let held = state.held.as_mut();
                held.map(|held| held.insert(channel.clone(), *count)).is_none()
            }
            Event::Unsubscribe { channel, .. } => {
                let on_request = state.leaving.remove(channel);
                if !on_request {
                    // The slot has moved to another node. An error means that all is being closed.
                    let _ = self.moved.send((node.to_owned(), channel.clone()));
                }
                // The reader does not know of a subscription from this outage.
                let is_held = state.held.as_mut().is_some_and(|h| h.remove(channel).is_some());
                on_request && !is_held
            }
            _ => true,
        });
        self.inbox.push_all(events)
    }

    /// Reports the next SUNSUBSCRIBE of these channels to the reader.
    pub(super) fn leave(&self, channels: &[ByteString]) {
        lock(&self.state).leaving.extend(channels.iter().cloned());
    }

    /// Ends what [`leave`](Self::leave) has begun.
    pub(super) fn left(&self, channels: &[ByteString]) {
        lock(&self.state).leaving.retain(|channel| !channels.contains(channel));
    }

    pub(super) fn disconnected(&self, reason: String) {
        let mut state = lock(&self.state);
        state.held = Some(BTreeMap::new());
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
        let mut state = lock(&self.state);
        let held = state.held.take().unwrap_or_default();
        let confirmed = held
            .into_iter()
            .filter(|(channel, _)| wanted(channel))
            .map(|(channel, count)| Event::Subscribe { channel, count });
        let repeated = confirmed.chain(refused).collect();
        self.inbox.change(|queue| queue.reconnected(gap, attempts, repeated));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::inbox::Bounds;

    /// Links deliver on one thread while the task ends an outage on another: both need the state
    /// and the inbox, and must lock them in the same order.
    #[test]
    fn delivering_while_an_outage_ends() {
        let (moved, _moved) = tokio::sync::mpsc::unbounded_channel();
        let inbox = Arc::new(Inbox::new(Bounds::default()));
        let events = Arc::new(ShardEvents::new(inbox, moved));
        let (done, is_done) = mpsc::channel();
        let (delivering, finished) = (events.clone(), done.clone());
        thread::spawn(move || {
            for count in 0..20_000 {
                let event = Event::Subscribe { channel: "a".into(), count };
                delivering.deliver("node", vec![event]);
            }
            finished.send(()).unwrap();
        });
        thread::spawn(move || {
            for _ in 0..20_000 {
                events.disconnected("test".into());
                events.reconnected(Duration::ZERO, 1, |_| true, Vec::new());
            }
            done.send(()).unwrap();
        });
        for _ in 0..2 {
            is_done.recv_timeout(Duration::from_secs(20)).expect("they wait for each other");
        }
    }
}
