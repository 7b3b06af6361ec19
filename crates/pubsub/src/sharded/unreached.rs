//! The channels whose owner is away: their messages are refused at once for a while, then one
//! message tries whether it is back. Only a message can show that: nothing else that a publisher
//! may ask needs the same node and the same rights.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::LONGEST_DELAY;
use super::publishing::{Message, refuse};
use crate::link::Loss;
use crate::outage::Outages;

/// So many messages in a row that were taken are the end of an outage, also if none of them was
/// for the channel that could not be reached: perhaps nobody publishes there any more.
const RECOVERED: usize = 64;

pub(super) struct Unreached {
    /// The channels whose last message did not reach any owner.
    channels: BTreeSet<Vec<u8>>,
    /// Until then, messages for these are refused.
    wait_until: Option<Instant>,
    /// How many messages were taken since the last that was not.
    taken: usize,
    reason: String,
    outages: Outages,
    connected: watch::Sender<bool>,
    one_may_try: Arc<Notify>,
}

impl Unreached {
    pub(super) fn new(connected: watch::Sender<bool>, one_may_try: Arc<Notify>) -> Unreached {
        Unreached {
            channels: BTreeSet::new(),
            wait_until: None,
            taken: 0,
            reason: String::new(),
            outages: Outages::with_longest_delay(LONGEST_DELAY),
            connected,
            one_may_try,
        }
    }

    /// Returns when it is time to try again; never if there is nothing to wait for.
    pub(super) async fn wait(&mut self) {
        match self.wait_until {
            Some(instant) => sleep_until(instant).await,
            None => std::future::pending().await,
        }
        self.wait_until = None;
        self.one_may_try.notify_one();
    }

    /// Gives the message back, if it is to be sent.
    pub(super) fn refuse(&self, message: Message) -> Option<Message> {
        if self.wait_until.is_none() || !self.channels.contains(&message.channel) {
            return Some(message);
        }
        refuse(message, &self.reason);
        None
    }

    pub(super) fn was_taken(&mut self, channel: &[u8]) {
        self.channels.remove(channel);
        // While it waits only the others are sent, which says nothing about these.
        if self.wait_until.is_none() {
            self.taken += 1;
        }
    }

    pub(super) fn was_not_taken(&mut self, channel: &[u8], reason: &str) {
        if *self.connected.borrow() {
            let owner = format!("the owner of '{}'", channel.escape_ascii());
            self.outages.begin(&owner, &Loss::now(reason.to_owned()));
        } else if reason != self.reason {
            self.outages.failed(&reason);
        }
        self.connected.send_replace(false);
        self.channels.insert(channel.to_vec());
        self.taken = 0;
        reason.clone_into(&mut self.reason);
        if self.wait_until.is_none() {
            self.wait_until = Some(Instant::now() + self.outages.next_delay());
        }
    }

    /// To be called after each batch. Until all channels are reached again, messages pass one by
    /// one, as each may be lost.
    pub(super) fn look_for_the_end(&mut self, nodes: &[String]) {
        if *self.connected.borrow() {
            return;
        }
        if self.channels.is_empty() || self.taken >= RECOVERED {
            self.channels.clear();
            self.wait_until = None;
            self.outages.end(&nodes.join(", "));
            self.connected.send_replace(true);
        } else if self.wait_until.is_none() {
            self.one_may_try.notify_one();
        }
    }
}
