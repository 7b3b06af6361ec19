//! Subscribing to each channel at the node that owns its slot, and giving channels up.

use std::collections::BTreeMap;

use super::asking::{Answer, each, quoted, refused};
use super::subscriptions::Subscriptions;
use super::{MAX_REDIRECTIONS, NEEDS_REDIS_7};
use crate::Error;
use crate::address::Address;
use crate::error::{is_unknown_command, said};
use crate::link::Loss;

impl Subscriptions {
    /// Subscribes to everything that has no place. What it has got done it keeps when it fails.
    pub(super) async fn place(&mut self) -> Result<(), Error> {
        let homeless = self.channels.iter().filter(|(_, place)| place.is_none());
        let mut asking = BTreeMap::new();
        let all: Vec<_> = homeless.map(|(channel, _)| channel.clone()).collect();
        if !all.is_empty() {
            asking.insert(self.nodes.anybody().await?, all);
        }
        let mut result = Ok(());
        for _ in 0..=MAX_REDIRECTIONS {
            let mut moved = BTreeMap::new();
            for (node, channels) in std::mem::take(&mut asking) {
                match self.ask(&node, channels, &mut moved).await {
                    Ok(()) => {}
                    Err(error) => result = result.and(Err(error)),
                }
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
        let names = quoted(asking.values().flatten());
        result.and(Err(refused(&names, "the nodes of the cluster send from one to the other")))
    }

    /// Asks this node to subscribe to these. Where it names other nodes they are put into `moved`.
    async fn ask(
        &mut self,
        node: &str,
        mut channels: Vec<Vec<u8>>,
        moved: &mut BTreeMap<String, (Address, Vec<Vec<u8>>)>,
    ) -> Result<(), Error> {
        // Some may have been given up since another node sent us here.
        channels.retain(|channel| self.channels.contains_key(channel));
        let Some(link) = self.nodes.link(node) else { return Ok(()) };
        let answers = match each(&link, "SSUBSCRIBE", &channels).await {
            Ok(answers) => answers,
            Err(reason) => {
                self.lost(node, &Loss::now(reason.clone()));
                return Err(Error::Unreachable { address: node.to_owned(), reason });
            }
        };
        let mut result = Ok(());
        let mut given_up = Vec::new();
        for (channel, answer) in channels.into_iter().zip(answers) {
            let error = match answer {
                Answer::Subscribed => {
                    match self.channels.get_mut(&channel) {
                        Some(place) => *place = Some(node.to_owned()),
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
                Answer::Refused(error) => {
                    let reason = match is_unknown_command(&error) {
                        true => NEEDS_REDIS_7.to_owned(),
                        false => said(&error),
                    };
                    let error = refused(&quoted([&channel]), &reason);
                    // Where this is what was just asked for, the caller gets the error.
                    if let Some(error) = self.give_back(&channel, error).await {
                        result = result.and(Err(error));
                    }
                    continue;
                }
                Answer::NotNow(error) => error,
            };
            result = result.and(Err(refused(&quoted([&channel]), &said(&error))));
        }
        self.leave_node(node, &given_up).await;
        result
    }

    /// All or nothing: if the channel belongs to a request that is not answered yet, the others of
    /// it are given up too. Otherwise the error comes back.
    async fn give_back(&mut self, channel: &[u8], error: Error) -> Option<Error> {
        match self.unfinished.take() {
            Some((command, new)) if new.iter().any(|new| new == channel) => {
                self.leave(&new).await;
                let _ = command.answer.send(Err(error));
                None
            }
            other => {
                self.unfinished = other;
                // Given up by an earlier answer to the same request.
                self.channels.contains_key(channel).then_some(error)
            }
        }
    }

    /// Ends these subscriptions. Nothing is left of them when that fails: then their link is gone.
    pub(super) async fn leave(&mut self, channels: &[Vec<u8>]) {
        let mut at: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for channel in channels {
            if let Some(Some(node)) = self.channels.remove(channel) {
                at.entry(node).or_default().push(channel.clone());
            }
        }
        for (node, channels) in at {
            self.leave_node(&node, &channels).await;
        }
    }

    async fn leave_node(&mut self, node: &str, channels: &[Vec<u8>]) {
        let Some(link) = self.nodes.link(node).filter(|_| !channels.is_empty()) else { return };
        self.told.leave(channels);
        if let Err(reason) = each(&link, "SUNSUBSCRIBE", channels).await {
            self.lost(node, &Loss::now(reason));
        }
        self.told.left(channels);
    }
}
