//! The channels whose owner is lost: their messages are refused at once for a while, then one
//! message tries whether the owner is back. Only a message can show that: no other command needs
//! the same node and the same rights.

use std::collections::BTreeSet;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::LONGEST_DELAY;
use crate::ByteString;
use crate::link::Loss;
use crate::outage::Outages;

/// After so many published messages in a row the outage is over, also if none of them was for the
/// lost channel: perhaps nobody publishes there any more.
const RECOVERED: usize = 64;

pub(super) struct LostOwners {
    /// The channels whose last message did not reach any owner.
    channels: BTreeSet<ByteString>,
    /// Until then, messages for these channels are refused.
    wait_until: Option<Instant>,
    /// Messages that were published since the last one that was not.
    published: usize,
    reason: String,
    outages: Outages,
    in_outage: bool,
    connected: watch::Sender<bool>,
}

impl LostOwners {
    pub(super) fn new(connected: watch::Sender<bool>) -> LostOwners {
        LostOwners {
            channels: BTreeSet::new(),
            wait_until: None,
            published: 0,
            reason: String::new(),
            outages: Outages::new(LONGEST_DELAY),
            in_outage: false,
            connected,
        }
    }

    /// Returns when it is time to try again; never if nothing is lost.
    pub(super) async fn wait(&mut self) {
        match self.wait_until {
            Some(instant) => sleep_until(instant).await,
            None => std::future::pending().await,
        }
        self.wait_until = None;
        // The next message tries.
        self.connected.send_replace(true);
    }

    /// Why a message for this channel is refused now.
    pub(super) fn refuses(&self, channel: &ByteString) -> Option<&str> {
        let refuses = self.wait_until.is_some() && self.channels.contains(channel);
        refuses.then_some(&self.reason)
    }

    pub(super) fn was_published(&mut self, channel: &ByteString) {
        self.channels.remove(channel);
        // While it waits, only messages for other owners are sent, which says nothing about these.
        if self.wait_until.is_none() {
            self.published += 1;
        }
    }

    pub(super) fn was_not_published(&mut self, channel: &ByteString, reason: &str) {
        if !self.in_outage {
            self.in_outage = true;
            self.outages.begin(&format!("the owner of '{channel}'"), &Loss::now(reason.to_owned()));
        } else if reason != self.reason {
            self.outages.failed(&reason);
        }
        self.connected.send_replace(false);
        self.channels.insert(channel.clone());
        self.published = 0;
        reason.clone_into(&mut self.reason);
        if self.wait_until.is_none() {
            self.wait_until = Some(Instant::now() + self.outages.next_delay());
        }
    }

    /// To be called after each batch, with the nodes that there are links to.
    pub(super) fn look_for_the_end(&mut self, nodes: &[String]) {
        if self.in_outage && (self.channels.is_empty() || self.published >= RECOVERED) {
            self.in_outage = false;
            self.channels.clear();
            self.wait_until = None;
            self.outages.end(&nodes.join(", "));
            self.connected.send_replace(true);
        }
    }
}
