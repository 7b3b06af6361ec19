//! The gate between one connection and the inbox.
//!
//! While reconnecting, a new connection subscribes to everything again before the reader learns
//! about it: an attempt that fails halfway must leave nothing behind. So each connection delivers
//! through a gate of its own. The gate holds everything back until the attempt has succeeded,
//! passes everything on from then, and drops what a connection delivers that was given up. The
//! reader therefore always sees: disconnected, reconnected, the confirmations, messages.

use std::sync::Mutex;

use crate::Event;
use crate::inbox::{Bounds, Queue};
use crate::lock::lock;
use crate::tap::Pause;

pub(crate) type PassOn = Box<dyn Fn(Vec<Event>) -> Option<Pause> + Send + Sync>;

pub(crate) struct Gate {
    pass_on: PassOn,
    state: Mutex<State>,
}

enum State {
    Holding(Held),
    Open,
    Shut,
}

/// What a connection has delivered before the gate was opened.
pub(crate) struct Held {
    pub(crate) confirmations: Vec<Event>,
    /// As bounded as the inbox: subscribing to many channels takes a while.
    pub(crate) messages: Queue,
}

impl Gate {
    pub(crate) fn holding(bounds: Bounds, pass_on: PassOn) -> Gate {
        let held = Held { confirmations: Vec::new(), messages: Queue::new(bounds) };
        Gate { pass_on, state: Mutex::new(State::Holding(held)) }
    }

    pub(crate) fn open(pass_on: PassOn) -> Gate {
        Gate { pass_on, state: Mutex::new(State::Open) }
    }

    /// Returns a pause to take before more is delivered, if the readers need one.
    pub(crate) fn deliver(&self, events: Vec<Event>) -> Option<Pause> {
        match &mut *lock(&self.state) {
            State::Open => return (self.pass_on)(events),
            State::Shut => {}
            State::Holding(held) => {
                for event in events {
                    match event.message_bytes() {
                        Some(_) => held.messages.push(event),
                        None => held.confirmations.push(event),
                    }
                }
            }
        }
        None
    }

    /// Opens the gate and gives what was held to `first`. Nothing newer passes before it returns.
    pub(crate) fn open_with(&self, first: impl FnOnce(Held)) {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Open) {
            State::Holding(held) => first(held),
            other => *state = other,
        }
    }

    /// Passes on nothing more, whatever the connection still delivers.
    pub(crate) fn shut(&self) {
        *lock(&self.state) = State::Shut;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn subscribe(channel: &str) -> Event {
        Event::Subscribe { channel: channel.into(), count: 1 }
    }

    fn message(payload: &str) -> Event {
        Event::Message { channel: "c".into(), payload: payload.into() }
    }

    /// A gate that holds, and where it passes events on to.
    fn gate() -> (Gate, Arc<Mutex<Vec<Event>>>) {
        let passed = Arc::new(Mutex::new(Vec::new()));
        let to = passed.clone();
        let pass_on = Box::new(move |events| {
            to.lock().unwrap().extend(events);
            None
        });
        (Gate::holding(Bounds::default(), pass_on), passed)
    }

    #[test]
    fn holds_confirmations_and_messages_apart_until_it_is_opened() {
        let (gate, passed) = gate();
        gate.deliver(vec![subscribe("a"), message("early")]);
        gate.deliver(vec![subscribe("b")]);
        assert_eq!(*passed.lock().unwrap(), []);
        gate.open_with(|mut held| {
            assert_eq!(held.confirmations, [subscribe("a"), subscribe("b")]);
            assert_eq!(held.messages.pop(), Some(message("early")));
        });
        gate.deliver(vec![message("late")]);
        assert_eq!(*passed.lock().unwrap(), [message("late")]);
    }

    #[test]
    fn a_failed_attempt_leaves_nothing_behind() {
        let (gate, passed) = gate();
        gate.deliver(vec![subscribe("a")]);
        gate.shut();
        gate.deliver(vec![message("x")]);
        gate.open_with(|_| panic!("it is shut"));
        assert_eq!(*passed.lock().unwrap(), []);
    }

    #[test]
    fn what_a_connection_delivers_that_was_given_up_is_dropped() {
        let (gate, passed) = gate();
        gate.open_with(drop);
        gate.deliver(vec![message("1")]);
        gate.shut();
        gate.deliver(vec![message("2")]);
        assert_eq!(*passed.lock().unwrap(), [message("1")]);
    }
}
