//! The three services as processes, beside a Redis or its stand-in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use acceptance::line::RANDOM;
use acceptance::*;
use local_redis::{LocalRedis, Signal};

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
fn json_has_the_keys_of_redis_py() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = Terminal::run(&redis, "subscriber --json");
    subscriber.shows(r#"{"type":"subscribe","pattern":null,"channel":"notifications","data":1}"#);
    publish(&redis, b"notifications", b"Hello");
    subscriber
        .shows(r#"{"type":"message","pattern":null,"channel":"notifications","data":"Hello"}"#);
    // The events are the whole output: no greeting and no goodbye.
    assert_eq!(
        subscriber.ctrl_c().with(0).stdout,
        [r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#]
    );
}

#[test]
fn json_of_patterns_and_of_bytes_that_are_not_utf_8() {
    let redis = LocalRedis::start().unwrap();
    let patterns = Terminal::run(&redis, "pattern-subscriber --json");
    patterns.shows(r#"{"type":"psubscribe","pattern":"news:*","channel":null,"data":1}"#);
    publish(&redis, b"news:a", b"\xff");
    patterns
        .shows(r#"{"type":"pmessage","pattern":"news:*","channel":"news:a","data_base64":"/w=="}"#);
    assert_eq!(
        patterns.ctrl_c().with(0).stdout,
        [r#"{"type":"punsubscribe","pattern":"news:*","channel":null,"data":0}"#]
    );
}

#[test]
fn json_of_an_outage() {
    let mut redis = LocalRedis::start().unwrap();
    for (service, confirmed, goodbye) in [
        (
            "subscriber",
            r#"{"type":"subscribe","pattern":null,"channel":"notifications","data":1}"#,
            r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#,
        ),
        (
            "pattern-subscriber",
            r#"{"type":"psubscribe","pattern":"news:*","channel":null,"data":1}"#,
            r#"{"type":"punsubscribe","pattern":"news:*","channel":null,"data":0}"#,
        ),
    ] {
        let service = Terminal::run(&redis, &format!("{service} --json"));
        service.shows(confirmed);
        redis.restart().unwrap();
        service.shows(r#"{"type":"disconnected","reason":"Redis closed the connection"}"#);
        let reconnected = service.line();
        let rest = reconnected.strip_prefix(r#"{"type":"reconnected","gap_ms":"#).unwrap();
        assert!(rest.contains(r#","attempts":"#), "{reconnected}");
        service.shows(confirmed);
        assert_eq!(service.ctrl_c().with(0).stdout, [goodbye]);
    }
}

#[test]
fn receives_again_after_a_restart_of_redis() {
    let mut redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    redis.restart().unwrap();
    subscriber.logs("lost the connection to Redis at 127.0.0.1");
    subscriber.logs("connected again to Redis at 127.0.0.1");
    subscriber.shows("Subscribed successfully to 'notifications'.");
    assert_eq!(publish(&redis, b"notifications", b"back"), 1);
    subscriber.shows("Received on channel 'notifications': back");
}

#[test]
fn ctrl_c_and_sigterm_unsubscribe_and_end_with_0() {
    let redis = LocalRedis::start().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        assert_eq!(subscribers(&redis, "notifications"), 0);
        for mut service in [subscriber(&redis), pattern_subscriber(&redis)] {
            service.signal(signal);
            let ended = service.end().with(0);
            assert_eq!(ended.stdout, ["Unsubscribing and shutting down."]);
            assert_eq!(ended.stderr, [""; 0]);
        }
        // Redis no longer counts the client. (The tests of --json see that it unsubscribes first.)
        assert_eq!(subscribers(&redis, "notifications"), 0);

        let mut publisher = Terminal::run(&redis, "publisher --forever --interval 1h");
        publisher.shows("Publisher: Sending messages to channel 'notifications'...");
        publisher.line();
        publisher.signal(signal);
        assert_eq!(publisher.end().with(0).stdout, ["Publisher shutting down."]);
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_redis() {
    let mut redis = LocalRedis::start().unwrap();
    let [once, twice] = [subscriber(&redis), subscriber(&redis)];
    // A hanging Redis does not confirm that the service unsubscribed: it waits 500 ms for that.
    redis.process().signal(Signal::STOP);
    let time_to_end = |mut service: Terminal, signals: u32| {
        let start = Instant::now();
        for _ in 0..signals {
            service.signal(Signal::INT);
            // The system merges two signals of a kind that arrive together.
            if signals > 1 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        service.end().with(0);
        start.elapsed()
    };
    let (once, twice) = (time_to_end(once, 1), time_to_end(twice, 2));
    assert!(twice < once, "{twice:?}, with one signal {once:?}");
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
fn a_publisher_counts_messages_that_redis_did_not_confirm() {
    let mut redis = LocalRedis::start().unwrap();
    let publisher = Terminal::run(&redis, "publisher --interval 300ms --count 6");
    publisher.shows("Publisher: Sending messages to channel 'notifications'...");
    publisher.line();
    redis.kill().unwrap();
    publisher.logs("not confirmed: ");
    redis.restart().unwrap();
    publisher.logs("connected again");
    assert!(publisher.line().starts_with("Published: "));
    let ended = publisher.end().with(1);
    let error = ended.stderr.last().unwrap();
    assert!(error.starts_with("error: Redis did not confirm "), "{error}");
}

#[test]
fn wrong_arguments_end_with_2_and_a_clear_line() {
    for (line, says) in [
        ("subscriber --colour", "unexpected argument '--colour'"),
        ("publisher --count 0", "'--count <N>': it must be at least 1"),
        ("publisher --count 3 --forever", "cannot be used with"),
        ("publisher --interval soon", "invalid value 'soon' for '--interval <TIME>'"),
        ("pattern-subscriber --redis-url", "a value is required for '--redis-url <URL>'"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let ended = Terminal::start_command(service_command(words[0]).args(&words[1..])).end();
        assert!(ended.stderr.iter().any(|line| line.contains(says)), "{line}: {ended:#?}");
        ended.with(2);
    }
}

#[test]
fn without_redis_the_error_names_the_address_and_a_way_to_start_one() {
    let mut redis = LocalRedis::start().unwrap();
    redis.kill().unwrap();
    for service in ["publisher", "subscriber", "pattern-subscriber"] {
        let mut command = service_command(service);
        let start = Instant::now();
        let ended = Terminal::start_command(command.env("REDIS_URL", redis.url())).end().with(1);
        assert!(start.elapsed() < Duration::from_secs(2));
        let [error, hint] = &ended.stderr[..] else { panic!("{ended:#?}") };
        let no_redis = format!("error: no Redis at 127.0.0.1:{}: ", redis.port());
        assert!(error.starts_with(&no_redis), "{error}");
        let cargo_redis = format!("`cargo redis --port {}`", redis.port());
        assert!(hint.contains(&cargo_redis) && hint.contains("docker run"), "{hint}");
        assert_eq!(ended.stdout, [""; 0]);
    }
}

#[test]
fn without_redis_the_example_with_the_redis_crate_names_a_way_to_start_one() {
    let mut redis = LocalRedis::start().unwrap();
    redis.kill().unwrap();
    let mut command = example_command("subscriber");
    let ended = Terminal::start_command(command.env("REDIS_URL", redis.url())).end().with(1);
    let says = ended.stderr.join("\n");
    assert!(says.contains("`cargo redis`") && says.contains("Connection refused"), "{says}");
}

#[test]
fn the_example_with_the_redis_crate_ends_with_redis_and_prints_nothing() {
    let mut redis = LocalRedis::start().unwrap();
    let mut command = example_command("subscriber");
    let alone = Terminal::start_command(command.env("REDIS_URL", redis.url()));
    alone.shows("Subscribed to channel 'notifications'. Waiting for messages...");
    redis.kill().unwrap();
    let ended = alone.end().with(0);
    assert_eq!((ended.stdout, ended.stderr), (vec![], vec![]));
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

#[test]
fn a_password_is_never_shown() {
    for url in [
        "redis://user:s3cret@127.0.0.1:1",
        "redis://:s3cret@127.0.0.1:1/x",
        "redis//:s3cret@127.0.0.1",
        "s3cret",
    ] {
        for arguments in [&["--help"][..], &[], &["--redis-url", url]] {
            let mut command = service_command("subscriber");
            command.env("RUST_LOG", "trace").env("REDIS_URL", url).args(arguments);
            let ended = Terminal::start_command(&mut command).end();
            assert!(!format!("{ended:?}").contains("s3cret"), "{url}: {ended:#?}");
        }
    }
}

#[test]
fn no_payload_can_harm_a_terminal_or_stop_a_subscriber() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    let large = "x".repeat(1024 * 1024);
    for (payload, shown) in [
        (&b""[..], ""),
        (b"\x1b[2J\x1b]0;title\x07", r"\u{1b}[2J\u{1b}]0;title\u{7}"),
        (b"two\r\nlines", r"two\r\nlines"),
        ("\u{202e}drawkcab".as_bytes(), r"\u{202e}drawkcab"),
        (b"\xff\xfe\x00", r"\xff\xfe\u{0}"),
        (large.as_bytes(), &large),
    ] {
        publish(&redis, b"notifications", payload);
        subscriber.shows(&format!("Received on channel 'notifications': {shown}"));
    }
    // Publishers choose channel names too, so these are escaped as well.
    let everything = Terminal::run(&redis, "pattern-subscriber *");
    everything.line();
    everything.line();
    publish(&redis, b"a\x1b\n\xff", b"x");
    everything.shows(r"Pattern '*' matched channel 'a\u{1b}\n\xff': x");
}

#[test]
fn help_shows_examples() {
    for service in ["publisher", "subscriber", "pattern-subscriber"] {
        let ended = Terminal::start_command(service_command(service).arg("--help")).end().with(0);
        assert!(ended.stdout.contains(&"Examples:".to_owned()), "{ended:#?}");
        let version = Terminal::start_command(service_command(service).arg("--version")).end();
        assert_eq!(version.with(0).stdout, [format!("{service} {}", env!("CARGO_PKG_VERSION"))]);
    }
}
