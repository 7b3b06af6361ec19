//! The programs of crates/lessons that no page runs.

use acceptance::*;
use local_redis::LocalRedis;
use redis::Commands;

pub(crate) const TESTS: [Test; 3] = [
    ("lessons: the_publisher_publishes_five_messages", the_publisher_publishes_five_messages),
    (
        "lessons: the_pattern_subscriber_shows_pattern_and_channel",
        the_pattern_subscriber_shows_pattern_and_channel,
    ),
    (
        "lessons: the_near_cache_drops_values_that_may_be_old",
        the_near_cache_drops_values_that_may_be_old,
    ),
];

fn example(redis: &LocalRedis, name: &str) -> Terminal {
    Terminal::start_command(example_command(name).env("REDIS_URL", redis.url()))
}

fn the_publisher_publishes_five_messages() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = example(&redis, "subscriber");
    subscriber.shows("Subscribed to channel 'notifications'. Waiting for messages...");
    let publisher = example(&redis, "publisher");
    publisher.shows("Sending messages to channel 'notifications'...");
    for _ in 0..5 {
        let line = publisher.line();
        let message = line.strip_prefix("Published: ").unwrap();
        let message = message.strip_suffix(" (receivers: 1)").unwrap();
        subscriber.shows(&format!("Received on channel 'notifications': {message}"));
    }
    assert!(publisher.end().with(0).stdout.is_empty());
}

fn the_pattern_subscriber_shows_pattern_and_channel() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = example(&redis, "pattern_subscriber");
    subscriber.shows("Subscribed to pattern 'news:*'. Waiting for messages...");
    assert_eq!(publish(&redis, b"news:weather", b"Rain"), 1);
    subscriber.shows("Pattern 'news:*' matched channel 'news:weather': Rain");
}

fn the_near_cache_drops_values_that_may_be_old() {
    let mut redis = LocalRedis::start().unwrap();
    let set = |redis: &LocalRedis, value: &str| {
        connection(redis).set::<_, _, ()>("greeting", value).unwrap();
    };
    set(&redis, "hello");
    let cache = example(&redis, "solution_near_cache");
    cache.shows("greeting: hello (from Redis)");
    cache.shows("greeting: hello (from memory)");

    set(&redis, "bonjour");
    publish(&redis, b"changed", b"greeting");
    cache.shows_later("greeting: bonjour (from Redis)");
    cache.shows("greeting: bonjour (from memory)");

    // Nobody announces this change, but the cache notices the outage.
    redis.restart().unwrap();
    set(&redis, "ciao");
    cache.shows_later("greeting: ciao (from Redis)");
    cache.shows_later("greeting: ciao (from memory)");
}
