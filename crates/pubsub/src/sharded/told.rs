//! What the reader is told of what the nodes of a cluster deliver.
//!
//! Messages go to the inbox as they come, also in an outage: the shards that are in order go on
//! delivering, and nothing would be gained by letting their messages wait for another shard.
//! Confirmations wait in an outage: a channel is confirmed again when all are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::Event;
use crate::inbox::Inbox;

pub(crate) struct Told {
    inbox: Arc<Inbox>,
    /// Channels that a node has unsubscribed without being asked, with that node's name.
    moved: UnboundedSender<(String, Vec<u8>)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In an outage: what was confirmed meanwhile, with the count.
    held: Option<BTreeMap<Vec<u8>, u64>>,
    /// Unsubscribed by our own wish, and not confirmed yet.
    leaving: BTreeSet<Vec<u8>>,
}

impl Told {
    pub(crate) fn new(inbox: Arc<Inbox>, moved: UnboundedSender<(String, Vec<u8>)>) -> Told {
        Told { inbox, moved, state: Mutex::default() }
    }

    pub(crate) fn deliver(&self, node: &str, event: Event) {
        match &event {
            Event::SSubscribe { channel, count } => {
                if let Some(held) = &mut self.lock().held {
                    held.insert(channel.clone(), *count);
                    return;
                }
            }
            // The slot has moved to another node: no news for the reader, but the cause of some.
            Event::SUnsubscribe { channel, .. } if !self.lock().leaving.remove(channel) => {
                // Nobody is there any more when all is being closed.
                let _ = self.moved.send((node.to_owned(), channel.clone()));
                return;
            }
            _ => {}
        }
        self.inbox.push(event);
    }

    /// The next SUNSUBSCRIBE of these channels is our own wish.
    pub(crate) fn leave(&self, channels: &[Vec<u8>]) {
        self.lock().leaving.extend(channels.iter().cloned());
    }

    /// Nobody waits for these to be unsubscribed any more.
    pub(crate) fn left(&self, channels: &[Vec<u8>]) {
        self.lock().leaving.retain(|channel| !channels.contains(channel));
    }

    pub(crate) fn disconnected(&self, reason: String) {
        self.lock().held = Some(BTreeMap::new());
        self.inbox.push(Event::Disconnected { reason });
    }

    /// Everything that is `wanted` has its place again.
    pub(crate) fn reconnected(&self, gap: Duration, attempts: u32, wanted: impl Fn(&[u8]) -> bool) {
        let mut state = self.lock();
        self.inbox.push(Event::Reconnected { gap, attempts });
        for (channel, count) in state.held.take().unwrap_or_default() {
            if wanted(&channel) {
                self.inbox.push(Event::SSubscribe { channel, count });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
