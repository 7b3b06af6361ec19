//! Subscribing to each channel at the node that owns its slot, and giving channels up.

use std::collections::BTreeMap;

use super::shard_subscriptions::{Place, ShardSubscriptions, Unfinished};
use super::{IN_CIRCLES, MAX_REDIRECTIONS, NEEDS_REDIS_7};
use crate::address::Address;
use crate::answer::{Answer, ask_for_each};
use crate::error::{is_unknown_command, said};
use crate::kind::quoted;
use crate::link::Loss;
use crate::subscriptions::Command;
use crate::{ByteString, Error};

/// Channels that another node owns, by that node's name.
type Moved = BTreeMap<String, (Address, Vec<ByteString>)>;

impl ShardSubscriptions {
    /// Subscribes to these channels. If it fails, what it has achieved stays.
    pub(super) async fn place(&mut self, channels: Vec<ByteString>) -> Result<(), Error> {
        let mut asking = BTreeMap::new();
        if !channels.is_empty() {
            asking.insert(self.nodes.anybody().await?, channels);
        }
        let mut result = Ok(());
        for _ in 0..=MAX_REDIRECTIONS {
            let mut moved = Moved::new();
            for (node, channels) in std::mem::take(&mut asking) {
                result = result.and(self.ask(&node, channels, &mut moved).await);
            }
            for (address, channels) in moved.into_values() {
                match self.nodes.connect(&address).await {
                    Ok(node) => drop(asking.insert(node, channels)),
                    Err(error) => result = result.and(Err(error)),
                }
            }
            if asking.is_empty() {
                return result;
            }
        }
        result.and(Err(refused(asking.values().flatten(), IN_CIRCLES)))
    }

    /// Asks this node to subscribe to these. Channels that another node owns are put into `moved`.
    async fn ask(
        &mut self,
        node: &str,
        mut channels: Vec<ByteString>,
        moved: &mut Moved,
    ) -> Result<(), Error> {
        // Some may have been given up since another node named this one.
        channels.retain(|channel| self.channels.contains_key(channel));
        let Some(link) = self.nodes.link(node) else { return Ok(()) };
        let subscribing = channels.iter().map(|channel| ("SSUBSCRIBE", channel));
        let answers = match ask_for_each(&link, subscribing).await {
            Ok(answers) => answers,
            Err(loss) => {
                self.lost(node, &loss);
                let address = node.to_owned();
                return Err(Error::Unreachable { address, reason: loss.reason });
            }
        };
        let mut result = Ok(());
        let (mut given_up, mut given_back) = (Vec::new(), Vec::new());
        for (channel, answer) in channels.into_iter().zip(answers) {
            let error = match answer {
                // The link was lost while an earlier answer was dealt with: try again.
                Answer::Confirmed if self.nodes.link(node).is_none() => continue,
                Answer::Confirmed => {
                    match self.channels.get_mut(&channel) {
                        Some(place) => *place = Place::At(node.to_owned()),
                        // With another one of the same request, which was refused.
                        None => given_up.push(channel),
                    }
                    continue;
                }
                Answer::Moved(error) => match self.nodes.redirected(node, &error) {
                    Some(address) => {
                        let name = address.shown.clone();
                        moved.entry(name).or_insert((address, Vec::new())).1.push(channel);
                        continue;
                    }
                    None => error,
                },
                Answer::NoPermission(reason) => {
                    let error = refused([&channel], &reason);
                    let names_it = |waiting: &Unfinished| waiting.command.names.contains(&channel);
                    while let Some(command) = self.give_back(names_it).await {
                        given_back.push((command, error.clone()));
                    }
                    // It was wanted before.
                    if self.channels.contains_key(&channel) {
                        self.is_refused(channel, reason);
                    }
                    continue;
                }
                Answer::Failed(error) => {
                    let reason = match is_unknown_command(&error) {
                        true => NEEDS_REDIS_7.to_owned(),
                        false => said(&error),
                    };
                    let error = refused([&channel], &reason);
                    match self.give_back(|waiting| waiting.new.contains(&channel)).await {
                        Some(command) => given_back.push((command, error)),
                        None => result = result.and(Err(error)),
                    }
                    continue;
                }
                Answer::NotNow(error) => error,
            };
            result = result.and(Err(refused([&channel], &said(&error))));
        }
        self.leave_node_on_request(node, &given_up).await;
        for (command, error) in given_back {
            command.answer(Err(error));
        }
        result
    }

    /// All or nothing: the new channels of the first such request that is not answered yet are
    /// given up. Returns it, to be answered.
    pub(super) async fn give_back(
        &mut self,
        is_it: impl Fn(&Unfinished) -> bool,
    ) -> Option<Command> {
        let position = self.unfinished.iter().position(is_it)?;
        let Unfinished { command, new } = self.unfinished.remove(position);
        let mut given_up = Vec::new();
        for channel in new {
            // Another request may wait for it as well.
            let mut others = self.unfinished.iter_mut();
            match others.find(|other| other.command.names.contains(&channel)) {
                Some(other) => other.new.push(channel),
                None => given_up.push(channel),
            }
        }
        self.leave(&given_up).await;
        Some(command)
    }

    /// A channel that is at a replica, for want of a primary when it was placed, moves to the
    /// primary when there is one.
    pub(super) async fn look_for_primaries(&mut self) {
        let mut at_replicas = Vec::new();
        for (channel, place) in &self.channels {
            if let Place::At(node) = place
                && self.nodes.is_replica(node)
            {
                at_replicas.push((channel.clone(), node.clone()));
            }
        }
        if at_replicas.is_empty() {
            return;
        }
        let Ok(primary) = self.nodes.anybody().await else { return };
        if self.nodes.is_replica(&primary) {
            return;
        }
        let Some(link) = self.nodes.link(&primary) else { return };
        // This changes nothing, as there is no such subscription at that node, and is answered as
        // a SSUBSCRIBE would be: with MOVED if another node owns the channel.
        let channels: Vec<_> = at_replicas.iter().map(|(channel, _)| channel.clone()).collect();
        let Ok(answers) = ask_for_each(&link, unsubscribing(&channels)).await else { return };
        for ((channel, replica), answer) in at_replicas.into_iter().zip(answers) {
            let owner = match answer {
                Answer::Confirmed => primary.clone(),
                Answer::Moved(error) => match self.nodes.redirected(&primary, &error) {
                    Some(address) => address.shown,
                    None => continue,
                },
                // There is no owner yet.
                _ => continue,
            };
            if owner == replica {
                self.nodes.is_promoted(&replica);
                continue;
            }
            self.channels.insert(channel.clone(), Place::Nowhere);
            let reason = format!("'{channel}' has a primary again: {owner}");
            self.has_a_gap(&replica, &Loss::now(reason));
            self.leave_node(&replica, &[channel]).await;
        }
    }

    /// Ends these subscriptions. If that fails, their link is lost, and they with it.
    pub(super) async fn leave(&mut self, channels: &[ByteString]) {
        let mut at: BTreeMap<String, Vec<ByteString>> = BTreeMap::new();
        for channel in channels {
            if let Some(Place::At(node)) = self.channels.remove(channel) {
                at.entry(node).or_default().push(channel.clone());
            }
        }
        for (node, channels) in at {
            self.leave_node_on_request(&node, &channels).await;
        }
    }

    /// The reader sees the confirmations.
    async fn leave_node_on_request(&mut self, node: &str, channels: &[ByteString]) {
        self.events.leave(channels);
        self.leave_node(node, channels).await;
        self.events.left(channels);
    }

    async fn leave_node(&mut self, node: &str, channels: &[ByteString]) {
        let Some(link) = self.nodes.link(node).filter(|_| !channels.is_empty()) else { return };
        if let Err(loss) = ask_for_each(&link, unsubscribing(channels)).await {
            self.lost(node, &loss);
        }
    }
}

fn unsubscribing(channels: &[ByteString]) -> impl Iterator<Item = (&'static str, &ByteString)> {
    channels.iter().map(|channel| ("SUNSUBSCRIBE", channel))
}

fn refused<'a>(channels: impl IntoIterator<Item = &'a ByteString>, reason: &str) -> Error {
    Error::Command { command: "SSUBSCRIBE", names: quoted(channels), reason: reason.to_owned() }
}
