//! The gate between one connection and the inbox.
//!
//! While reconnecting, a new connection is subscribed again before anybody is told that it is
//! there: an attempt that fails halfway must leave nothing behind. So each connection delivers
//! through a gate of its own, which holds everything back until the attempt has succeeded, lets
//! it pass from then on, and swallows what comes late from a connection that was given up. The
//! reader therefore always sees: disconnected, reconnected, the confirmations, messages.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Event;
use crate::inbox::{Inbox, Queue};

pub(crate) struct Gate {
    inbox: Arc<Inbox>,
    state: Mutex<State>,
}

enum State {
    Holding { confirmations: Vec<Event>, messages: Queue },
    Open,
    Shut,
}

impl Gate {
    pub(crate) fn holding(inbox: Arc<Inbox>) -> Gate {
        Gate {
            inbox,
            state: Mutex::new(State::Holding { confirmations: Vec::new(), messages: Queue::new() }),
        }
    }

    pub(crate) fn deliver(&self, event: Event) {
        match &mut *self.lock() {
            State::Open => self.inbox.push(event),
            State::Shut => {}
            State::Holding { messages, .. } if event.message_bytes().is_some() => {
                messages.push(event);
            }
            State::Holding { confirmations, .. } => confirmations.push(event),
        }
    }

    /// Passes on `first`, then what was held, then everything as it comes.
    pub(crate) fn open(&self, first: Option<Event>) {
        let mut state = self.lock();
        let held = std::mem::replace(&mut *state, State::Open);
        first.into_iter().for_each(|event| self.inbox.push(event));
        if let State::Holding { confirmations, mut messages } = held {
            for event in confirmations {
                self.inbox.push(event);
            }
            while let Some(event) = messages.pop() {
                self.inbox.push(event);
            }
        }
    }

    /// Passes on nothing more, whatever the connection still delivers.
    pub(crate) fn shut(&self) {
        *self.lock() = State::Shut;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn subscribe(channel: &str) -> Event {
        Event::Subscribe { channel: channel.into(), count: 1 }
    }

    fn message(payload: &str) -> Event {
        Event::Message { channel: "c".into(), payload: payload.into() }
    }

    fn read(inbox: &Inbox) -> Vec<Event> {
        let mut reader = inbox.reader();
        std::iter::from_fn(|| reader.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn holds_until_opened_then_confirmations_come_before_messages() {
        let inbox = Arc::new(Inbox::new());
        let gate = Gate::holding(inbox.clone());
        gate.deliver(subscribe("a"));
        gate.deliver(message("early"));
        gate.deliver(subscribe("b"));
        assert_eq!(read(&inbox), []);

        let reconnected =
            Event::Reconnected { gap: std::time::Duration::from_secs(1), attempts: 1 };
        gate.open(Some(reconnected.clone()));
        gate.deliver(message("late"));
        assert_eq!(
            read(&inbox),
            [reconnected, subscribe("a"), subscribe("b"), message("early"), message("late")]
        );
    }

    #[test]
    fn a_failed_attempt_leaves_nothing_behind() {
        let inbox = Arc::new(Inbox::new());
        let gate = Gate::holding(inbox.clone());
        gate.deliver(subscribe("a"));
        gate.shut();
        gate.deliver(message("x"));
        assert_eq!(read(&inbox), []);
    }

    #[test]
    fn a_connection_that_was_given_up_is_not_heard_any_more() {
        let inbox = Arc::new(Inbox::new());
        let gate = Gate::holding(inbox.clone());
        gate.open(None);
        gate.deliver(message("1"));
        gate.shut();
        gate.deliver(message("2"));
        assert_eq!(read(&inbox), [message("1")]);
    }
}
