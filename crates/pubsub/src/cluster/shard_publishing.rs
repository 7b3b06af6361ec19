//! The task that publishes on shard channels, each message at the node that owns its channel.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{RedisResult, RetryMethod};
use tokio::sync::watch;

use super::lost_owners::LostOwners;
use super::nodes::Nodes;
use super::{IN_CIRCLES, MAX_REDIRECTIONS, NEEDS_REDIS_7};
use crate::address::Address;
use crate::addresses::Addresses;
use crate::error::{is_unknown_command, said};
use crate::publishing::{Message, Queue, answer, not_confirmed, take_apart};
use crate::role::Role;
use crate::{ByteString, Error};

/// How many owners are remembered. When there are more channels all are forgotten, and looked up
/// again.
const MAX_OWNERS: usize = 4096;

pub(crate) struct ShardPublishing {
    nodes: Nodes,
    /// The node that has published the last message for a channel, or was named as its owner.
    owners: HashMap<ByteString, String>,
    lost_owners: LostOwners,
}

/// A message and its place in the list of answers.
type Numbered = (usize, Message);

type Answers = Vec<Result<u64, Error>>;

impl ShardPublishing {
    pub(crate) async fn connect(
        addresses: Addresses,
        connected: watch::Sender<bool>,
    ) -> Result<ShardPublishing, Error> {
        // Nothing is subscribed to on these connections, so no event ever comes.
        let nodes = Nodes::new(addresses, Arc::new(|_, _| None));
        let lost_owners = LostOwners::new(connected);
        let mut publishing = ShardPublishing { nodes, owners: HashMap::new(), lost_owners };
        publishing.anybody().await?;
        Ok(publishing)
    }

    pub(crate) async fn run(mut self, mut queue: Queue) {
        loop {
            tokio::select! {
                (node, loss) = self.nodes.lost() => {
                    // A message will show whether that matters.
                    tracing::debug!("lost the connection to Redis at {node}: {}", loss.reason);
                    self.forget(&node);
                }
                () = self.lost_owners.wait() => self.nodes.ask_another(),
                batches = queue.next() => {
                    if batches.is_empty() {
                        return;
                    }
                    let (messages, asked) = take_apart(batches);
                    answer(asked, self.publish(messages).await);
                    self.lost_owners.look_for_the_end(&self.nodes.names());
                }
            }
        }
    }

    async fn publish(&mut self, messages: Vec<Message>) -> Answers {
        let mut answers: Answers = vec![Err(not_confirmed("its node was lost")); messages.len()];
        let mut to_send = Vec::new();
        for (number, message) in messages.into_iter().enumerate() {
            match self.lost_owners.refuses(&message.channel) {
                Some(reason) => answers[number] = Err(not_confirmed(reason)),
                None => to_send.push((number, message)),
            }
        }
        for _ in 0..=MAX_REDIRECTIONS {
            let by_node = self.by_owner(to_send, &mut answers).await;
            to_send = self.send(by_node, &mut answers).await;
            if to_send.is_empty() {
                return answers;
            }
        }
        for numbered in to_send {
            self.not_published(numbered, IN_CIRCLES, &mut answers);
        }
        answers
    }

    /// Where the owner is not known, any node will name it.
    async fn by_owner(
        &mut self,
        messages: Vec<Numbered>,
        answers: &mut Answers,
    ) -> BTreeMap<String, Vec<Numbered>> {
        let mut by_node = BTreeMap::<_, Vec<_>>::new();
        let mut anybody = None;
        for (number, message) in messages {
            let owner = self.owners.get(&message.channel).cloned();
            let node = match (owner, &anybody) {
                (Some(owner), _) => Ok(owner),
                (None, Some(anybody)) => Clone::clone(anybody),
                (None, None) => anybody.insert(self.anybody().await).clone(),
            };
            match node {
                Ok(node) => by_node.entry(node).or_default().push((number, message)),
                Err(error) => self.not_published((number, message), &error.to_string(), answers),
            }
        }
        by_node
    }

    async fn anybody(&mut self) -> Result<String, Error> {
        let node = self.nodes.anybody().await?;
        match self.nodes.link(&node).map(|link| link.role()) {
            Some(Role::Replica) => Err(Error::Replica { address: node }),
            _ => Ok(node),
        }
    }

    /// Sends to all nodes at once. Returns what has to be sent again, to other nodes.
    async fn send(
        &mut self,
        mut by_node: BTreeMap<String, Vec<Numbered>>,
        answers: &mut Answers,
    ) -> Vec<Numbered> {
        let sending = by_node.iter().map(|(node, messages)| {
            let commands: Vec<_> = messages.iter().map(|(_, m)| m.command.clone()).collect();
            let (node, link) = (node.clone(), self.nodes.link(node));
            async move {
                let Some(link) = link else { return (node, Ok(Vec::new())) };
                let said = link.ask(commands.into_iter()).await;
                (node, said.map_err(|error| link.loss_by(&error).reason))
            }
        });
        let mut sending: FuturesUnordered<_> = sending.collect();
        let mut moved = BTreeMap::new();
        let mut again = Vec::new();
        while !by_node.is_empty() {
            let (node, result) = tokio::select! {
                Some(said) = sending.next() => said,
                (node, loss) = self.nodes.lost() => (node, Err(loss.reason)),
            };
            let messages = by_node.remove(&node).unwrap_or_default();
            match result {
                Ok(said) => {
                    again.extend(self.answered(&node, messages, said, &mut moved, answers));
                }
                // Redis may have got these.
                Err(reason) => {
                    self.forget(&node);
                    for numbered in messages {
                        self.not_published(numbered, &reason, answers);
                    }
                }
            }
        }
        for address in moved.into_values() {
            if let Err(error) = self.nodes.connect(&address).await {
                let owners = &self.owners;
                let is_lost =
                    |(_, message): &Numbered| owners.get(&message.channel) == Some(&address.shown);
                let (lost, rest): (Vec<_>, _) = again.into_iter().partition(is_lost);
                again = rest;
                for numbered in lost {
                    self.not_published(numbered, &error.to_string(), answers);
                }
            }
        }
        again
    }

    /// Returns the messages that belong to another node, which is added to `moved`.
    fn answered(
        &mut self,
        node: &str,
        messages: Vec<Numbered>,
        said_of_each: Vec<RedisResult<u64>>,
        moved: &mut BTreeMap<String, Address>,
        answers: &mut Answers,
    ) -> Vec<Numbered> {
        let mut again = Vec::new();
        // A message that was not published must not be sent after a later one that was.
        let mut last_published = HashMap::new();
        for ((number, message), said) in messages.iter().zip(&said_of_each) {
            if said.is_ok() {
                last_published.insert(message.channel.clone(), *number);
            }
        }
        for ((number, message), said_of_it) in messages.into_iter().zip(said_of_each) {
            let channel = &message.channel;
            let error = match said_of_it {
                Ok(receivers) => {
                    self.remember(channel, node);
                    self.lost_owners.was_published(channel);
                    answers[number] = Ok(receivers);
                    continue;
                }
                Err(error) => error,
            };
            match (error.retry_method(), self.nodes.redirected(node, &error)) {
                (RetryMethod::MovedRedirect, Some(address))
                    if last_published.get(channel).is_none_or(|&last| last < number) =>
                {
                    self.remember(channel, &address.shown);
                    moved.insert(address.shown.clone(), address);
                    again.push((number, message));
                }
                // The cluster is electing a new owner, or the node is loading its data.
                (RetryMethod::WaitAndRetry | RetryMethod::AskRedirect, _) => {
                    self.not_published((number, message), &said(&error), answers);
                }
                // Another attempt would not change this: the owner was reached.
                _ => {
                    self.lost_owners.was_published(channel);
                    let reason = match is_unknown_command(&error) {
                        true => NEEDS_REDIS_7,
                        false => &said(&error),
                    };
                    answers[number] = Err(not_confirmed(reason));
                }
            }
        }
        again
    }

    fn remember(&mut self, channel: &ByteString, owner: &str) {
        if self.owners.get(channel).is_some_and(|known| known == owner) {
            return;
        }
        if self.owners.len() >= MAX_OWNERS {
            self.owners.clear();
        }
        self.owners.insert(channel.clone(), owner.to_owned());
    }

    fn forget(&mut self, node: &str) {
        self.nodes.give_up(node);
        self.owners.retain(|_, owner| owner != node);
    }

    /// No node could be asked, or there was no answer.
    fn not_published(&mut self, (number, message): Numbered, reason: &str, answers: &mut Answers) {
        self.owners.remove(&message.channel);
        self.lost_owners.was_not_published(&message.channel, reason);
        answers[number] = Err(not_confirmed(reason));
    }
}
