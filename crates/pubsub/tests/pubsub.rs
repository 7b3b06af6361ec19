//! The library beside a real server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use local_redis::{LocalRedis, PATIENCE, Signal};
use pubsub::{Error, Event, PubSub, Publisher};
use tokio::task::yield_now;
use tokio::time::timeout;

async fn start() -> (LocalRedis, PubSub, Publisher) {
    let redis = LocalRedis::start().unwrap();
    let pubsub = PubSub::connect(&redis.url()).await.unwrap();
    let publisher = Publisher::connect(&redis.url()).await.unwrap();
    (redis, pubsub, publisher)
}

async fn next(pubsub: &PubSub) -> Event {
    pubsub.get_message(PATIENCE).await.expect("no event came")
}

fn message(channel: &str, payload: &str) -> Event {
    Event::Message { channel: channel.into(), payload: payload.into() }
}

fn subscribe(channel: &str, count: u64) -> Event {
    Event::Subscribe { channel: channel.into(), count }
}

#[tokio::test]
async fn the_whole_life_of_a_subscription() {
    let (_redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a", "b"]).await.unwrap();
    pubsub.psubscribe(["a*"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribe("a", 1));
    assert_eq!(next(&pubsub).await, subscribe("b", 2));
    assert_eq!(next(&pubsub).await, Event::PSubscribe { pattern: "a*".into(), count: 3 });

    // By name and by pattern: two receivers, two events.
    assert_eq!(publisher.publish("a", "1").await, Ok(2));
    let mut both = [next(&pubsub).await, next(&pubsub).await];
    both.sort_by_key(|event| matches!(event, Event::PMessage { .. }));
    let by_pattern =
        Event::PMessage { pattern: "a*".into(), channel: "a".into(), payload: "1".into() };
    assert_eq!(both, [message("a", "1"), by_pattern]);

    // Without a name nothing ends; Redis itself would end all.
    pubsub.unsubscribe([""; 0]).await.unwrap();
    pubsub.unsubscribe(["a"]).await.unwrap();
    assert_eq!(next(&pubsub).await, Event::Unsubscribe { channel: "a".into(), count: 2 });
    pubsub.punsubscribe(["a*"]).await.unwrap();
    assert_eq!(next(&pubsub).await, Event::PUnsubscribe { pattern: "a*".into(), count: 1 });
    assert_eq!(publisher.publish("a", "2").await, Ok(0));
    assert_eq!(publisher.publish("b", "3").await, Ok(1));

    pubsub.close().await;
    assert_eq!(publisher.publish("b", "4").await, Ok(0));
    // What came before the end can still be read; then there is nothing more, ever.
    assert_eq!(next(&pubsub).await, message("b", "3"));
    assert_eq!(next(&pubsub).await, Event::Unsubscribe { channel: "b".into(), count: 0 });
    assert_eq!(pubsub.get_message(PATIENCE).await, None);
    assert_eq!(pubsub.subscribe(["c"]).await, Err(Error::Closed));
    pubsub.close().await;
}

#[tokio::test]
async fn unsubscribing_while_listening() {
    let (_redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a", "b"]).await.unwrap();
    let listening = async {
        let mut events = pubsub.listen();
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            let last = event == message("b", "end");
            seen.push(event);
            if last {
                break;
            }
        }
        seen
    };
    let changing = async {
        publisher.publish("a", "1").await.unwrap();
        pubsub.unsubscribe(["a"]).await.unwrap();
        assert_eq!(publisher.publish("a", "2").await, Ok(0));
        publisher.publish("b", "end").await.unwrap();
    };
    let (seen, ()) = timeout(PATIENCE, async { tokio::join!(listening, changing) }).await.unwrap();
    assert_eq!(
        seen,
        [
            subscribe("a", 1),
            subscribe("b", 2),
            message("a", "1"),
            Event::Unsubscribe { channel: "a".into(), count: 1 },
            message("b", "end"),
        ]
    );
}

#[tokio::test]
async fn get_message_with_and_without_a_message_in_time() {
    let (_redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    assert_eq!(pubsub.get_message(Duration::ZERO).await, Some(subscribe("a", 1)));
    assert_eq!(pubsub.get_message(Duration::ZERO).await, None);
    assert_eq!(pubsub.get_message(Duration::from_millis(20)).await, None);
    let (event, receivers) =
        tokio::join!(pubsub.get_message(PATIENCE), publisher.publish("a", "1"));
    assert_eq!((event, receivers), (Some(message("a", "1")), Ok(1)));
}

#[tokio::test]
async fn two_readers_share_the_events() {
    let (_redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    next(&pubsub).await;
    let reading = async {
        let read = async { next(&pubsub).await };
        tokio::join!(read, async { next(&pubsub).await })
    };
    let publishing = async {
        publisher.publish("a", "1").await.unwrap();
        publisher.publish("a", "2").await.unwrap();
    };
    let ((one, two), ()) = tokio::join!(reading, publishing);
    let mut payloads = [one, two];
    payloads.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(payloads, [message("a", "1"), message("a", "2")]);
}

#[tokio::test]
async fn publishing_many_keeps_the_order() {
    let (_redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    next(&pubsub).await;
    // Nobody listens on every third one: each answer has to come with its own message.
    let numbers = (0..5000).map(|number| (if number % 3 == 0 { "b" } else { "a" }, number));
    let messages = stream::iter(numbers.map(|(channel, number)| (channel, number.to_string())));
    let answers: Vec<_> = publisher.publish_all(messages).collect().await;
    assert_eq!(answers.len(), 5000);
    for (number, (channel, payload, answer)) in answers.into_iter().enumerate() {
        assert_eq!(payload, number.to_string());
        assert_eq!(answer, Ok(if channel == "a" { 1 } else { 0 }));
        if channel == "a" {
            assert_eq!(next(&pubsub).await, message("a", &number.to_string()));
        }
    }
}

/// A slow source keeps its pace: its next message goes out while others wait for an answer.
#[tokio::test]
async fn publishing_does_not_wait_for_answers() {
    let (mut redis, _pubsub, publisher) = start().await;
    redis.process.signal(Signal::STOP);
    let taken = AtomicU32::new(0);
    let messages = stream::iter(0..300).then(async |_| {
        yield_now().await;
        taken.fetch_add(1, Ordering::Relaxed);
        ("a", "x")
    });
    let mut answers = pin!(publisher.publish_all(messages));
    // Long before the heartbeat notices.
    let none = timeout(Duration::from_millis(500), answers.next()).await;
    assert!(none.is_err(), "{none:?}");
    assert_eq!(taken.load(Ordering::Relaxed), 300);
    redis.process.signal(Signal::CONT);
    assert_eq!(answers.count().await, 300);
}

/// On one thread, with more to read at once than the inbox holds.
#[tokio::test]
async fn a_reader_has_its_turn_in_a_flood() {
    let (redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    next(&pubsub).await;
    // A large message, after which the connection reads large pieces.
    let large = "x".repeat(200 * 1024);
    publisher.publish("a", &large).await.unwrap();
    assert_eq!(next(&pubsub).await, message("a", &large));
    // Blocking, so that everything waits in Redis and in the socket until all is published.
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    for _ in 0..150 {
        let mut pipe = redis::pipe();
        for _ in 0..1000 {
            pipe.cmd("PUBLISH").arg("a").arg("x").ignore();
        }
        pipe.query::<()>(&mut connection).unwrap();
    }
    for number in 0..150_000 {
        assert_eq!(next(&pubsub).await, message("a", "x"), "after {number}");
    }
}

#[tokio::test]
async fn a_channel_that_is_refused_now_can_be_given_up_in_an_outage() {
    let (mut redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a", "b"]).await.unwrap();
    redis.kill().unwrap();
    while !matches!(next(&pubsub).await, Event::Disconnected { .. }) {}
    timeout(PATIENCE, pubsub.unsubscribe(["a"])).await.unwrap().unwrap();
    redis.restart().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Reconnected { .. }));
    assert_eq!(next(&pubsub).await, subscribe("b", 1));
    publisher.connected().await;
    assert_eq!(publisher.publish("a", "1").await, Ok(0));
}

#[tokio::test]
async fn a_publisher_waits_for_its_connection_and_can_be_closed() {
    let (mut redis, _pubsub, publisher) = start().await;
    redis.process.signal(local_redis::Signal::STOP);
    let closing = async {
        publisher.close().await;
        std::future::pending::<()>().await
    };
    let error = tokio::select! {
        // Published first, then closed.
        biased;
        answer = timeout(PATIENCE, publisher.publish("a", "1")) => answer.unwrap().unwrap_err(),
        () = closing => unreachable!(),
    };
    assert_eq!(error.to_string(), "not confirmed: the publisher was closed");

    redis.restart().unwrap();
    let publisher = Publisher::connect(&redis.url()).await.unwrap();
    publisher.connected().await;
    redis.kill().unwrap();
    while publisher.publish("a", "1").await.is_ok() {}
    // There is nothing to come back to.
    let waited = timeout(Duration::from_millis(300), publisher.connected()).await;
    assert!(waited.is_err(), "it says that it is connected");
}

#[tokio::test]
async fn comes_back_after_a_restart_with_every_subscription() {
    let (mut redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a", "b"]).await.unwrap();
    pubsub.psubscribe(["p*"]).await.unwrap();
    pubsub.unsubscribe(["b"]).await.unwrap();
    for _ in 0..4 {
        next(&pubsub).await;
    }

    redis.kill().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Disconnected { .. }));
    assert!(matches!(publisher.publish("a", "lost").await, Err(Error::NotConfirmed { .. })));
    // Asked for in an outage: confirmed when it is over.
    let (late, ()) = tokio::join!(pubsub.subscribe(["late"]), async {
        redis.restart().unwrap();
        publisher.connected().await;
    });
    late.unwrap();
    let Event::Reconnected { attempts, .. } = next(&pubsub).await else {
        panic!("not reconnected");
    };
    assert!(attempts >= 1);
    assert_eq!(next(&pubsub).await, subscribe("a", 1));
    assert_eq!(next(&pubsub).await, Event::PSubscribe { pattern: "p*".into(), count: 2 });
    assert_eq!(next(&pubsub).await, subscribe("late", 3));

    assert_eq!(publisher.publish("a", "1").await, Ok(1));
    assert_eq!(next(&pubsub).await, message("a", "1"));
}

/// A program that asks again and again, with a timeout, gets each confirmation once.
#[tokio::test]
async fn subscribes_that_were_given_up_in_an_outage_do_not_collect() {
    let (mut redis, pubsub, _publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    redis.kill().unwrap();
    while !matches!(next(&pubsub).await, Event::Disconnected { .. }) {}
    for _ in 0..100 {
        let given_up = timeout(Duration::from_millis(1), pubsub.subscribe(["b"])).await;
        assert!(given_up.is_err(), "{given_up:?}");
    }
    let (done, ()) = tokio::join!(pubsub.subscribe(["c"]), async { redis.restart().unwrap() });
    done.unwrap();
    let mut confirmed = Vec::new();
    while confirmed.last() != Some(&"c".to_owned()) {
        if let Event::Subscribe { channel, .. } = next(&pubsub).await {
            confirmed.push(channel.to_string());
        }
    }
    // The last one that was given up may still have been on its way.
    confirmed.retain(|channel| channel == "b");
    assert!(confirmed.len() <= 1, "{} times", confirmed.len());
}

#[tokio::test]
async fn closing_works_in_an_outage_too() {
    let (mut redis, pubsub, publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    next(&pubsub).await;
    redis.kill().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Disconnected { .. }));
    timeout(PATIENCE, pubsub.close()).await.unwrap();
    assert_eq!(pubsub.get_message(PATIENCE).await, None);

    timeout(PATIENCE, publisher.close()).await.unwrap();
    assert_eq!(publisher.publish("a", "1").await, Err(Error::Closed));
}

#[tokio::test]
async fn the_first_connect_says_what_is_wrong() {
    let mut redis = LocalRedis::start().unwrap();
    let url = redis.url();
    redis.kill().unwrap();
    for (url, says) in [
        (url.as_str(), "no Redis at 127.0.0.1:"),
        ("redis://no-such-host.invalid", "no Redis at no-such-host.invalid:6379: "),
        ("http://localhost", "not a Redis URL"),
        ("", "not a Redis URL"),
    ] {
        let error = PubSub::connect(url).await.err().unwrap().to_string();
        assert!(error.starts_with(says), "{error}");
        let error = Publisher::connect(url).await.err().unwrap().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}
