//! The task that keeps the subscriptions to shard channels where they belong.
//!
//! They are one whole: when one of them is lost there is a gap, which is over when all have their
//! place again.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use redis::{PushKind, RedisError, RedisResult, RetryMethod, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::nodes::Nodes;
use super::told::Told;
use super::{LONGEST_DELAY, MAX_REDIRECTIONS};
use crate::Error;
use crate::address::Address;
use crate::addresses::Addresses;
use crate::driver::GOODBYE_TIMEOUT;
use crate::error::{is_unknown_command, said};
use crate::inbox::Inbox;
use crate::link::{CONNECT_TIMEOUT, Link, Loss};
use crate::outage::Outages;

/// A change that was asked for, and where to answer.
pub(crate) struct Command {
    pub(crate) subscribe: bool,
    pub(crate) channels: Vec<Vec<u8>>,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

pub(crate) struct Subscriptions {
    nodes: Nodes,
    told: Arc<Told>,
    /// Every channel that is wanted, and the node at which it is subscribed to.
    channels: BTreeMap<Vec<u8>, Option<String>>,
    moved: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    commands: mpsc::Receiver<Command>,
    /// A request to subscribe that is not answered yet, and those of its channels that were not
    /// wanted before.
    unfinished: Option<(Command, Vec<Vec<u8>>)>,
    outages: Outages,
    in_outage: bool,
    /// The last attempt has failed.
    failed: bool,
}

/// What a node says to SSUBSCRIBE.
enum Answer {
    Subscribed,
    Moved(RedisError),
    Refused(RedisError),
    /// The cluster is electing a new owner, or the node is loading its data.
    NotNow(RedisError),
}

impl Subscriptions {
    pub(crate) fn new(
        addresses: Addresses,
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<Command>,
    ) -> Subscriptions {
        let (signs, moved) = mpsc::unbounded_channel();
        let told = Arc::new(Told::new(inbox, signs));
        let telling = told.clone();
        let deliver = Arc::new(move |node: &str, event| telling.deliver(node, event));
        Subscriptions {
            nodes: Nodes::new(addresses, deliver),
            told,
            channels: BTreeMap::new(),
            moved,
            commands,
            unfinished: None,
            outages: Outages::with_longest_delay(LONGEST_DELAY),
            in_outage: false,
            failed: false,
        }
    }

    /// Runs until somebody sends on `close`, and answers there when all is closed.
    pub(crate) async fn run(mut self, mut close: mpsc::Receiver<oneshot::Sender<()>>) {
        let closed = tokio::select! {
            closed = close.recv() => closed,
            () = self.stay_subscribed() => None,
        };
        self.say_goodbye().await;
        drop(self);
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    async fn stay_subscribed(&mut self) {
        loop {
            if self.channels.values().any(Option::is_none) {
                self.attempt().await;
                continue;
            }
            self.all_is_placed();
            tokio::select! {
                biased;
                (node, loss) = self.nodes.lost() => self.lost(&node, &loss),
                Some((node, channel)) = self.moved.recv() => self.has_moved(&node, &channel),
                command = self.commands.recv() => match command {
                    Some(command) => self.execute(command).await,
                    None => return,
                },
            }
        }
    }

    async fn attempt(&mut self) {
        if self.in_outage || self.failed {
            self.outages.wait().await;
        }
        if self.failed {
            self.nodes.ask_another();
        }
        self.look_for_losses();
        // What is to be unsubscribed from need not be placed. Subscribing waits its turn.
        while self.unfinished.is_none()
            && let Ok(command) = self.commands.try_recv()
        {
            self.execute(command).await;
        }
        let result = self.place().await;
        self.failed = result.is_err();
        if let Err(error) = result {
            self.outages.failed(&error);
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
    fn lost(&mut self, node: &str, loss: &Loss) {
        self.nodes.give_up(node);
        let mut any = false;
        for place in self.channels.values_mut().filter(|place| place.as_deref() == Some(node)) {
            *place = None;
            any = true;
        }
        if any {
            self.has_a_gap(node, loss);
        }
    }

    /// The node has unsubscribed us from a channel that is not its own any more.
    fn has_moved(&mut self, node: &str, channel: &[u8]) {
        match self.channels.get_mut(channel) {
            Some(place) if place.as_deref() == Some(node) => *place = None,
            _ => return,
        }
        let channel = channel.escape_ascii();
        self.has_a_gap(node, &Loss::now(format!("the slot of '{channel}' has moved")));
    }

    fn has_a_gap(&mut self, node: &str, loss: &Loss) {
        if self.in_outage {
            tracing::debug!("lost in an outage: {node}: {}", loss.reason);
            return;
        }
        self.in_outage = true;
        self.outages.begin(node, loss);
        self.told.disconnected(format!("{node}: {}", loss.reason));
    }

    fn all_is_placed(&mut self) {
        let used = |name: &String| self.channels.values().any(|at| at.as_ref() == Some(name));
        let (used, idle): (Vec<_>, Vec<_>) = self.nodes.names().into_iter().partition(used);
        idle.iter().for_each(|name| self.nodes.give_up(name));
        if std::mem::take(&mut self.in_outage) {
            let (gap, attempts) = self.outages.end(&used.join(", "));
            self.told.reconnected(gap, attempts, |channel| self.channels.contains_key(channel));
        }
        if let Some((command, _)) = self.unfinished.take() {
            // The caller may have lost interest; what was confirmed holds all the same.
            let _ = command.answer.send(Ok(()));
        }
    }

    async fn execute(&mut self, command: Command) {
        if command.subscribe {
            let mut new = Vec::new();
            for channel in &command.channels {
                // One that has its place is subscribed to again, for the confirmation.
                if self.channels.insert(channel.clone(), None).is_none() {
                    new.push(channel.clone());
                }
            }
            self.unfinished = Some((command, new));
        } else {
            self.leave(&command.channels).await;
            let _ = command.answer.send(Ok(()));
        }
    }

    /// Subscribes to everything that has no place. What it has got done it keeps when it fails.
    async fn place(&mut self) -> Result<(), Error> {
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
                        true => "sharded Pub/Sub needs Redis 7 or later".to_owned(),
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
    async fn leave(&mut self, channels: &[Vec<u8>]) {
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

    async fn say_goodbye(&mut self) {
        let channels: Vec<_> = self.channels.keys().cloned().collect();
        let _ = timeout(GOODBYE_TIMEOUT, self.leave(&channels)).await;
        for name in self.nodes.names() {
            self.nodes.give_up(&name);
        }
    }
}

/// Sends a command for each of the channels. They are not put into one command, as that takes
/// channels of the same slot only. An error is the end of the link.
async fn each(link: &Link, command: &str, channels: &[Vec<u8>]) -> Result<Vec<Answer>, String> {
    let commands = channels.iter().map(|channel| {
        let mut each = redis::cmd(command);
        each.arg(channel);
        each
    });
    let answers = timeout(CONNECT_TIMEOUT, link.ask(commands))
        .await
        .map_err(|_| format!("no answer to {command} within {CONNECT_TIMEOUT:?}"))?
        .map_err(|error| said(&error))?;
    channels.iter().zip(answers).map(|(channel, answer)| understood(channel, answer)).collect()
}

/// Whether this is the answer to a command for that channel.
///
/// When a slot moves, Redis unsubscribes by itself, and the redis crate takes that for the answer
/// to whatever was asked last. From then on each answer may be the one to the command before: a
/// subscription would count as confirmed that was refused. So each must name its channel.
fn understood(channel: &[u8], answer: RedisResult<Value>) -> Result<Answer, String> {
    let error = match answer {
        Ok(Value::Push { kind: PushKind::SSubscribe | PushKind::SUnsubscribe, data }) if matches!(data.first(), Some(Value::BulkString(name)) if name == channel) =>
        {
            return Ok(Answer::Subscribed);
        }
        Ok(_) => return Err("an answer of Redis to something else".to_owned()),
        Err(error) => error,
    };
    Ok(match error.retry_method() {
        RetryMethod::MovedRedirect => Answer::Moved(error),
        RetryMethod::WaitAndRetry | RetryMethod::AskRedirect => Answer::NotNow(error),
        _ if error.is_unrecoverable_error() => return Err(said(&error)),
        _ => Answer::Refused(error),
    })
}

fn refused(names: &str, reason: &str) -> Error {
    Error::Command { command: "SSUBSCRIBE", names: names.to_owned(), reason: reason.to_owned() }
}

fn quoted<'a>(channels: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let names: Vec<_> =
        channels.into_iter().map(|name| format!("'{}'", name.escape_ascii())).collect();
    names.join(", ")
}
