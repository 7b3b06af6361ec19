//! The task that keeps the subscriptions to shard channels where they belong.
//!
//! For the reader they are one whole: when one of them is lost there is an outage, which ends when
//! all have their place again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::LONGEST_DELAY;
use super::nodes::Nodes;
use super::shard_events::ShardEvents;
use crate::addresses::Addresses;
use crate::inbox::Inbox;
use crate::link::Loss;
use crate::outage::{Backoff, Outages};
use crate::subscriptions::{Command, GOODBYE_TIMEOUT};
use crate::{ByteString, Error, Event};

/// Where a channel is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    /// At the node of this name.
    At(String),
    /// Its owner does not allow it.
    Refused,
}

/// A request to subscribe whose channels do not all have their place yet.
pub(super) struct Unfinished {
    pub(super) command: Command,
    /// Those of its channels that were not wanted before.
    pub(super) new: Vec<ByteString>,
}

pub(crate) struct ShardSubscriptions {
    pub(super) nodes: Nodes,
    pub(super) events: Arc<ShardEvents>,
    /// Every channel that is wanted.
    pub(super) channels: BTreeMap<ByteString, Place>,
    /// The reasons of refusals that the reader knows, and refusals that it does not know yet.
    known_refusals: BTreeSet<(ByteString, String)>,
    new_refusals: Vec<(ByteString, String)>,
    moved: mpsc::UnboundedReceiver<(String, ByteString)>,
    commands: mpsc::Receiver<Command>,
    pub(super) unfinished: Vec<Unfinished>,
    outages: Outages,
    in_outage: bool,
    last_attempt_failed: bool,
    try_again: Backoff,
    try_again_at: Instant,
}

impl ShardSubscriptions {
    /// Connects to one of the nodes. If none answers, the error goes to the caller.
    pub(crate) async fn connect(
        addresses: Addresses,
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<ShardSubscriptions, Error> {
        let (signs, moved) = mpsc::unbounded_channel();
        let events = Arc::new(ShardEvents::new(inbox, signs));
        let deliver_to = events.clone();
        let deliver = Arc::new(move |node: &str, events| deliver_to.deliver(node, events));
        let mut nodes = Nodes::new(addresses, deliver);
        nodes.deaf_too = false;
        match nodes.anybody().await {
            Err(error) if error.is_deaf() => {
                tracing::warn!("{error}; there is no other");
                nodes.deaf_too = true;
                nodes.anybody().await?;
                nodes.deaf_too = false;
            }
            result => drop(result?),
        }
        Ok(ShardSubscriptions {
            nodes,
            events,
            channels: BTreeMap::new(),
            known_refusals: BTreeSet::new(),
            new_refusals: Vec::new(),
            moved,
            commands,
            unfinished: Vec::new(),
            outages: Outages::new(LONGEST_DELAY),
            in_outage: false,
            last_attempt_failed: false,
            try_again: Backoff::up_to(LONGEST_DELAY),
            try_again_at: Instant::now(),
        })
    }

    pub(crate) async fn run(mut self, closing: CancellationToken) {
        closing.run_until_cancelled(self.stay_subscribed()).await;
        self.say_goodbye().await;
    }

    async fn stay_subscribed(&mut self) {
        loop {
            self.answer_finished();
            if self.channels.values().any(|place| *place == Place::Nowhere) {
                self.attempt().await;
                continue;
            }
            self.all_is_placed();
            let looks_again = self.looks_again();
            tokio::select! {
                biased;
                (node, loss) = self.nodes.lost() => self.lost(&node, &loss),
                Some((node, channel)) = self.moved.recv() => self.has_moved(&node, &channel),
                command = self.commands.recv() => match command {
                    Some(command) => self.execute(command).await,
                    None => return,
                },
                () = sleep_until(self.try_again_at), if looks_again => {
                    self.look_again().await;
                    self.try_again_at = Instant::now() + self.try_again.next_delay();
                }
            }
        }
    }

    /// One attempt to give each channel its place, after a delay if the one before has failed.
    async fn attempt(&mut self) {
        if self.in_outage || self.last_attempt_failed {
            let end = Instant::now() + self.outages.next_delay();
            // An unsubscribe can't wait: perhaps nothing but its channel has no place.
            while let Ok(Some(command)) = timeout_at(end, self.commands.recv()).await {
                self.execute(command).await;
                self.answer_finished();
            }
        }
        if self.last_attempt_failed {
            self.nodes.ask_another();
        }
        self.look_for_losses();
        let homeless = self.channels.iter().filter(|(_, place)| **place == Place::Nowhere);
        let homeless = homeless.map(|(channel, _)| channel.clone()).collect();
        let result = self.place(homeless).await;
        self.last_attempt_failed = result.is_err();
        match result {
            Err(error) => self.outages.failed(&error),
            Ok(()) if !self.in_outage => self.outages.succeeded(),
            Ok(()) => {}
        }
        self.look_for_losses();
    }

    fn look_for_losses(&mut self) {
        while let Some((node, loss)) = self.nodes.lost().now_or_never() {
            self.lost(&node, &loss);
        }
        while let Ok((node, channel)) = self.moved.try_recv() {
            self.has_moved(&node, &channel);
        }
    }

    /// The node is lost, and with it what was subscribed to there.
    pub(super) fn lost(&mut self, node: &str, loss: &Loss) {
        self.nodes.give_up(node);
        let mut any = false;
        for place in self.channels.values_mut() {
            if matches!(place, Place::At(name) if name == node) {
                *place = Place::Nowhere;
                any = true;
            }
        }
        if any {
            self.has_a_gap(node, loss);
        }
    }

    /// The node has unsubscribed us from a channel that it does not own any more.
    fn has_moved(&mut self, node: &str, channel: &ByteString) {
        match self.channels.get_mut(channel) {
            Some(place) if *place == Place::At(node.to_owned()) => *place = Place::Nowhere,
            _ => return,
        }
        self.has_a_gap(node, &Loss::now(format!("the slot of '{channel}' has moved")));
    }

    pub(super) fn has_a_gap(&mut self, node: &str, loss: &Loss) {
        if self.in_outage {
            tracing::debug!("lost in an outage: {node}: {}", loss.reason);
            return;
        }
        self.in_outage = true;
        self.known_refusals.clear();
        // Refused channels are asked for again with the rest.
        for place in self.channels.values_mut().filter(|place| **place == Place::Refused) {
            *place = Place::Nowhere;
        }
        self.outages.begin(node, loss);
        self.events.disconnected(format!("{node}: {}", loss.reason));
    }

    fn all_is_placed(&mut self) {
        let used = |name: &String| self.channels.values().any(|at| *at == Place::At(name.clone()));
        let (used, idle): (Vec<_>, Vec<_>) = self.nodes.names().into_iter().partition(used);
        // Without channels, the node that answered first is kept: it will be asked next.
        if !used.is_empty() {
            idle.iter().for_each(|name| self.nodes.give_up(name));
        }
        if !std::mem::take(&mut self.in_outage) {
            return;
        }
        // If all channels were given up meanwhile there is no connection to report.
        self.outages.silent = used.is_empty();
        let (gap, attempts) = self.outages.end(&used.join(", "));
        self.outages.silent = false;
        let refused = self.take_refusals();
        let is_placed =
            |channel: &ByteString| matches!(self.channels.get(channel), Some(Place::At(_)));
        self.events.reconnected(gap, attempts, is_placed, refused);
        self.try_again.start_over();
        self.try_again_at = Instant::now() + self.try_again.next_delay();
    }

    /// The owner does not allow this channel any more.
    pub(super) fn is_refused(&mut self, channel: ByteString, reason: String) {
        if self.known_refusals.insert((channel.clone(), reason.clone())) {
            tracing::warn!("Redis refused SSUBSCRIBE '{channel}': {reason}");
            self.new_refusals.push((channel.clone(), reason));
        }
        self.channels.insert(channel, Place::Refused);
    }

    /// The refusals that the reader does not know yet, of channels that are still refused.
    fn take_refusals(&mut self) -> Vec<Event> {
        let new = std::mem::take(&mut self.new_refusals).into_iter();
        new.filter(|(channel, _)| self.channels.get(channel) == Some(&Place::Refused))
            .map(|(channel, reason)| Event::Refused { channel, reason })
            .collect()
    }

    /// Whether there is something that may change without any sign of it.
    fn looks_again(&self) -> bool {
        self.channels.values().any(|place| match place {
            Place::Nowhere => false,
            Place::Refused => true,
            Place::At(node) => self.nodes.is_replica(node),
        })
    }

    async fn look_again(&mut self) {
        let refused = self.channels.iter().filter(|(_, place)| **place == Place::Refused);
        let refused: Vec<_> = refused.map(|(channel, _)| channel.clone()).collect();
        // If a node can't be asked, the next time will show whether it is lost.
        let _ = self.place(refused).await;
        let new = self.take_refusals();
        self.events.inbox.push_all(new);
        self.look_for_primaries().await;
    }

    async fn execute(&mut self, command: Command) {
        if command.subscribe {
            // Otherwise calls that were given up would collect in a long outage.
            while self.give_back(|waiting| waiting.command.answer.is_closed()).await.is_some() {}
            let mut new = Vec::new();
            for channel in &command.names {
                match self.channels.get_mut(channel) {
                    Some(Place::At(_) | Place::Nowhere) => {}
                    Some(place) => *place = Place::Nowhere,
                    None => {
                        self.channels.insert(channel.clone(), Place::Nowhere);
                        new.push(channel.clone());
                    }
                }
            }
            self.unfinished.push(Unfinished { command, new });
        } else {
            for Unfinished { command: waiting, new } in &mut self.unfinished {
                waiting.names.retain(|name| !command.names.contains(name));
                new.retain(|name| !command.names.contains(name));
            }
            self.leave(&command.names).await;
            command.answer(Ok(()));
        }
    }

    /// Answers the requests that are done: each of their channels has its place, or was given up.
    fn answer_finished(&mut self) {
        let is_done = |unfinished: &mut Unfinished| {
            let mut names = unfinished.command.names.iter();
            names.all(|channel| self.channels.get(channel) != Some(&Place::Nowhere))
        };
        for Unfinished { command, .. } in self.unfinished.extract_if(.., is_done) {
            command.answer(Ok(()));
        }
    }

    async fn say_goodbye(&mut self) {
        let channels: Vec<_> = self.channels.keys().cloned().collect();
        let _ = timeout(GOODBYE_TIMEOUT, self.leave(&channels)).await;
        for name in self.nodes.names() {
            self.nodes.give_up(&name);
        }
    }
}
