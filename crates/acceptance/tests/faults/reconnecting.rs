//! The order of the library's events in a reconnect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use local_redis::LocalRedis;
use pubsub::{Event, PubSub};

use acceptance::{PATIENCE, Test, connection, eventually, redis, subscribers, tell};

pub(crate) const FAULTS: &[Test] =
    &[("reconnecting::order_under_a_publisher_that_never_stops", order)];

/// Publishes increasing numbers on 'a' as fast as it can, until it is dropped.
struct Numbers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Numbers {
    fn start(redis: &LocalRedis) -> Numbers {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (stop, mut connection) = (stop.clone(), connection(redis));
            move || {
                for number in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let mut publish = redis::cmd("PUBLISH");
                    publish.arg("a").arg(number).exec(&mut connection).unwrap();
                }
            }
        });
        Numbers { stop, thread: Some(thread) }
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

async fn next(pubsub: &PubSub) -> Event {
    pubsub.get_message(PATIENCE).await.expect("no event came")
}

/// Returns the next event that is not a message. The messages before it must be increasing numbers.
async fn next_after_messages(pubsub: &PubSub, last: &mut Option<u64>) -> Event {
    loop {
        match next(pubsub).await {
            Event::Message { payload, .. } => {
                let number = payload.to_string().parse().ok();
                assert!(number > *last, "{number:?} after {last:?}");
                *last = number;
            }
            event => return event,
        }
    }
}

fn subscribe(channel: &str, count: u64) -> Event {
    Event::Subscribe { channel: channel.into(), count }
}

/// Disconnected, reconnected, every confirmation, messages: while a publisher never stops.
fn order() {
    run(async {
        let redis = redis();
        let pubsub = PubSub::connect(&redis.url()).await.unwrap();
        pubsub.subscribe(["a", "b"]).await.unwrap();
        assert_eq!(next(&pubsub).await, subscribe("a", 1));
        assert_eq!(next(&pubsub).await, subscribe("b", 2));

        let numbers = Numbers::start(&redis);
        let mut last = None;
        for _ in 0..5 {
            // Messages are in the inbox before the cut: none of them may follow its event.
            for _ in 0..10 {
                assert!(matches!(next(&pubsub).await, Event::Message { .. }));
            }
            tell(&redis, "CLIENT KILL TYPE pubsub");
            let event = next_after_messages(&pubsub, &mut last).await;
            assert!(matches!(event, Event::Disconnected { .. }), "{event:?}");
            let event = next(&pubsub).await;
            assert!(matches!(event, Event::Reconnected { .. }), "{event:?}");
            assert_eq!(next(&pubsub).await, subscribe("a", 1));
            assert_eq!(next(&pubsub).await, subscribe("b", 2));
        }
        drop(numbers);
        pubsub.close().await;
        eventually("it is gone", || subscribers(&redis, "a") == 0);
    });
}
