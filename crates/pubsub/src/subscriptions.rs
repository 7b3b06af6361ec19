//! The task behind a [`PubSub`](crate::PubSub): it keeps one connection and its subscriptions,
//! and makes a new connection when the old one is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::answer::{Answer, ask_for_each};
use crate::attempt::{Name, connect, connect_and_subscribe, subscribing};
use crate::error::{is_the_end, said};
use crate::inbox::Inbox;
use crate::kind::{Kind, quoted};
use crate::link::{Link, Loss};
use crate::outage::{Backoff, LONGEST_DELAY, Outages};
use crate::role::Hearing;
use crate::{ByteString, Error, Event};

/// How long closing waits for Redis to confirm the unsubscribing.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// A change that was asked for, and where to answer.
pub(crate) struct Command {
    pub(crate) subscribe: bool,
    pub(crate) kind: Kind,
    pub(crate) names: Vec<ByteString>,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

impl Command {
    /// The caller may have lost interest; what Redis confirmed holds all the same.
    pub(crate) fn answer(self, result: Result<(), Error>) {
        let _ = self.answer.send(result);
    }
}

pub(crate) struct Subscriptions {
    addresses: Addresses,
    inbox: Arc<Inbox>,
    /// `None` in an outage.
    link: Option<Link>,
    /// Whether the reader knows that the connection is lost.
    reported: bool,
    /// What a new connection subscribes to.
    wanted: BTreeSet<Name>,
    /// Those of them that Redis does not allow, with the reasons that the reader knows.
    refused: BTreeMap<Name, BTreeSet<String>>,
    commands: mpsc::Receiver<Command>,
    /// What is to be done next, in this order. The first one may have been sent already.
    waiting: VecDeque<Command>,
    outages: Outages,
}

impl Subscriptions {
    /// Makes the first connection, whose errors go to the caller.
    pub(crate) async fn connect(
        mut addresses: Addresses,
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Subscriptions, Error> {
        let link = match addresses.try_each(|address| connect(address, &inbox, false)).await {
            Err(error) if error.is_deaf() => {
                tracing::warn!("{error}; there is no other");
                addresses.try_each(|address| connect(address, &inbox, true)).await?
            }
            result => result?,
        };
        link.gate().open_with(|_| {});
        Ok(Subscriptions {
            addresses,
            inbox,
            link: Some(link),
            reported: false,
            wanted: BTreeSet::new(),
            refused: BTreeMap::new(),
            commands,
            waiting: VecDeque::new(),
            outages: Outages::new(LONGEST_DELAY),
        })
    }

    pub(crate) async fn run(mut self, closing: CancellationToken) {
        closing.run_until_cancelled(self.stay_subscribed()).await;
        if let Some(link) = &self.link {
            self.say_goodbye(link).await;
            link.gate().shut();
        }
    }

    async fn stay_subscribed(&mut self) {
        loop {
            if let Some(link) = self.link.clone() {
                let loss = tokio::select! {
                    loss = link.lost() => loss,
                    loss = Hearing::of(&link).lost() => loss,
                    loss = self.execute_commands(&link) => match loss {
                        Err(loss) => loss,
                        Ok(()) => return,
                    },
                };
                self.disconnected(&link, loss);
            }
            self.reconnect().await;
        }
    }

    fn disconnected(&mut self, link: &Link, loss: Loss) {
        // A Redis that only hung may continue and deliver what it still holds for this
        // connection. The new one will be subscribed too: each message once.
        link.gate().shut();
        self.link = None;
        self.refused.clear();
        // Without subscriptions, nothing can be missed. A subscribe that was sent may have
        // brought messages before its confirmation was seen.
        self.reported = !self.wanted.is_empty() || !self.waiting.is_empty();
        self.outages.silent = !self.reported;
        self.outages.begin(&self.addresses.current().shown, &loss);
        if self.reported {
            self.inbox.push_all([Event::Disconnected { reason: loss.reason }]);
        }
    }

    /// Executes one command after the other, and tries again what Redis refused. Returns when
    /// nobody can ask for any more.
    async fn execute_commands(&mut self, link: &Link) -> Result<(), Loss> {
        let mut retry = Backoff::up_to(LONGEST_DELAY);
        let mut try_again_at = Instant::now() + retry.next_delay();
        loop {
            while let Some(command) = self.waiting.front() {
                let result = execute(link, command).await;
                if let Some(command) = self.waiting.pop_front() {
                    if result.is_ok() {
                        self.remember(&command);
                    }
                    command.answer(result);
                }
            }
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.waiting.push_back(command),
                    None => return Ok(()),
                },
                () = sleep_until(try_again_at), if !self.refused.is_empty() => {
                    self.try_again(link).await?;
                    try_again_at = Instant::now() + retry.next_delay();
                }
            }
        }
    }

    fn remember(&mut self, command: &Command) {
        for name in command.names.iter().map(|name| (command.kind, name.clone())) {
            self.refused.remove(&name);
            if command.subscribe {
                self.wanted.insert(name);
            } else {
                self.wanted.remove(&name);
            }
        }
    }

    async fn reconnect(&mut self) {
        let mut delay = self.outages.next_delay();
        loop {
            tokio::select! {
                () = sleep(delay) => {}
                () = self.unsubscribe_without_connection() => {}
            }
            let (wanted, mut addresses) = (self.wanted.clone(), self.addresses.clone());
            let inbox = self.inbox.clone();
            let attempt =
                addresses.try_each(|address| connect_and_subscribe(address, &inbox, &wanted));
            let result = tokio::select! {
                result = attempt => result,
                () = self.unsubscribe_without_connection() => continue,
            };
            match result {
                Ok(_) if wanted != self.wanted => {
                    // Unsubscribed from while it was subscribed to: the next attempt leaves it out.
                    delay = Duration::ZERO;
                }
                Ok((link, refused)) => {
                    self.addresses = addresses;
                    self.reconnected(link, refused);
                    return;
                }
                Err(error) => {
                    self.outages.failed(&error);
                    delay = self.outages.next_delay();
                }
            }
        }
    }

    fn reconnected(&mut self, link: Link, refused: Vec<(Name, String)>) {
        let (gap, attempts) = self.outages.end(&self.addresses.current().shown);
        let refused = self.newly_refused(refused);
        link.gate().open_with(|mut held| {
            self.inbox.change(|queue| {
                if self.reported {
                    let repeated = held.confirmations.into_iter().chain(refused).collect();
                    queue.reconnected(gap, attempts, repeated);
                }
                while let Some(event) = held.messages.pop() {
                    queue.push(event);
                }
            });
        });
        self.link = Some(link);
    }

    /// Does what can be done without a connection, for as long as it is awaited. An unsubscribe
    /// can't wait: perhaps nothing but that very channel keeps a subscribe from being confirmed.
    async fn unsubscribe_without_connection(&mut self) {
        loop {
            let unsubscribe = self.waiting.iter().position(|command| !command.subscribe);
            if let Some(command) = unsubscribe.and_then(|position| self.waiting.remove(position)) {
                // A subscribe that was called later stays.
                let later = self.waiting.split_off(unsubscribe.unwrap_or_default());
                self.remember(&command);
                for waiting in &mut self.waiting {
                    if waiting.kind == command.kind {
                        waiting.names.retain(|name| !command.names.contains(name));
                    }
                }
                self.waiting.extend(later);
                command.answer(Ok(()));
                continue;
            }
            if !self.waiting.is_empty() {
                // Somebody waits for the connection.
                self.outages.silent = false;
            }
            match self.commands.recv().await {
                Some(command) => {
                    // Otherwise calls that were given up would collect in a long outage.
                    self.waiting.retain(|waiting| !waiting.answer.is_closed());
                    self.waiting.push_back(command);
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Tries the refused names again, on the same connection.
    async fn try_again(&mut self, link: &Link) -> Result<(), Loss> {
        let names: Vec<_> = self.refused.keys().cloned().collect();
        // If this fails, the connection is given up: a late answer would repeat a confirmation.
        let answers = ask_for_each(link, subscribing(&names)).await?;
        let mut refused = Vec::new();
        for (name, answer) in names.into_iter().zip(answers) {
            match answer {
                Answer::Confirmed => {
                    tracing::info!("Redis allows '{}' again", name.1);
                    self.refused.remove(&name);
                }
                Answer::NoPermission(reason) => refused.push((name, reason)),
                Answer::Moved(_) | Answer::NotNow(_) | Answer::Failed(_) => {}
            }
        }
        let refused = self.newly_refused(refused);
        self.inbox.push_all(refused);
        Ok(())
    }

    /// Remembers what is refused. Returns an event for each name and reason that was not reported
    /// in this outage.
    fn newly_refused(&mut self, refused: Vec<(Name, String)>) -> Vec<Event> {
        let mut events = Vec::new();
        for ((kind, name), reason) in refused {
            let known = self.refused.entry((kind, name.clone())).or_default();
            if known.insert(reason.clone()) {
                tracing::warn!("Redis refused {} '{name}': {reason}", kind.command(true));
                events.push(kind.refused(name, reason));
            }
        }
        events
    }

    /// Unsubscribes by name: without names Redis would confirm as many as it still knows of. In one
    /// command for each kind: there is no time for many round trips.
    async fn say_goodbye(&self, link: &Link) {
        let goodbye = async {
            for kind in [Kind::Channel, Kind::Pattern] {
                let is_there = |name: &&Name| name.0 == kind && !self.refused.contains_key(*name);
                let names = self.wanted.iter().filter(is_there).map(|name| name.1.clone());
                let names: Vec<_> = names.collect();
                // The connection is closed next in any case.
                if !names.is_empty() && link.change(false, kind, &names).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

async fn execute(link: &Link, command: &Command) -> Result<(), Error> {
    let &Command { subscribe, kind, ref names, .. } = command;
    if names.is_empty() {
        // All of its names were unsubscribed from while it waited.
        return Ok(());
    }
    match link.change(subscribe, kind, names).await {
        Ok(()) => Ok(()),
        // The connection is lost: the command waits for the next one.
        Err(error) if is_the_end(&error) => std::future::pending().await,
        Err(error) => {
            let command = kind.command(subscribe);
            Err(Error::Command { command, names: quoted(names), reason: said(&error) })
        }
    }
}
