//! Redis or the network stops answering, and the connection stays open.

use std::time::{Duration, Instant};

use local_redis::Signal;

use crate::events::Events;
use crate::relay::Relay;
use acceptance::{Test, eventually, publish, redis, subscribers, tell};

pub(crate) const FAULTS: &[Test] = &[
    ("hanging::redis_stops_and_continues", redis_stops_and_continues),
    ("hanging::the_network_drops_packets", the_network_drops_packets),
    ("hanging::client_pause", client_pause),
    ("hanging::a_large_message_over_a_slow_network", a_large_message),
];

/// PING every 3 s, 1 s for the answer, and one more for a busy machine.
const NOTICED: Duration = Duration::from_secs(5);

fn redis_stops_and_continues() {
    let mut redis = redis();
    let mut events = Events::of_subscriber(&redis.url());
    redis.process.signal(Signal::STOP);
    let start = Instant::now();
    events.disconnected("no answer to PING within 1s");
    assert!(start.elapsed() < NOTICED, "noticed after {:?}", start.elapsed());
    events.terminal.logs("cannot connect again yet: no Redis at 127.0.0.1");
    redis.process.signal(Signal::CONT);
    events.reconnected();
    events.subscribed();
    publish(&redis, b"notifications", b"back");
    events.message("back");
    let ended = events.end();
    // The error was logged once, for all attempts.
    assert!(!ended.stderr.iter().any(|line| line.contains("cannot")), "{ended:#?}");
}

fn the_network_drops_packets() {
    let redis = redis();
    let relay = Relay::to(redis.port());
    let mut events = Events::of_subscriber(&relay.url());
    publish(&redis, b"notifications", b"before");
    events.message("before");

    relay.go_silent();
    let start = Instant::now();
    events.disconnected("no answer to PING within 1s");
    assert!(start.elapsed() < NOTICED, "noticed after {:?}", start.elapsed());
    events.terminal.logs("cannot connect again yet");

    relay.recover_for_new_connections();
    events.reconnected();
    events.subscribed();
    // Redis does not know yet that the old connection is dead, and counts it as a receiver.
    assert_eq!(publish(&redis, b"notifications", b"after"), 2);
    events.message("after");
    relay.deliver_late();
    eventually("the old connection is closed", || subscribers(&redis, "notifications") == 1);
    publish(&redis, b"notifications", b"last");
    events.message("last");
    events.end();
}

/// CLIENT PAUSE: Redis answers nobody for a while.
fn client_pause() {
    let redis = redis();
    let mut events = Events::of_subscriber(&redis.url());
    tell(&redis, "CLIENT PAUSE 6000 ALL");
    events.disconnected("no answer to PING within 1s");
    events.reconnected();
    events.subscribed();
    assert_eq!(publish(&redis, b"notifications", b"back"), 1);
    events.message("back");
    events.end();
}

/// 12 MB at 2 MB/s take 6 s. Nothing else arrives meanwhile, not even the answer to a PING.
fn a_large_message() {
    let redis = redis();
    let relay = Relay::to(redis.port());
    let mut events = Events::of_subscriber(&relay.url());
    relay.limit(2_000_000);
    let large = "x".repeat(12_000_000);
    let start = Instant::now();
    assert_eq!(publish(&redis, b"notifications", large.as_bytes()), 1);
    let event = events.next();
    assert_eq!(event["type"], "message", "{event}");
    assert!(event["data"] == large.as_str(), "another payload");
    assert!(start.elapsed() > Duration::from_secs(5), "after {:?}", start.elapsed());
    publish(&redis, b"notifications", b"small");
    events.message("small");
    events.end();
}
