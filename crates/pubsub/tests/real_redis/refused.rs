//! Names that Redis refuses from the start, or later.

use std::time::{Duration, Instant};

use acceptance::{Test, ask, command_stat, eventually, redis, tell};
use local_redis::{LocalRedis, PATIENCE, Signal};
use pubsub::{Event, PubSub};
use tokio::time::timeout;

use crate::kit::{
    both, connect_as, is_outage, is_refusal, message, next, publish, run, subscribed, subscribed_to,
};

pub(crate) const TESTS: &[Test] = &[
    ("refused::giving_up_a_refused_name_is_the_cure", || both(the_cure)),
    ("refused::unsubscribing_in_an_outage_frees_a_subscribe_that_waits", || both(frees)),
    ("refused::a_subscribe_that_was_given_up_in_an_outage_is_left_out", || both(left_out)),
    ("refused::one_refused_name_silences_no_other", || both(silences_no_other)),
    ("refused::a_gap_begins_at_the_last_sign_of_life", || both(gap)),
    ("refused::a_refused_pattern_silences_no_channel", patterns),
    ("refused::all_names_are_refused", || both(all_refused)),
    ("refused::another_reason_and_another_outage_are_reported_again", || both(reported_again)),
    ("refused::a_subscribe_that_waited_is_refused_whole", || both(refused_whole)),
    ("refused::a_name_that_is_refused_now_can_be_asked_for_again", || both(asked_again)),
];

/// A subscriber to these channels, whose user is allowed all channels so far.
async fn subscriber(redis: &LocalRedis, sharded: bool, channels: &[&str]) -> PubSub {
    tell(redis, "ACL SETUSER reader on nopass +@all allchannels");
    let pubsub = connect_as("reader", redis, sharded).await;
    pubsub.subscribe(channels).await.unwrap();
    for _ in channels {
        next(&pubsub).await;
    }
    pubsub
}

fn allow_only(redis: &LocalRedis, channels: &str) {
    tell(redis, &format!("ACL SETUSER reader resetchannels {channels}"));
}

fn command(sharded: bool) -> &'static str {
    if sharded { "ssubscribe" } else { "subscribe" }
}

fn refusals(redis: &LocalRedis, sharded: bool) -> u64 {
    command_stat(redis, command(sharded), "rejected_calls")
}

#[track_caller]
fn refused(event: &Event) -> String {
    let (Event::Refused { channel: name, reason } | Event::PRefused { pattern: name, reason }) =
        event
    else {
        panic!("{event:?}")
    };
    assert!(reason.starts_with("NOPERM "), "{reason}");
    name.to_string()
}

/// One task subscribes, while another unsubscribes from the name that Redis refuses.
async fn the_cure(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a", "b"]).await;
    allow_only(&redis, "&b &c");
    let subscribing = tokio::spawn({
        let pubsub = pubsub.clone();
        async move { pubsub.subscribe(["c"]).await }
    });
    eventually("a is refused", || refusals(&redis, sharded) > 0);
    timeout(PATIENCE, pubsub.unsubscribe(["a"])).await.unwrap().unwrap();
    timeout(PATIENCE, subscribing).await.unwrap().unwrap().unwrap();
    for channel in ["b", "c"] {
        assert_eq!(publish(&redis, sharded, channel, "x"), 1);
        while next(&pubsub).await != message(channel, "x") {}
    }
}

async fn frees(sharded: bool) {
    let mut redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a"]).await;
    redis.kill().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Disconnected { .. }));
    let subscribing = tokio::spawn({
        let pubsub = pubsub.clone();
        async move { pubsub.subscribe(["b", "c"]).await }
    });
    // Until the subscribe waits.
    let started = tokio::time::Instant::now();
    while started.elapsed() < Duration::from_millis(50) {
        tokio::task::yield_now().await;
    }
    timeout(Duration::from_secs(1), pubsub.unsubscribe(["b", "a"])).await.unwrap().unwrap();
    assert!(!subscribing.is_finished());
    // After the restart the user exists again, with a right to 'c' only.
    redis.restart().unwrap();
    tell(&redis, "ACL SETUSER reader on nopass +@all resetchannels &c");
    timeout(PATIENCE, subscribing).await.unwrap().unwrap().unwrap();
    is_outage(&[Event::Disconnected { reason: String::new() }, next(&pubsub).await]);
    assert_eq!(next(&pubsub).await, subscribed("c", 1));
    assert_eq!(pubsub.get_message(Duration::ZERO).await, None);
}

async fn left_out(sharded: bool) {
    let mut redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a"]).await;
    redis.kill().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Disconnected { .. }));
    let given_up = timeout(Duration::from_millis(50), pubsub.subscribe(["b"])).await;
    assert!(given_up.is_err(), "{given_up:?}");
    let (later, ()) = tokio::join!(pubsub.subscribe(["c"]), async {
        redis.restart().unwrap();
        tell(&redis, "ACL SETUSER reader on nopass +@all allchannels");
    });
    later.unwrap();
    assert_eq!(publish(&redis, sharded, "c", "x"), 1);
    assert_eq!(publish(&redis, sharded, "b", "x"), 0);
}

/// The order is disconnected, reconnected, confirmations and refusals, messages. The name is tried
/// again on the same connection until it is allowed, and reported once.
async fn silences_no_other(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a", "b"]).await;
    allow_only(&redis, "&b");
    is_outage(&[next(&pubsub).await, next(&pubsub).await]);
    assert_eq!(next(&pubsub).await, subscribed("b", 1));
    assert_eq!(refused(&next(&pubsub).await), "a");
    assert_eq!(publish(&redis, sharded, "b", "1"), 1);
    assert_eq!(next(&pubsub).await, message("b", "1"));

    let clients: String = ask(&redis, "CLIENT LIST TYPE pubsub");
    let id = clients.split(' ').next().unwrap();
    let (before, goal) = (clients.clone(), refusals(&redis, sharded) + 3);
    eventually("it is tried again", || refusals(&redis, sharded) >= goal);
    assert_eq!(pubsub.get_message(Duration::ZERO).await, None, "reported twice");
    allow_only(&redis, "&a &b");
    assert_eq!(next(&pubsub).await, subscribed("a", 2));
    let clients: String = ask(&redis, "CLIENT LIST TYPE pubsub");
    assert!(clients.starts_with(&format!("{id} ")), "{before} and {clients}");
    assert_eq!(publish(&redis, sharded, "a", "2"), 1);
    assert_eq!(next(&pubsub).await, message("a", "2"));
    assert_eq!(pubsub.stats().reconnects, 1);
}

/// A refused name is asked for again and again, so perhaps not a PING shows that Redis hangs.
async fn gap(sharded: bool) {
    let mut redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a", "b"]).await;
    allow_only(&redis, "&b");
    is_outage(&[next(&pubsub).await, next(&pubsub).await]);
    while !matches!(next(&pubsub).await, Event::Refused { .. }) {}

    redis.process.signal(Signal::STOP);
    let stopped = Instant::now();
    assert!(matches!(next(&pubsub).await, Event::Disconnected { .. }));
    let stopped_for = stopped.elapsed();
    redis.process.signal(Signal::CONT);
    let Event::Reconnected { gap, .. } = next(&pubsub).await else { panic!() };
    assert!(gap >= stopped_for, "{gap:?} instead of {stopped_for:?}");
}

fn patterns() {
    run(async {
        let redis = redis();
        let pubsub = subscriber(&redis, false, &["a"]).await;
        pubsub.psubscribe(["p*", "q*"]).await.unwrap();
        next(&pubsub).await;
        next(&pubsub).await;
        allow_only(&redis, "&a &q*");
        is_outage(&[next(&pubsub).await, next(&pubsub).await]);
        assert_eq!(next(&pubsub).await, subscribed("a", 1));
        let q = Event::PSubscribe { pattern: "q*".into(), count: 2 };
        assert_eq!(next(&pubsub).await, q);
        let event = next(&pubsub).await;
        assert!(matches!(event, Event::PRefused { .. }), "{event:?}");
        assert_eq!(refused(&event), "p*");
        allow_only(&redis, "&a &q* &p*");
        let p = Event::PSubscribe { pattern: "p*".into(), count: 3 };
        assert_eq!(next(&pubsub).await, p);
    });
}

async fn all_refused(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a", "b"]).await;
    allow_only(&redis, "&other");
    is_outage(&[next(&pubsub).await, next(&pubsub).await]);
    let mut names = [refused(&next(&pubsub).await), refused(&next(&pubsub).await)];
    names.sort();
    assert_eq!(names, ["a", "b"]);
    allow_only(&redis, "&b");
    assert_eq!(next(&pubsub).await, subscribed("b", 1));
    pubsub.unsubscribe(["a"]).await.unwrap();
    assert_eq!(publish(&redis, sharded, "b", "1"), 1);
    while next(&pubsub).await != message("b", "1") {}
    pubsub.close().await;
    let last: Vec<_> = futures_util::StreamExt::collect(pubsub.listen()).await;
    assert_eq!(last, [Event::Unsubscribe { channel: "b".into(), count: 0 }]);
}

async fn reported_again(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a", "b"]).await;
    allow_only(&redis, "&b");
    is_outage(&[next(&pubsub).await, next(&pubsub).await]);
    next(&pubsub).await;
    let Event::Refused { reason: channel, .. } = next(&pubsub).await else { panic!() };
    // The command itself is forbidden too: another reason in the same outage.
    tell(&redis, &format!("ACL SETUSER reader -{}", command(sharded)));
    let Event::Refused { reason: command, .. } = next(&pubsub).await else { panic!() };
    assert_ne!(channel, command);
    tell(&redis, "ACL SETUSER reader +@all");
    tell(&redis, "CLIENT KILL TYPE pubsub");
    is_outage(&[next(&pubsub).await, next(&pubsub).await]);
    assert_eq!(next(&pubsub).await, subscribed("b", 1));
    assert_eq!(refused(&next(&pubsub).await), "a");
}

/// None of its names is added. A name that was subscribed to before stays wanted.
async fn refused_whole(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a"]).await;
    allow_only(&redis, "&a &b");
    is_refusal(&pubsub.subscribe(["b", "forbidden", "a"]).await);
    assert_eq!(subscribed_to(&redis, sharded, "b"), 0);
    assert_eq!(subscribed_to(&redis, sharded, "a"), 1);

    tell(&redis, "ACL SETUSER reader off");
    tell(&redis, "CLIENT KILL TYPE pubsub");
    loop {
        if let Event::Disconnected { .. } = next(&pubsub).await {
            break;
        }
    }
    let waits = pubsub.subscribe(["b", "forbidden", "a"]);
    let (result, ()) = tokio::join!(timeout(PATIENCE, waits), async {
        tell(&redis, "ACL SETUSER reader on");
    });
    is_refusal(&result.unwrap());
    let event = next(&pubsub).await;
    assert!(matches!(event, Event::Reconnected { .. }), "{event:?}");
    assert_eq!(subscribed_to(&redis, sharded, "b"), 0);
    assert_eq!(publish(&redis, sharded, "a", "still"), 1);
    let mut events = Vec::new();
    while events.last() != Some(&message("a", "still")) {
        events.push(next(&pubsub).await);
    }
    assert!(!events.iter().any(|event| matches!(event, Event::Refused { .. })), "{events:?}");
}

async fn asked_again(sharded: bool) {
    let redis = redis();
    let pubsub = subscriber(&redis, sharded, &["a"]).await;
    allow_only(&redis, "&b");
    is_outage(&[next(&pubsub).await, next(&pubsub).await]);
    assert_eq!(refused(&next(&pubsub).await), "a");
    is_refusal(&timeout(PATIENCE, pubsub.subscribe(["a", "b"])).await.unwrap());
    assert_eq!(subscribed_to(&redis, sharded, "b"), 0);
    is_refusal(&timeout(PATIENCE, pubsub.subscribe(["a"])).await.unwrap());
    // The name is still wanted.
    allow_only(&redis, "&a");
    while next(&pubsub).await != subscribed("a", 1) {}
    assert_eq!(publish(&redis, sharded, "a", "back"), 1);
    assert_eq!(next(&pubsub).await, message("a", "back"));
}
