//! Who gets which messages.

use acceptance::line::RANDOM;
use acceptance::*;
use local_redis::LocalRedis;

/// The message in a line of the publisher, between this prefix and these receivers.
#[track_caller]
fn message<'a>(line: &'a str, prefix: &str, receivers: &str) -> &'a str {
    let message = line.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(receivers));
    message.unwrap_or_else(|| panic!("{line:?} is not '{prefix}...{receivers}'")).trim_end()
}

#[test]
fn the_subscriber_shows_the_notifications_of_the_publisher() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    let publisher = Terminal::run(&redis, "publisher --interval 10ms").end().with(0);
    assert_eq!(publisher.stdout.len(), 6, "{publisher:#?}");
    assert_eq!(publisher.stdout[0], "Publisher: Sending messages to channel 'notifications'...");
    for line in &publisher.stdout[1..] {
        let message = message(line, "Published: ", "(1 receiver)");
        assert!(RANDOM.contains(&message), "{line}");
        subscriber.shows(&format!("Received on channel 'notifications': {message}"));
    }
}

#[test]
fn the_pattern_subscriber_shows_messages_of_two_channels() {
    let redis = LocalRedis::start().unwrap();
    let pattern_subscriber = pattern_subscriber(&redis);
    let news = "publisher news:sports news:politics --interval 10ms --count 3";
    let news = Terminal::run(&redis, news).end().with(0);
    assert_eq!(
        news.stdout[0],
        "Publisher: Sending messages to channels 'news:sports', 'news:politics'..."
    );
    let channels = ["news:sports", "news:politics", "news:sports"];
    for (line, channel) in news.stdout[1..].iter().zip(channels) {
        let message = message(line, &format!("Published to '{channel}': "), "(1 receiver)");
        pattern_subscriber
            .shows(&format!("Pattern 'news:*' matched channel '{channel}': {message}"));
    }
    assert_eq!(news.stdout.len(), 4);
}

#[test]
fn every_subscriber_gets_every_message() {
    let redis = LocalRedis::start().unwrap();
    let subscribers = [subscriber(&redis), subscriber(&redis)];
    let publisher = Terminal::run(&redis, "publisher --interval 10ms").end().with(0);
    for line in &publisher.stdout[1..] {
        let message = message(line, "Published: ", "(2 receivers)");
        for subscriber in &subscribers {
            subscriber.shows(&format!("Received on channel 'notifications': {message}"));
        }
    }
}

#[test]
fn a_subscriber_gets_no_message_from_before_it_subscribed() {
    let redis = LocalRedis::start().unwrap();
    let publisher = Terminal::run(&redis, "publisher --count 1 --message early").end().with(0);
    assert_eq!(publisher.stdout[1], "Published: early (0 receivers)");

    let subscriber = subscriber(&redis);
    publish(&redis, b"notifications", b"late");
    subscriber.shows("Received on channel 'notifications': late");
}

#[test]
fn a_channel_and_a_matching_pattern_are_two_receivers() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = Terminal::run(&redis, "subscriber news:sports");
    subscriber.shows("Subscriber: Subscribed to channel 'news:sports'. Waiting for messages...");
    subscriber.shows("Press Ctrl+C to exit.");
    subscriber.shows("Subscribed successfully to 'news:sports'.");
    let pattern_subscriber = pattern_subscriber(&redis);

    let publisher = Terminal::run(&redis, "publisher news:sports --count 1 --message Goal").end();
    assert_eq!(publisher.with(0).stdout[1], "Published: Goal (2 receivers)");
    subscriber.shows("Received on channel 'news:sports': Goal");
    pattern_subscriber.shows("Pattern 'news:*' matched channel 'news:sports': Goal");
}

#[test]
fn one_service_subscribes_to_several_channels_or_patterns() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = Terminal::run(&redis, "subscriber a b");
    subscriber.shows("Subscriber: Subscribed to channels 'a', 'b'. Waiting for messages...");
    subscriber.shows("Press Ctrl+C to exit.");
    subscriber.shows("Subscribed successfully to 'a'.");
    subscriber.shows("Subscribed successfully to 'b'.");
    let patterns = Terminal::run(&redis, "pattern-subscriber a* [bc]?");
    patterns.shows("Pattern Subscriber: Subscribed to all channels matching 'a*', '[bc]?'");
    patterns.shows("Subscribed to pattern 'a*'");
    patterns.shows("Subscribed to pattern '[bc]?'");

    for channel in ["a", "b", "c", "cc", "ab"] {
        publish(&redis, channel.as_bytes(), b"x");
    }
    subscriber.shows("Received on channel 'a': x");
    subscriber.shows("Received on channel 'b': x");
    patterns.shows("Pattern 'a*' matched channel 'a': x");
    patterns.shows("Pattern '[bc]?' matched channel 'cc': x");
    patterns.shows("Pattern 'a*' matched channel 'ab': x");
}

#[test]
fn with_forever_the_publisher_passes_the_default_count() {
    let redis = LocalRedis::start().unwrap();
    let publisher = Terminal::run(&redis, "publisher --forever --interval 1ms");
    for _ in 0..20 {
        publisher.line();
    }
    assert_eq!(publisher.ctrl_c().with(0).stdout.last().unwrap(), "Publisher shutting down.");
}

#[test]
fn an_interval_of_zero_loses_no_message() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    let publisher = Terminal::run(&redis, "publisher --interval 0s --count 5000").end().with(0);
    assert_eq!(publisher.stdout.len(), 5001);
    for line in &publisher.stdout[1..] {
        let message = message(line, "Published: ", "(1 receiver)");
        subscriber.shows(&format!("Received on channel 'notifications': {message}"));
    }
}

#[test]
fn a_subscriber_in_database_3_gets_messages_from_database_0() {
    let redis = LocalRedis::start().unwrap();
    let mut command = service_command("subscriber");
    let other = Terminal::start_command(command.env("REDIS_URL", format!("{}/3", redis.url())));
    for _ in 0..3 {
        other.line();
    }
    assert_eq!(publish(&redis, b"notifications", b"across"), 1);
    other.shows("Received on channel 'notifications': across");
}
