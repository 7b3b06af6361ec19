//! A client ends by `close`, by a signal, or when its last clone and stream are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use acceptance::{Test, ask, command_stat, connection, eventually, redis};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use local_redis::{LocalRedis, PATIENCE, Signal};
use pubsub::{Error, Event, PubSub, Publisher};
use tokio::time::timeout;

use crate::kit::{both, message, next, publish, run, subscribed, subscribed_to};

pub(crate) const TESTS: &[Test] = &[
    ("closing::publish_fails_at_once_after_close", || both(fails_at_once)),
    ("closing::close_waits_for_the_answers", || both(waits_for_answers)),
    ("closing::close_gives_up_a_redis_that_hangs", || both(gives_up)),
    ("closing::what_was_given_up_is_not_published_later", not_published_later),
    ("closing::whatever_races_with_close_nothing_stays_subscribed", || both(races)),
    ("closing::the_connection_lives_as_long_as_a_clone_or_a_stream", || both(clones_and_streams)),
    ("closing::close_ends_all_clones_and_streams", || both(ends_all)),
    ("closing::a_signal_that_never_comes_holds_nothing", || both(close_when)),
    ("closing::one_command_ends_many_subscriptions", || run(one_command())),
];

async fn subscriber(redis: &LocalRedis, sharded: bool) -> PubSub {
    PubSub::builder(redis.url()).sharded(sharded).connect().await.unwrap()
}

async fn publisher(redis: &LocalRedis, sharded: bool) -> Arc<Publisher> {
    Arc::new(Publisher::builder(redis.url()).sharded(sharded).connect().await.unwrap())
}

/// The number of connections to Redis, without the one that asks.
fn connections(redis: &LocalRedis) -> usize {
    ask::<String>(redis, "CLIENT LIST").lines().count() - 1
}

/// Also while `close` waits for a Redis that hangs.
async fn fails_at_once(sharded: bool) {
    let mut redis = redis();
    let publisher = publisher(&redis, sharded).await;
    assert_eq!(publisher.publish("a", "before").await, Ok(0));
    redis.process.signal(Signal::STOP);
    let waiting = publisher.publish("a", "lost");
    let (lost, ()) = tokio::join!(waiting, async {
        let mut closing = Box::pin(publisher.close());
        assert_eq!((&mut closing).now_or_never(), None, "it does not wait for the answer");
        assert_eq!(publisher.publish("a", "after").now_or_never(), Some(Err(Error::Closed)));
        closing.await;
    });
    assert!(matches!(lost, Err(Error::NotConfirmed { .. })), "{lost:?}");
    assert_eq!(publisher.publish("a", "after").now_or_never(), Some(Err(Error::Closed)));
}

async fn waits_for_answers(sharded: bool) {
    let mut redis = redis();
    let publisher = publisher(&redis, sharded).await;
    publisher.publish("a", "before").await.unwrap();
    redis.process.signal(Signal::STOP);
    let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(publisher.publish("a", "x"))).collect();
    let early: Vec<_> = waiting.iter_mut().filter_map(FutureExt::now_or_never).collect();
    assert_eq!(early, []);
    tokio::join!(publisher.close(), async { redis.process.signal(Signal::CONT) });
    let answers: Vec<_> = waiting.into_iter().map(FutureExt::now_or_never).collect();
    assert_eq!(answers, vec![Some(Ok(0)); 100]);
}

async fn gives_up(sharded: bool) {
    let mut redis = redis();
    let publisher = publisher(&redis, sharded).await;
    publisher.publish("a", "before").await.unwrap();
    redis.process.signal(Signal::STOP);
    let mut waiting = Box::pin(publisher.publish("a", "lost"));
    assert_eq!((&mut waiting).now_or_never(), None);
    let start = Instant::now();
    timeout(PATIENCE, publisher.close()).await.unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(800), "after {took:?}");
    let answer = waiting.now_or_never().expect("not answered yet");
    assert!(matches!(answer, Err(Error::NotConfirmed { .. })), "{answer:?}");
}

/// The messages are larger than the buffers between publisher and Redis, so some wait in this
/// process. Those were reported as not confirmed, and must not be sent when Redis continues.
fn not_published_later() {
    run(async {
        for by_close in [true, false] {
            let mut redis = redis();
            let publisher = publisher(&redis, false).await;
            publisher.publish("a", "before").await.unwrap();
            redis.process.signal(Signal::STOP);
            let payload = "x".repeat(4 * 1024 * 1024);
            let waiting = join_all((0..48).map(|_| publisher.publish("a", &payload)));
            let answers = if by_close {
                let (answers, ()) = tokio::join!(waiting, publisher.close());
                answers
            } else {
                // The heartbeat ends the connection.
                timeout(PATIENCE, waiting).await.unwrap()
            };
            let lost = |answer| matches!(answer, &Err(Error::NotConfirmed { .. }));
            assert!(answers.iter().all(lost), "{answers:?}");
            redis.process.signal(Signal::CONT);
            eventually("the connection ends", || connections(&redis) == usize::from(!by_close));
            let published = command_stat(&redis, "publish", "calls") - 1;
            eprintln!("{published} of 48 were in the buffers");
            assert!(published < 24, "{published} were published that were given up");
        }
    });
}

async fn races(sharded: bool) {
    let redis = redis();
    let other = publisher(&redis, sharded).await;
    for round in 0..60 {
        let pubsub = subscriber(&redis, sharded).await;
        if round % 2 == 0 {
            pubsub.subscribe(["a"]).await.unwrap();
        }
        let each: [std::pin::Pin<Box<dyn Future<Output = ()> + Send>>; 5] = {
            let [one, two, three, four] = [(); 4].map(|()| pubsub.clone());
            let other = other.clone();
            [
                Box::pin(async move { drop(one.subscribe(["a", "b"]).await) }),
                Box::pin(async move { drop(two.unsubscribe(["a"]).await) }),
                Box::pin(async move { drop(three.subscribe(["b", "c"]).await) }),
                Box::pin(async move { drop(four.listen().collect::<Vec<_>>().await) }),
                Box::pin(async move { drop(other.publish("a", "x").await) }),
            ]
        };
        let racing: Vec<_> = each.into_iter().map(tokio::spawn).collect();
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        timeout(PATIENCE, pubsub.close()).await.expect("close hangs");
        for task in racing {
            timeout(PATIENCE, task).await.expect("it hangs").unwrap();
        }
        // The client still exists, so `close` itself has ended the subscriptions.
        for channel in ["a", "b", "c"] {
            eventually("nobody is subscribed", || subscribed_to(&redis, sharded, channel) == 0);
        }
        assert_eq!(pubsub.subscribe(["a"]).await, Err(Error::Closed));
    }
    eventually("only the publisher is connected", || connections(&redis) == 1);
}

async fn clones_and_streams(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded).await;
    pubsub.subscribe(["a"]).await.unwrap();
    let (clone, mut events) = (pubsub.clone(), pubsub.listen());
    drop(pubsub);
    clone.subscribe(["b"]).await.unwrap();
    drop(clone);
    // A stream alone keeps the connection.
    assert_eq!(events.next().await, Some(subscribed("a", 1)));
    assert_eq!(events.next().await, Some(subscribed("b", 2)));
    assert_eq!(publish(&redis, sharded, "b", "1"), 1);
    assert_eq!(events.next().await, Some(message("b", "1")));
    assert_eq!(connections(&redis), 1);
    drop(events);
    eventually("it is gone", || connections(&redis) == 0);

    // A clone alone keeps the connection.
    let pubsub = subscriber(&redis, sharded).await;
    let clone = pubsub.clone();
    drop((pubsub.listen(), pubsub));
    clone.subscribe(["c"]).await.unwrap();
    assert_eq!(next(&clone).await, subscribed("c", 1));
    drop(clone);
    eventually("it is gone", || connections(&redis) == 0);
}

async fn ends_all(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded).await;
    pubsub.subscribe(["a"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribed("a", 1));
    let streams = [(); 3].map(|()| tokio::spawn(pubsub.listen().collect::<Vec<_>>()));
    let clone = pubsub.clone();
    clone.close().await;
    let mut all = Vec::new();
    for stream in streams {
        all.extend(timeout(PATIENCE, stream).await.unwrap().unwrap());
    }
    assert_eq!(all, [Event::Unsubscribe { channel: "a".into(), count: 0 }]);
    for client in [pubsub, clone] {
        assert_eq!(client.subscribe(["b"]).await, Err(Error::Closed));
        assert_eq!(client.get_message(PATIENCE).await, None);
    }
    eventually("it is gone", || connections(&redis) == 0);
}

/// Set when the future that holds it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn close_when(sharded: bool) {
    let redis = redis();
    // `connections` leaves out one connection, so with this one the counts below are one higher.
    let _admin = connection(&redis);
    for ends_by_close in [false, true] {
        let gone = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let never = |gone: &Arc<AtomicBool>| {
            let dropped = Dropped(gone.clone());
            async move {
                let _dropped = dropped;
                std::future::pending().await
            }
        };
        let pubsub = subscriber(&redis, sharded).await;
        // Without a channel, sharded Pub/Sub needs no connection.
        pubsub.subscribe(["a"]).await.unwrap();
        pubsub.close_when(never(&gone[0]));
        let publisher = publisher(&redis, sharded).await;
        publisher.close_when(never(&gone[1]));
        assert_eq!(connections(&redis), 3);
        if ends_by_close {
            pubsub.close().await;
            publisher.close().await;
        } else {
            drop((pubsub, publisher));
        }
        eventually("the connections end", || connections(&redis) == 1);
        eventually("the waiting ends", || gone.iter().all(|gone| gone.load(Ordering::Relaxed)));
    }

    let pubsub = subscriber(&redis, sharded).await;
    let (signal, received) = tokio::sync::oneshot::channel::<()>();
    pubsub.close_when(async { received.await.unwrap() });
    let mut events = pubsub.listen();
    assert_eq!(events.next().now_or_never(), None);
    signal.send(()).unwrap();
    assert_eq!(timeout(PATIENCE, events.next()).await.unwrap(), None);
    eventually("it is gone", || connections(&redis) == 1);
}

/// With a command for each of very many channels, `close` would give up before the last one.
async fn one_command() {
    let redis = redis();
    let pubsub = subscriber(&redis, false).await;
    pubsub.subscribe((0..3000).map(|number| format!("channel {number}"))).await.unwrap();
    pubsub.close().await;
    assert_eq!(command_stat(&redis, "unsubscribe", "calls"), 1);
    let mut ended = 0;
    while let Some(event) = pubsub.listen().next().await {
        ended += u32::from(matches!(event, Event::Unsubscribe { .. }));
    }
    assert_eq!(ended, 3000);
}
