//! Redis ends and is started again.

use std::time::Duration;

use crate::events::Events;
use acceptance::{Terminal, Test, publish, redis, tell};

pub(crate) const FAULTS: &[Test] = &[
    ("outages::killed_and_started_again_after_a_second", killed_and_started_again),
    ("outages::away_for_longer_than_any_backoff", away_for_longer_than_any_backoff),
    ("outages::restarted_three_times_in_a_row", restarted_three_times_in_a_row),
    ("outages::disconnected_twice_in_a_row", disconnected_twice_in_a_row),
];

const CLOSED: &str = "Redis closed the connection";

fn killed_and_started_again() {
    let mut redis = redis();
    let mut events = Events::of_subscriber(&redis.url());
    let patterns = Terminal::run(&redis, "pattern-subscriber");
    patterns.line();
    patterns.line();
    redis.kill().unwrap();
    events.disconnected(CLOSED);
    // The outage itself takes this long.
    std::thread::sleep(Duration::from_secs(1));
    redis.restart().unwrap();
    let (gap, attempts) = events.reconnected();
    assert!(gap >= Duration::from_secs(1) && attempts > 1, "{gap:?}, {attempts} attempts");
    events.subscribed();
    publish(&redis, b"notifications", b"back");
    events.message("back");
    events.end();

    patterns.logs(CLOSED);
    patterns.logs("connected again");
    patterns.shows("Subscribed to pattern 'news:*'");
    publish(&redis, b"news:a", b"back");
    patterns.shows("Pattern 'news:*' matched channel 'news:a': back");
}

fn away_for_longer_than_any_backoff() {
    let mut redis = redis();
    let mut events = Events::of_subscriber(&redis.url());
    redis.kill().unwrap();
    events.disconnected(CLOSED);
    events.terminal.logs("lost the connection");
    // The delays between attempts grow for 5 s at most; from then on they are 1 to 2 s.
    std::thread::sleep(Duration::from_secs(8));
    redis.restart().unwrap();
    let (gap, attempts) = events.reconnected();
    assert!(gap >= Duration::from_secs(8), "{gap:?}");
    assert!((7..=16).contains(&attempts), "{attempts} attempts in {gap:?}");
    events.subscribed();
    publish(&redis, b"notifications", b"back");
    events.message("back");
    let ended = events.end();
    let [cannot, again] = &ended.stderr[..] else { panic!("not once each: {ended:#?}") };
    assert!(cannot.contains("cannot connect again yet: no Redis at"), "{ended:#?}");
    assert!(again.contains("connected again"), "{ended:#?}");
}

fn restarted_three_times_in_a_row() {
    let mut redis = redis();
    let mut events = Events::of_subscriber(&redis.url());
    for _ in 0..3 {
        redis.restart().unwrap();
    }
    // Two restarts may fall into one outage. Each outage is reported in full.
    let mut outages = 0;
    loop {
        events.disconnected(CLOSED);
        events.reconnected();
        events.subscribed();
        outages += 1;
        if publish(&redis, b"notifications", b"back") == 1 {
            break;
        }
    }
    assert!((1..=3).contains(&outages), "{outages}");
    events.message("back");
    events.end();
}

/// The second outage begins before the delay is reset after the first.
fn disconnected_twice_in_a_row() {
    let redis = redis();
    let mut events = Events::of_subscriber(&redis.url());
    for payload in ["once", "twice"] {
        tell(&redis, "CLIENT KILL TYPE pubsub");
        events.disconnected(CLOSED);
        let (_, attempts) = events.reconnected();
        assert_eq!(attempts, 1);
        events.subscribed();
        publish(&redis, b"notifications", payload.as_bytes());
        events.message(payload);
    }
    events.end();
}
