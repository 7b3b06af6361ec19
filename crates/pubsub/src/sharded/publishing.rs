//! The task that publishes on shard channels, each message at the node that owns its channel.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{RedisResult, RetryMethod};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot, watch};

use super::nodes::Nodes;
use super::unreached::Unreached;
use super::{MAX_REDIRECTIONS, NEEDS_REDIS_7};
use crate::Error;
use crate::address::Address;
use crate::addresses::Addresses;
use crate::error::{is_unknown_command, said};
use crate::link::{Loss, Role};
use crate::publishing::not_confirmed;

/// How many messages are on their way at a time.
pub(crate) const BATCH: usize = 512;
/// How many owners are remembered. When there are more channels all are forgotten, and looked up
/// again.
const MAX_OWNERS: usize = 4096;

/// A message, and where to answer how many receivers it had.
pub(crate) struct Message {
    pub(crate) channel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Result<u64, Error>>,
}

pub(crate) struct Publishing {
    nodes: Nodes,
    /// The node that has taken the last message for a channel, or was named as its owner.
    owners: HashMap<Vec<u8>, String>,
    unreached: Unreached,
}

/// Messages of one batch, by the node that they go to.
type ByNode = BTreeMap<String, VecDeque<Message>>;

impl Publishing {
    pub(crate) fn new(
        addresses: Addresses,
        connected: watch::Sender<bool>,
        one_may_try: Arc<Notify>,
    ) -> Publishing {
        // Nothing is subscribed to on these connections, so no event ever comes.
        let nodes = Nodes::new(addresses, Arc::new(|_, _| {}));
        let unreached = Unreached::new(connected, one_may_try);
        Publishing { nodes, owners: HashMap::new(), unreached }
    }

    /// Publishes what is queued until nobody can add to it.
    pub(crate) async fn run(mut self, mut queue: UnboundedReceiver<Message>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                (node, loss) = self.nodes.lost() => {
                    // Whether a message suffers from it will be seen.
                    tracing::debug!("lost the connection to Redis at {node}: {}", loss.reason);
                    self.forget(&node);
                }
                () = self.unreached.wait() => self.nodes.ask_another(),
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.publish(std::mem::take(&mut batch).into()).await;
                    self.unreached.look_for_the_end(&self.nodes.names());
                }
            }
        }
    }

    async fn publish(&mut self, mut batch: VecDeque<Message>) {
        batch = batch.into_iter().filter_map(|message| self.unreached.refuse(message)).collect();
        for _ in 0..=MAX_REDIRECTIONS {
            let by_node = self.by_owner(batch).await;
            batch = self.send(by_node).await;
            if batch.is_empty() {
                return;
            }
        }
        let reason = "the nodes of the cluster send from one to the other";
        batch.into_iter().for_each(|message| self.not_delivered(message, reason));
    }

    /// Where the owner is not known, any node will name it.
    async fn by_owner(&mut self, batch: VecDeque<Message>) -> ByNode {
        let mut by_node = ByNode::new();
        let mut anybody = None;
        for message in batch {
            let owner = self.owners.get(&message.channel).cloned();
            let node = match (owner, &anybody) {
                (Some(owner), _) => Ok(owner),
                (None, Some(anybody)) => Clone::clone(anybody),
                (None, None) => anybody.insert(self.anybody().await).clone(),
            };
            match node {
                Ok(node) => by_node.entry(node).or_default().push_back(message),
                Err(error) => self.not_delivered(message, &error.to_string()),
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
    async fn send(&mut self, mut by_node: ByNode) -> VecDeque<Message> {
        let sending = by_node.iter().map(|(node, messages)| {
            let commands = messages.iter().map(|message| {
                let mut command = redis::cmd("SPUBLISH");
                command.arg(&message.channel).arg(&message.payload);
                command
            });
            let commands: Vec<_> = commands.collect();
            let (node, link) = (node.clone(), self.nodes.link(node));
            async move {
                match link {
                    Some(link) => (node, link.ask(commands.into_iter()).await),
                    None => (node, Ok(Vec::new())),
                }
            }
        });
        let mut sending: FuturesUnordered<_> = sending.collect();
        let mut moved = BTreeMap::new();
        let mut again = VecDeque::new();
        while !by_node.is_empty() {
            let (node, result) = tokio::select! {
                Some((node, answers)) = sending.next() => (node, answers.map_err(|error| Loss::by(&error).reason)),
                (node, loss) = self.nodes.lost() => (node, Err(loss.reason)),
            };
            let messages = by_node.remove(&node).unwrap_or_default();
            match result {
                Ok(answers) => {
                    again.extend(self.answered(&node, messages, answers, &mut moved));
                }
                // These may have reached Redis.
                Err(reason) => {
                    self.forget(&node);
                    messages.into_iter().for_each(|message| self.not_delivered(message, &reason));
                }
            }
        }
        for address in moved.into_values() {
            if let Err(error) = self.nodes.connect(&address).await {
                let (lost, rest) = again.into_iter().partition(|message: &Message| {
                    self.owners.get(&message.channel) == Some(&address.shown)
                });
                again = rest;
                let lost: VecDeque<_> = lost;
                for message in lost {
                    self.not_delivered(message, &error.to_string());
                }
            }
        }
        again
    }

    /// Returns the messages that the node has sent elsewhere.
    fn answered(
        &mut self,
        node: &str,
        messages: VecDeque<Message>,
        answers: Vec<RedisResult<u64>>,
        moved: &mut BTreeMap<String, Address>,
    ) -> VecDeque<Message> {
        let mut again = VecDeque::new();
        // One that was not taken must not be sent after a later one that was.
        let mut last_taken = HashMap::new();
        for (number, (message, answer)) in messages.iter().zip(&answers).enumerate() {
            if answer.is_ok() {
                last_taken.insert(message.channel.clone(), number);
            }
        }
        for (number, (message, answer)) in messages.into_iter().zip(answers).enumerate() {
            let error = match answer {
                Ok(receivers) => {
                    self.remember(&message.channel, node);
                    self.unreached.was_taken(&message.channel);
                    let _ = message.answer.send(Ok(receivers));
                    continue;
                }
                Err(error) => error,
            };
            match (error.retry_method(), self.nodes.redirected(node, &error)) {
                (RetryMethod::MovedRedirect, Some(address))
                    if last_taken.get(&message.channel).is_none_or(|&last| last < number) =>
                {
                    self.remember(&message.channel, &address.shown);
                    moved.insert(address.shown.clone(), address);
                    again.push_back(message);
                }
                // The cluster is electing a new owner, or the node is loading its data.
                (RetryMethod::WaitAndRetry | RetryMethod::AskRedirect, _) => {
                    self.not_delivered(message, &said(&error));
                }
                // What another time would not change: the owner was reached all the same.
                _ => {
                    self.unreached.was_taken(&message.channel);
                    match is_unknown_command(&error) {
                        true => refuse(message, NEEDS_REDIS_7),
                        false => refuse(message, &said(&error)),
                    }
                }
            }
        }
        again
    }

    fn remember(&mut self, channel: &[u8], owner: &str) {
        if self.owners.get(channel).is_some_and(|known| known == owner) {
            return;
        }
        if self.owners.len() >= MAX_OWNERS {
            self.owners.clear();
        }
        self.owners.insert(channel.to_vec(), owner.to_owned());
    }

    fn forget(&mut self, node: &str) {
        self.nodes.give_up(node);
        self.owners.retain(|_, owner| owner != node);
    }

    /// Nobody could be asked, or there was no answer.
    fn not_delivered(&mut self, message: Message, reason: &str) {
        self.owners.remove(&message.channel);
        self.unreached.was_not_taken(&message.channel, reason);
        refuse(message, reason);
    }
}

pub(super) fn refuse(message: Message, reason: &str) {
    // Whoever asked may have stopped waiting.
    let _ = message.answer.send(Err(not_confirmed(reason)));
}
