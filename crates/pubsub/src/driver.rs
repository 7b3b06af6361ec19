//! The task behind a [`PubSub`](crate::PubSub): it keeps one connection and its subscriptions,
//! and makes a new one when the old one is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::address::Address;
use crate::addresses::Addresses;
use crate::error::said;
use crate::gate::Gate;
use crate::inbox::Inbox;
use crate::link::{CONNECT_TIMEOUT, Change, Link};
use crate::outage::Outages;
use crate::{Error, Event};

/// How long closing waits for Redis to confirm the unsubscribing.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// A change that was asked for, and where to answer.
pub(crate) struct Command {
    pub(crate) change: Change,
    pub(crate) names: Vec<Vec<u8>>,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

pub(crate) struct Driver {
    addresses: Addresses,
    inbox: Arc<Inbox>,
    /// `None` in an outage.
    link: Option<Link>,
    gate: Arc<Gate>,
    /// Whether the reader was told that the connection is gone.
    told: bool,
    outages: Outages,
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    commands: mpsc::Receiver<Command>,
    /// Asked for but not confirmed: outlives the connection on which it was sent.
    unfinished: Option<Command>,
}

impl Driver {
    /// Makes the first connection, whose errors go to the caller.
    pub(crate) async fn connect(
        mut addresses: Addresses,
        inbox: Arc<Inbox>,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Driver, Error> {
        let connect = |address| connect_through_gate(address, inbox.clone());
        let (link, gate) = addresses.try_each(connect).await?;
        gate.open(None);
        Ok(Driver {
            outages: Outages::new(),
            addresses,
            inbox,
            link: Some(link),
            gate,
            told: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            commands,
            unfinished: None,
        })
    }

    /// Runs until somebody sends on `close`, and answers there when all is closed.
    pub(crate) async fn run(mut self, mut close: mpsc::Receiver<oneshot::Sender<()>>) {
        let closed = tokio::select! {
            closed = close.recv() => closed,
            () = self.stay_subscribed() => None,
        };
        self.say_goodbye().await;
        self.gate.shut();
        self.inbox.close();
        drop(self);
        if let Some(closed) = closed {
            // Nobody waits for it any more: then nobody needs to be told.
            let _ = closed.send(());
        }
    }

    async fn stay_subscribed(&mut self) {
        loop {
            if let Some(link) = self.link.clone() {
                let loss = tokio::select! {
                    loss = link.lost() => loss,
                    () = self.execute_commands(&link) => return,
                };
                // A Redis that only hung may wake up again and deliver what it still holds for
                // this connection. The new one will be subscribed too: hear each message once.
                self.gate.shut();
                self.link = None;
                // Who has subscribed to nothing can miss nothing. What was sent, and not confirmed
                // as far as this task has seen, may have brought messages already.
                self.told = !self.channels.is_empty()
                    || !self.patterns.is_empty()
                    || self.unfinished.is_some();
                self.outages.silent = !self.told;
                self.outages.begin(&self.addresses.current().shown, &loss);
                if self.told {
                    self.inbox.push(Event::Disconnected { reason: loss.reason });
                }
            }
            self.reconnect().await;
        }
    }

    /// Executes one command after the other; returns when nobody can ask for any more.
    async fn execute_commands(&mut self, link: &Link) {
        loop {
            if self.unfinished.is_none() {
                self.unfinished = self.commands.recv().await;
            }
            let Some(Command { change, names, .. }) = &self.unfinished else {
                return;
            };
            let result = match link.change(*change, names).await {
                Ok(()) => Ok(()),
                // The connection went away: the command waits for the next one.
                Err(error) if error.is_io_error() => std::future::pending().await,
                Err(error) => Err(refused(*change, names, &error)),
            };
            if let Some(command) = self.unfinished.take() {
                if result.is_ok() {
                    self.remember(command.change, command.names);
                }
                // The caller may have lost interest; what Redis confirmed holds all the same.
                let _ = command.answer.send(result);
            }
        }
    }

    fn remember(&mut self, change: Change, names: Vec<Vec<u8>>) {
        match change {
            Change::Subscribe => self.channels.extend(names),
            Change::PSubscribe => self.patterns.extend(names),
            Change::Unsubscribe => self.channels.retain(|channel| !names.contains(channel)),
            Change::PUnsubscribe => self.patterns.retain(|pattern| !names.contains(pattern)),
        }
    }

    async fn reconnect(&mut self) {
        loop {
            self.outages.wait().await;
            self.unsubscribe_without_connection();
            let mut addresses = self.addresses.clone();
            match addresses.try_each(|address| self.connect_and_subscribe(address)).await {
                Ok((link, gate)) => {
                    let (gap, attempts) = self.outages.end(&addresses.current().shown);
                    self.addresses = addresses;
                    gate.open(self.told.then_some(Event::Reconnected { gap, attempts }));
                    (self.link, self.gate) = (Some(link), gate);
                    return;
                }
                Err(error) => self.outages.failed(&error),
            }
        }
    }

    /// What is to be unsubscribed from is not subscribed to again. It can't wait for the
    /// connection: perhaps there is none just because Redis refuses that very channel now.
    fn unsubscribe_without_connection(&mut self) {
        while let Some(command) = self.unfinished.take().or_else(|| self.commands.try_recv().ok()) {
            if matches!(command.change, Change::Subscribe | Change::PSubscribe) {
                self.unfinished = Some(command);
                // Somebody waits for the connection.
                self.outages.silent = false;
                return;
            }
            self.remember(command.change, command.names);
            let _ = command.answer.send(Ok(()));
        }
    }

    /// One attempt. Subscribing is part of it: a connection that was let in but may not
    /// subscribe any more would be a subscriber that stays silent for ever.
    async fn connect_and_subscribe(&self, address: Address) -> Result<(Link, Arc<Gate>), Error> {
        let (link, gate) = connect_through_gate(address.clone(), self.inbox.clone()).await?;
        for (change, names) in
            [(Change::Subscribe, &self.channels), (Change::PSubscribe, &self.patterns)]
        {
            if names.is_empty() {
                continue;
            }
            let names: Vec<_> = names.iter().cloned().collect();
            timeout(CONNECT_TIMEOUT, link.change(change, &names))
                .await
                .map_err(|_| Error::Unreachable {
                    address: address.shown.clone(),
                    reason: format!("no answer to {} within {CONNECT_TIMEOUT:?}", verb(change)),
                })?
                .map_err(|error| match error.is_io_error() {
                    true => Error::connecting(&address.shown, &error),
                    false => refused(change, &names, &error),
                })?;
        }
        Ok((link, gate))
    }

    /// Unsubscribes by name, as the count that Redis confirms would otherwise depend on what it
    /// still knows of. Errors are no news here: the connection is closed next in any case.
    async fn say_goodbye(&self) {
        let Some(link) = &self.link else { return };
        let channels: Vec<_> = self.channels.iter().cloned().collect();
        let patterns: Vec<_> = self.patterns.iter().cloned().collect();
        let goodbye = async {
            if !channels.is_empty() {
                link.change(Change::Unsubscribe, &channels).await?;
            }
            if !patterns.is_empty() {
                link.change(Change::PUnsubscribe, &patterns).await?;
            }
            Ok::<(), redis::RedisError>(())
        };
        let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
    }
}

async fn connect_through_gate(
    address: Address,
    inbox: Arc<Inbox>,
) -> Result<(Link, Arc<Gate>), Error> {
    let gate = Arc::new(Gate::holding(inbox));
    let through = gate.clone();
    let link = Link::connect(&address, move |event| through.deliver(event)).await?;
    Ok((link, gate))
}

fn refused(change: Change, names: &[Vec<u8>], error: &redis::RedisError) -> Error {
    let names: Vec<_> = names.iter().map(|name| format!("'{}'", name.escape_ascii())).collect();
    Error::Command { command: verb(change), names: names.join(", "), reason: said(error) }
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Subscribe => "SUBSCRIBE",
        Change::PSubscribe => "PSUBSCRIBE",
        Change::Unsubscribe => "UNSUBSCRIBE",
        Change::PUnsubscribe => "PUNSUBSCRIBE",
    }
}
