//! Numbered messages, which show whether one is missing, received twice or out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use local_redis::LocalCluster;
use pubsub::Publisher;
use serde_json::Value;

use crate::CHANNELS;
use acceptance::Terminal;

/// The outcome of each publish.
#[derive(Default, Debug)]
pub(crate) struct Published {
    /// The numbers that Redis has confirmed, by channel.
    pub confirmed: BTreeMap<&'static str, BTreeSet<u64>>,
    /// The errors of the other numbers.
    pub not_confirmed: Vec<String>,
}

/// Publishes 0, 1, 2 ... on each of the three channels, until it is stopped.
pub(crate) struct Numbers {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Published>,
}

impl Numbers {
    pub(crate) fn start(cluster: &LocalCluster) -> Numbers {
        let (stop, urls) = (Arc::new(AtomicBool::new(false)), cluster.urls());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(publish(&urls, &stopped))
        });
        Numbers { stop, thread }
    }

    pub(crate) fn stop(self) -> Published {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

async fn publish(urls: &str, stopped: &AtomicBool) -> Published {
    let publisher = Publisher::builder(urls).sharded(true).connect().await.unwrap();
    let mut published = Published::default();
    for number in 0_u64.. {
        for channel in CHANNELS {
            match publisher.publish(channel, number.to_string()).await {
                Ok(_) => drop(published.confirmed.entry(channel).or_default().insert(number)),
                Err(error) => published.not_confirmed.push(error.to_string()),
            }
        }
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    published
}

/// All events of a `subscriber --json`, in their order.
pub(crate) struct Received<'a> {
    subscriber: &'a Terminal,
    pub events: Vec<Value>,
}

impl Received<'_> {
    pub(crate) fn by(subscriber: &Terminal) -> Received<'_> {
        Received { subscriber, events: Vec::new() }
    }

    /// Reads events until this one; returns its position.
    #[track_caller]
    pub(crate) fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> usize {
        loop {
            let event = crate::event(self.subscriber);
            let found = is_it(&event);
            self.events.push(event);
            if found {
                return self.events.len() - 1;
            }
        }
    }

    /// Reads events until the next of this type; returns its position.
    #[track_caller]
    pub(crate) fn until_type(&mut self, kind: &str) -> usize {
        self.until(|event| event["type"] == kind)
    }

    /// Reads events until each channel has delivered a further message.
    #[track_caller]
    pub(crate) fn until_all_deliver(&mut self) {
        for channel in CHANNELS {
            self.until_delivers(channel);
        }
    }

    #[track_caller]
    pub(crate) fn until_delivers(&mut self, channel: &str) {
        self.until(|event| event["type"] == "message" && event["channel"] == channel);
    }

    /// Reads events until the last confirmed number of each channel.
    #[track_caller]
    pub(crate) fn the_rest(&mut self, published: &Published) {
        for channel in CHANNELS {
            let last = published.confirmed[channel].last();
            while self.numbers(channel, 0, self.events.len()).last() < last {
                self.until_delivers(channel);
            }
        }
    }

    /// The numbers of a channel among the events between two positions.
    #[track_caller]
    pub(crate) fn numbers(&self, channel: &str, from: usize, to: usize) -> Vec<u64> {
        let messages = self.events[from..to].iter();
        let messages = messages.filter(|e| e["type"] == "message" && e["channel"] == channel);
        messages.map(|event| event["data"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The number of events of this type so far.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event["type"] == kind).count()
    }

    /// No number was received twice. All numbers that Redis confirmed were received in order, except
    /// those in a reported gap of a channel that was subscribed to again. (A number that was not
    /// confirmed may be received late, from a node that hung and wakes up.)
    #[track_caller]
    pub(crate) fn nothing_is_lost_in_silence(&mut self, published: &Published) {
        self.the_rest(published);
        for channel in CHANNELS {
            let received = self.numbers(channel, 0, self.events.len());
            let first = received[0];
            let once: BTreeSet<_> = received.iter().copied().collect();
            assert_eq!(once.len(), received.len(), "received twice on '{channel}': {received:?}");
            let confirmed =
                received.into_iter().filter(|number| published.confirmed[channel].contains(number));
            let confirmed: Vec<_> = confirmed.collect();
            assert!(confirmed.is_sorted(), "out of order on '{channel}': {confirmed:?}");
            let received = once;
            let gaps = self.gaps(channel);
            let missing =
                published.confirmed[channel].range(first..).filter(|n| !received.contains(n));
            let silent: Vec<_> =
                missing.filter(|n| !gaps.iter().any(|gap| gap.contains(n))).collect();
            assert!(silent.is_empty(), "'{channel}' lost {silent:?} outside of its gaps {gaps:?}");
        }
    }

    /// From the last number before each `disconnected` to the first after its `reconnected`, if
    /// that is followed by a confirmation of the channel.
    fn gaps(&self, channel: &str) -> Vec<RangeInclusive<u64>> {
        let (mut gaps, mut last, mut before, mut begun) = (Vec::new(), 0, None, None);
        for event in &self.events {
            match event["type"].as_str().unwrap() {
                "disconnected" => before = Some(last),
                "subscribe" if event["channel"] == channel => begun = before.take(),
                "message" if event["channel"] == channel => {
                    last = event["data"].as_str().unwrap().parse().unwrap();
                    gaps.extend(begun.take().map(|before| before..=last));
                }
                _ => {}
            }
        }
        gaps
    }
}
