//! The task that keeps the subscriptions to shard channels where they belong.
//!
//! They are one whole: when one of them is lost there is a gap, which is over when all have their
//! place again.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::LONGEST_DELAY;
use super::nodes::Nodes;
use super::told::Told;
use crate::Error;
use crate::addresses::Addresses;
use crate::driver::GOODBYE_TIMEOUT;
use crate::inbox::Inbox;
use crate::link::Loss;
use crate::outage::Outages;

/// A change that was asked for, and where to answer.
pub(crate) struct Command {
    pub(crate) subscribe: bool,
    pub(crate) channels: Vec<Vec<u8>>,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

pub(crate) struct Subscriptions {
    pub(super) nodes: Nodes,
    pub(super) told: Arc<Told>,
    /// Every channel that is wanted, and the node at which it is subscribed to.
    pub(super) channels: BTreeMap<Vec<u8>, Option<String>>,
    moved: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    commands: mpsc::Receiver<Command>,
    /// A request to subscribe that is not answered yet, and those of its channels that were not
    /// wanted before.
    pub(super) unfinished: Option<(Command, Vec<Vec<u8>>)>,
    outages: Outages,
    in_outage: bool,
    /// The last attempt has failed.
    failed: bool,
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
    pub(super) fn lost(&mut self, node: &str, loss: &Loss) {
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
            // Where all was given up meanwhile there is nobody to be connected to.
            self.outages.silent = used.is_empty();
            let (gap, attempts) = self.outages.end(&used.join(", "));
            self.outages.silent = false;
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
                if !self.channels.contains_key(channel) {
                    self.channels.insert(channel.clone(), None);
                    new.push(channel.clone());
                }
            }
            self.unfinished = Some((command, new));
        } else {
            self.leave(&command.channels).await;
            let _ = command.answer.send(Ok(()));
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
