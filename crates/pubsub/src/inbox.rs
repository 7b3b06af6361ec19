//! The inbox: what has arrived from Redis and was not read yet.
//!
//! Redis never waits for a subscriber, and the task that reads from its socket must not wait long
//! either: it would miss the heartbeat, and Redis would collect the messages on its side until it
//! cuts the connection. So the events wait here. A reader that is too slow must not cost all
//! memory, so the waiting messages are bounded twice: by number and by bytes. Beyond half of a
//! bound the task waits for the readers, but not long. Beyond a bound the newest message is dropped
//! and counted, and the count stays in the queue exactly where the message would have been.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;
use crate::tap::{BLOCK, Pause};
use crate::{Event, Stats};

/// How long a connection waits for its readers at most. A Redis that sends 500 MB a second collects
/// 25 MB meanwhile, and cuts a Pub/Sub client off only at 32 MB.
const PAUSE: Duration = Duration::from_millis(50);

/// How much may wait for a reader.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    /// Of names and payloads.
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        // As many bytes as Redis, too, holds for a Pub/Sub client before it cuts it off
        // (`client-output-buffer-limit pubsub 32mb 8mb 60`).
        Bounds { messages: 65_536, bytes: 32 * 1024 * 1024 }
    }
}

/// The bounded queue alone, without readers.
pub(crate) struct Queue {
    bounds: Bounds,
    waiting: VecDeque<Waiting>,
    messages: usize,
    bytes: usize,
    /// What the outages that were merged into the next one lasted and took.
    merged: (Duration, u32),
    stats: Stats,
}

struct Waiting {
    event: Event,
    /// Redis repeated it after a reconnect: the next reconnect replaces it.
    repeated: bool,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Queue {
        let (waiting, stats) = (VecDeque::new(), Stats::default());
        Queue { bounds, waiting, messages: 0, bytes: 0, merged: (Duration::ZERO, 0), stats }
    }

    pub(crate) fn push(&mut self, mut event: Event) {
        match (&event, event.message_bytes()) {
            (_, Some(bytes)) => {
                self.stats.received += 1;
                if !self.has_room_for(bytes) {
                    self.stats.missed += 1;
                    return self.miss(1);
                }
                // Small messages share their memory with others that came with them. Near the bounds
                // those others are dropped, and the memory of a dropped message must not be kept.
                if self.is_nearly_full() && bytes <= BLOCK {
                    event.copy_bytes();
                }
                self.messages += 1;
                self.bytes += bytes;
                self.stats.most_waiting = self.stats.most_waiting.max(self.messages as u64);
            }
            (Event::Disconnected { .. }, None) => self.merge_with_an_unread_outage(),
            // Messages that another queue has dropped already.
            (&Event::Missed { count }, None) => {
                self.stats.received += count;
                self.stats.missed += count;
                return self.miss(count);
            }
            // Everything else shows where there are gaps: it is never dropped.
            _ => {}
        }
        self.waiting.push_back(Waiting { event, repeated: false });
    }

    /// The connection is back, and Redis has said this about each name.
    pub(crate) fn reconnected(&mut self, gap: Duration, attempts: u32, repeated: Vec<Event>) {
        self.stats.reconnects += 1;
        let (more_gap, more_attempts) = mem::take(&mut self.merged);
        let (gap, attempts) = (gap + more_gap, attempts.saturating_add(more_attempts));
        self.push(Event::Reconnected { gap, attempts });
        self.waiting.extend(repeated.into_iter().map(|event| Waiting { event, repeated: true }));
    }

    /// Otherwise a Redis that comes and goes would fill the memory of a program that does not
    /// read, as what shows an outage is never dropped. So an outage that nobody has read, and
    /// that no message separates from this one, becomes a part of this one.
    fn merge_with_an_unread_outage(&mut self) {
        let is_message = |waiting: &Waiting| waiting.event.message_bytes().is_some();
        let from = self.waiting.iter().rposition(is_message).map_or(0, |last| last + 1);
        let is_loss = |waiting: &Waiting| matches!(waiting.event, Event::Disconnected { .. });
        // What comes before it belongs to an outage whose beginning was read.
        let Some(first) = self.waiting.range(from..).position(is_loss) else { return };
        let mut refused = Vec::new();
        for waiting in self.waiting.split_off(from + first) {
            match waiting.event {
                Event::Disconnected { .. } => {}
                Event::Reconnected { gap, attempts } => {
                    self.merged.0 += gap;
                    self.merged.1 = self.merged.1.saturating_add(attempts);
                }
                Event::Missed { count } => self.miss(count),
                // This outage will report them again.
                Event::Refused { channel: name, .. } | Event::PRefused { pattern: name, .. } => {
                    refused.push(name);
                }
                _ if waiting.repeated => {}
                // It was allowed again, and this outage will report that again, too.
                Event::Subscribe { channel: ref name, .. }
                | Event::PSubscribe { pattern: ref name, .. }
                    if refused.contains(name) => {}
                _ => self.waiting.push_back(waiting),
            }
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.waiting.pop_front()?.event;
        if let Some(bytes) = event.message_bytes() {
            self.messages -= 1;
            self.bytes -= bytes;
        }
        Some(event)
    }

    fn is_nearly_full(&self) -> bool {
        self.messages > self.bounds.messages / 2 || self.bytes > self.bounds.bytes / 2
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        // A message larger than the bound itself is let in alone: Redis allows payloads of
        // 512 MB, and one that could never arrive would be a trap.
        self.messages == 0
            || (self.messages < self.bounds.messages && self.bytes + bytes <= self.bounds.bytes)
    }

    fn miss(&mut self, more: u64) {
        match self.waiting.back_mut() {
            Some(Waiting { event: Event::Missed { count }, .. }) => *count += more,
            _ => {
                tracing::debug!("the reader is too slow: dropping messages");
                let event = Event::Missed { count: more };
                self.waiting.push_back(Waiting { event, repeated: false });
            }
        }
    }
}

/// A [`Queue`] between the connection, which pushes, and any number of readers, who wait.
pub(crate) struct Inbox {
    pub(crate) bounds: Bounds,
    queue: Mutex<Queue>,
    changed: Notify,
    /// Ends a pause: everything was read.
    caught_up: Arc<Notify>,
    /// Cancelled when nothing more comes.
    pub(crate) ended: CancellationToken,
}

impl Inbox {
    pub(crate) fn new(bounds: Bounds) -> Inbox {
        let (changed, caught_up, ended) = Default::default();
        Inbox { bounds, queue: Mutex::new(Queue::new(bounds)), changed, caught_up, ended }
    }

    /// Adds events in the order in which they came. Beyond half of a bound it returns a pause to
    /// take before the next ones: on a busy machine the readers may only wait for their turn.
    pub(crate) fn push_all(&self, events: impl IntoIterator<Item = Event>) -> Option<Pause> {
        let mut pause = None;
        self.change(|queue| {
            events.into_iter().for_each(|event| queue.push(event));
            if queue.is_nearly_full() {
                let caught_up = timeout(PAUSE, self.caught_up.clone().notified_owned());
                pause = Some(Box::pin(caught_up.map(drop)) as Pause);
            }
        });
        pause
    }

    /// Lets `change` add something, and wakes the readers. After the end it adds nothing.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = lock(&self.queue);
        if !self.ended.is_cancelled() {
            change(&mut queue);
        }
        drop(queue);
        self.changed.notify_waiters();
    }

    pub(crate) fn stats(&self) -> Stats {
        let queue = lock(&self.queue);
        Stats { waiting: queue.messages as u64, ..queue.stats }
    }

    /// The next event, if it is there already.
    pub(crate) fn take(&self) -> Option<Event> {
        let mut queue = lock(&self.queue);
        let event = queue.pop();
        if queue.waiting.is_empty() {
            self.caught_up.notify_waiters();
        }
        event
    }

    /// The next event, or `None` at the end. Giving it up loses nothing.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            // Before the look, so that it notices what changes after it.
            let changed = self.changed.notified();
            if let Some(event) = self.take() {
                return Some(event);
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = self.ended.cancelled() => return self.take(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
