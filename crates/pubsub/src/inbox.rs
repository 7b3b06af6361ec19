//! The inbox: what has arrived from Redis and was not read yet.
//!
//! Redis never waits for a subscriber, and neither may the task that reads from its socket: it
//! would miss the heartbeat, and Redis would pile up the messages on its side until it cuts the
//! connection. So the events wait here. A reader that is too slow must not cost all memory
//! either, so the waiting messages are bounded, twice: by number and by bytes. When one of the
//! bounds is reached the newest message is dropped and counted, and the count stands in the
//! queue exactly where the message would have been.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::stream::Stream;

use crate::Event;

/// How many messages may wait.
const MAX_MESSAGES: usize = 65_536;
/// How many bytes of names and payloads may wait: what Redis, too, holds for a Pub/Sub client
/// before it cuts it off (`client-output-buffer-limit pubsub 32mb 8mb 60`).
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The bounded queue alone, without readers.
pub(crate) struct Queue {
    events: VecDeque<Event>,
    messages: usize,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl Queue {
    pub(crate) fn new() -> Queue {
        Queue::bounded(MAX_MESSAGES, MAX_BYTES)
    }

    fn bounded(max_messages: usize, max_bytes: usize) -> Queue {
        Queue { events: VecDeque::new(), messages: 0, bytes: 0, max_messages, max_bytes }
    }

    pub(crate) fn push(&mut self, event: Event) {
        match (&event, event.message_bytes()) {
            (_, Some(bytes)) if !self.has_room_for(bytes) => self.miss(1),
            (_, Some(bytes)) => {
                self.messages += 1;
                self.bytes += bytes;
                self.events.push_back(event);
            }
            // Messages that another queue has dropped already.
            (&Event::Missed { count }, None) => self.miss(count),
            // Everything else tells where there are gaps: it is never dropped.
            (_, None) => self.events.push_back(event),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Some(bytes) = event.message_bytes() {
            self.messages -= 1;
            self.bytes -= bytes;
        }
        Some(event)
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        // A message larger than the bound itself is let in alone: Redis allows payloads of
        // 512 MB, and one that could never arrive would be a trap.
        self.messages == 0
            || (self.messages < self.max_messages && self.bytes + bytes <= self.max_bytes)
    }

    fn miss(&mut self, more: u64) {
        match self.events.back_mut() {
            Some(Event::Missed { count }) => *count += more,
            _ => {
                tracing::debug!("the reader is too slow: dropping messages");
                self.events.push_back(Event::Missed { count: more });
            }
        }
    }
}

/// A [`Queue`] between the connection, which pushes, and any number of readers, who wait.
pub(crate) struct Inbox {
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    /// Those who wait, each under a number of its own, so that who gives up can be forgotten.
    waiting: BTreeMap<u64, Waker>,
    readers: u64,
    closed: bool,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            state: Mutex::new(State {
                queue: Queue::new(),
                waiting: BTreeMap::new(),
                readers: 0,
                closed: false,
            }),
        }
    }

    pub(crate) fn push(&self, event: Event) {
        let mut state = self.lock();
        if !state.closed {
            state.queue.push(event);
        }
        state.wake_all();
    }

    /// Takes nothing more. What waits can still be read.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake_all();
    }

    /// A stream of the events, which ends when the inbox is closed and empty.
    pub(crate) fn reader(&self) -> Reader<'_> {
        let mut state = self.lock();
        state.readers += 1;
        Reader { inbox: self, number: state.readers }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves the queue as it was before or after one event.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_all(&mut self) {
        std::mem::take(&mut self.waiting).into_values().for_each(Waker::wake);
    }
}

pub(crate) struct Reader<'a> {
    inbox: &'a Inbox,
    number: u64,
}

impl Stream for Reader<'_> {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.inbox.lock();
        if let Some(event) = state.queue.pop() {
            return Poll::Ready(Some(event));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waiting.insert(self.number, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.inbox.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &str) -> Event {
        Event::Message { channel: Default::default(), payload: payload.into() }
    }

    fn disconnected() -> Event {
        Event::Disconnected { reason: "test".into() }
    }

    fn drain(queue: &mut Queue) -> Vec<Event> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn keeps_the_order() {
        let mut queue = Queue::bounded(10, 1000);
        for payload in ["a", "b", "c"] {
            queue.push(message(payload));
        }
        assert_eq!(drain(&mut queue), [message("a"), message("b"), message("c")]);
    }

    #[test]
    fn drops_the_newest_and_counts_them_in_their_place() {
        let mut queue = Queue::bounded(2, 1000);
        for payload in ["a", "b", "c", "d"] {
            queue.push(message(payload));
        }
        assert_eq!(queue.pop(), Some(message("a")));
        queue.push(message("e"));
        assert_eq!(drain(&mut queue), [message("b"), Event::Missed { count: 2 }, message("e")]);
    }

    #[test]
    fn is_bounded_by_bytes_too() {
        let mut queue = Queue::bounded(1000, 10);
        queue.push(message("123456"));
        queue.push(message("12345"));
        queue.push(message("1234"));
        assert_eq!(
            drain(&mut queue),
            [message("123456"), Event::Missed { count: 1 }, message("1234")]
        );
        // What was read made room again.
        queue.push(message("1234567890"));
        assert_eq!(drain(&mut queue), [message("1234567890")]);
    }

    #[test]
    fn lets_in_one_message_larger_than_the_bound() {
        let mut queue = Queue::bounded(1000, 10);
        queue.push(message("1234567890-"));
        queue.push(message("x"));
        assert_eq!(drain(&mut queue), [message("1234567890-"), Event::Missed { count: 1 }]);
    }

    #[test]
    fn never_drops_what_is_not_a_message() {
        let mut queue = Queue::bounded(1, 1000);
        queue.push(message("a"));
        queue.push(message("b"));
        queue.push(disconnected());
        queue.push(message("c"));
        queue.push(Event::Missed { count: 5 });
        assert_eq!(
            drain(&mut queue),
            [message("a"), Event::Missed { count: 1 }, disconnected(), Event::Missed { count: 6 },]
        );
    }

    #[test]
    fn the_real_bounds_hold_and_nothing_is_uncounted() {
        let mut queue = Queue::new();
        for _ in 0..MAX_MESSAGES + 1000 {
            queue.push(message("x"));
        }
        let events = drain(&mut queue);
        assert_eq!(events.len(), MAX_MESSAGES + 1);
        assert_eq!(events.last(), Some(&Event::Missed { count: 1000 }));
    }

    #[test]
    fn forgets_readers_that_gave_up() {
        use futures_util::{FutureExt, StreamExt};
        let inbox = Inbox::new();
        for _ in 0..10 {
            assert_eq!(inbox.reader().next().now_or_never(), None);
        }
        assert!(inbox.lock().waiting.is_empty());
    }
}
