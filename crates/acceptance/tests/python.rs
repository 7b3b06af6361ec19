//! Our services beside the scripts of the usual Python tutorial: each publishes to the other's
//! subscribers, and both must print the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::ExitCode;

use acceptance::*;
use libtest_mimic::{Arguments, Failed};
use local_redis::LocalRedis;

fn main() -> ExitCode {
    let redis_py = RedisPy::find_or_install(env!("CARGO_TARGET_TMPDIR"), Parser::Python);
    let python = Need::new("REQUIRE_PYTHON", redis_py.clone().err());
    let trial_with = |need: &Need, name: &str, test: fn(RedisPy) -> Result<(), Failed>| {
        let redis_py = redis_py.clone();
        need.trial(name, move || test(redis_py?))
    };
    let trial = |name: &str, test| trial_with(&python, name, test);
    // The stand-in has no ACL, so it refuses nothing.
    let with_real_redis = python.clone().and(Need::real_redis());
    let trials = vec![
        trial("both_print_the_same_on_a_channel", on_a_channel),
        trial("both_print_the_same_on_a_channel_of_a_pattern", on_a_channel_of_a_pattern),
        trial("the_dicts_of_channels_are_our_json", dicts_of_channels),
        trial("the_dicts_of_patterns_are_our_json_except_confirmations", dicts_of_patterns),
        trial("redis_py_does_what_the_table_says", calls),
        trial("redis_py_publishes_twice_when_no_answer_comes", no_answer),
        trial("redis_py_waits_for_a_redis_that_hangs", hanging),
        trial("a_client_from_a_url_does_not_reconnect", from_url),
        trial("both_reconnect_after_a_restart", both_reconnect),
        trial("redis_py_gives_up_in_a_longer_outage", redis_py_gives_up),
        trial_with(&with_real_redis, "redis_py_raises_a_refusal", refused),
    ];
    let mut arguments = Arguments::from_args();
    // More than there are cores: the tests mostly wait.
    arguments.test_threads.get_or_insert(6);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs a script: `run(&redis_py, &redis, "subscriber.py")`.
fn run(redis_py: &RedisPy, redis: &LocalRedis, line: &str) -> Terminal {
    let mut words = line.split(' ');
    let mut command = redis_py.command();
    command
        // Unbuffered: each line arrives when it is printed.
        .arg("-u")
        .arg(RedisPy::script(words.next().unwrap()))
        .args(words)
        .env("REDIS_PORT", redis.port().to_string())
        .env("INTERVAL", "0.01");
    Terminal::start_command(&mut command)
}

/// Runs both publishers, one after the other, beside two subscribers. Returns their messages.
#[track_caller]
fn messages_of_both_publishers(
    redis: &LocalRedis,
    redis_py: &RedisPy,
    channel: &str,
) -> Vec<String> {
    let ours = Terminal::run(redis, &format!("publisher {channel} --interval 10ms")).end().with(0);
    let theirs = run(redis_py, redis, &format!("publisher.py {channel}")).end().with(0);
    assert_eq!(ours.stdout[0], theirs.stdout[0]);
    let mut messages = Vec::new();
    // Our line ends with the number of receivers.
    for (publisher, receivers) in [(ours, " (2 receivers)"), (theirs, "")] {
        assert_eq!(publisher.stdout.len(), 6, "{publisher:#?}");
        assert_eq!(publisher.stderr, [""; 0]);
        for line in &publisher.stdout[1..] {
            let message =
                line.strip_prefix("Published: ").and_then(|it| it.strip_suffix(receivers));
            messages.push(message.unwrap_or_else(|| panic!("{line}")).to_owned());
        }
    }
    messages
}

/// Presses Ctrl+C in both; asserts that their last lines are equal, and returns them.
#[track_caller]
fn end_alike(ours: Terminal, theirs: Terminal) -> Vec<String> {
    let (ours, theirs) = (ours.ctrl_c().with(0), theirs.ctrl_c().with(0));
    assert_eq!(ours.stdout, theirs.stdout);
    assert_eq!((ours.stderr, theirs.stderr), (vec![], vec![]));
    ours.stdout
}

fn on_a_channel(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let (ours, theirs) = (subscriber(&redis), run(&redis_py, &redis, "subscriber.py"));
    // `subscriber` has read these lines of ours.
    theirs.shows("Subscriber: Subscribed to channel 'notifications'. Waiting for messages...");
    theirs.shows("Press Ctrl+C to exit.");
    theirs.shows("Subscribed successfully to 'notifications'.");
    for message in messages_of_both_publishers(&redis, &redis_py, "notifications") {
        for subscriber in [&ours, &theirs] {
            subscriber.shows(&format!("Received on channel 'notifications': {message}"));
        }
    }
    assert_eq!(end_alike(ours, theirs), ["Unsubscribing and shutting down."]);
    Ok(())
}

fn on_a_channel_of_a_pattern(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let ours = pattern_subscriber(&redis);
    let theirs = run(&redis_py, &redis, "pattern_subscriber.py");
    theirs.shows("Pattern Subscriber: Subscribed to all channels matching 'news:*'");
    // Our line names the pattern.
    theirs.shows("Subscribed to pattern None");
    for message in messages_of_both_publishers(&redis, &redis_py, "news:sports") {
        for subscriber in [&ours, &theirs] {
            subscriber.shows(&format!("Pattern 'news:*' matched channel 'news:sports': {message}"));
        }
    }
    assert_eq!(end_alike(ours, theirs), ["Unsubscribing and shutting down."]);
    Ok(())
}

/// Publishes texts that JSON has to escape, and others that it must not.
fn publish_to_two(redis: &LocalRedis, channels: [&str; 2]) {
    for channel in channels {
        for payload in ["Late goal wins it.", "", "a \"b\" \\ c/d", "Größe: 5 €", "two\n\tlines"]
        {
            assert_eq!(publish(redis, channel.as_bytes(), payload.as_bytes()), 2);
        }
    }
}

fn dicts_of_channels(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let ours = Terminal::run(&redis, "subscriber --json café notifications");
    let theirs = run(&redis_py, &redis, "dicts.py subscribe café notifications");
    for (channel, data) in [("café", 1), ("notifications", 2)] {
        let line =
            format!(r#"{{"type":"subscribe","pattern":null,"channel":"{channel}","data":{data}}}"#);
        ours.shows(&line);
        theirs.shows(&line);
    }
    publish_to_two(&redis, ["café", "notifications"]);
    for _ in 0..10 {
        let line = ours.line();
        assert!(line.starts_with(r#"{"type":"message","pattern":null,"channel":""#), "{line}");
        theirs.shows(&line);
    }
    let ended = end_alike(ours, theirs);
    assert_eq!(
        ended,
        [
            r#"{"type":"unsubscribe","pattern":null,"channel":"café","data":1}"#,
            r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#,
        ]
    );
    Ok(())
}

fn dicts_of_patterns(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let ours = Terminal::run(&redis, "pattern-subscriber --json café:? news:*");
    let theirs = run(&redis_py, &redis, "dicts.py psubscribe café:? news:*");
    // The one difference: redis-py puts the pattern of a confirmation under "channel".
    for (pattern, data) in [("café:?", 1), ("news:*", 2)] {
        ours.shows(&format!(
            r#"{{"type":"psubscribe","pattern":"{pattern}","channel":null,"data":{data}}}"#
        ));
        theirs.shows(&format!(
            r#"{{"type":"psubscribe","pattern":null,"channel":"{pattern}","data":{data}}}"#
        ));
    }
    publish_to_two(&redis, ["café:1", "news:sports"]);
    for _ in 0..10 {
        let line = ours.line();
        assert!(line.starts_with(r#"{"type":"pmessage","pattern":""#), "{line}");
        theirs.shows(&line);
    }
    let (ours, theirs) = (ours.ctrl_c().with(0), theirs.ctrl_c().with(0));
    assert_eq!(
        ours.stdout,
        [
            r#"{"type":"punsubscribe","pattern":"café:?","channel":null,"data":1}"#,
            r#"{"type":"punsubscribe","pattern":"news:*","channel":null,"data":0}"#,
        ]
    );
    assert_eq!(
        theirs.stdout,
        [
            r#"{"type":"punsubscribe","pattern":null,"channel":"café:?","data":1}"#,
            r#"{"type":"punsubscribe","pattern":null,"channel":"news:*","data":0}"#,
        ]
    );
    Ok(())
}

fn calls(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    run(&redis_py, &redis, "calls.py").end().with(0);
    Ok(())
}

fn no_answer(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let id = redis.process.child.id();
    run(&redis_py, &redis, &format!("no_answer.py {id}")).end().with(0);
    Ok(())
}

fn hanging(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let id = redis.process.child.id();
    run(&redis_py, &redis, &format!("hanging.py {id}")).end().with(0);
    Ok(())
}

fn from_url(redis_py: RedisPy) -> Result<(), Failed> {
    let mut redis = LocalRedis::start()?;
    let theirs = run(&redis_py, &redis, "from_url.py");
    theirs.shows("subscribed");
    redis.restart()?;
    theirs.end().with(0);
    Ok(())
}

fn refused(redis_py: RedisPy) -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    run(&redis_py, &redis, "refused.py").end().with(0);
    Ok(())
}

/// Subscribers whose first line, the confirmation, has been read.
fn subscribed(redis: &LocalRedis, redis_py: &RedisPy) -> [Terminal; 2] {
    let ours = Terminal::run(redis, "subscriber --json");
    let theirs = run(redis_py, redis, "dicts.py subscribe notifications");
    for subscriber in [&ours, &theirs] {
        subscriber.shows(CONFIRMED);
    }
    [ours, theirs]
}

const CONFIRMED: &str = r#"{"type":"subscribe","pattern":null,"channel":"notifications","data":1}"#;

fn both_reconnect(redis_py: RedisPy) -> Result<(), Failed> {
    let mut redis = LocalRedis::start()?;
    let [ours, theirs] = subscribed(&redis, &redis_py);
    redis.restart()?;
    // Only our subscriber reports the gap and its length.
    let line = ours.line();
    assert!(line.starts_with(r#"{"type":"disconnected","#), "{line}");
    let line = ours.line();
    assert!(line.starts_with(r#"{"type":"reconnected","#), "{line}");
    ours.shows(CONFIRMED);
    theirs.shows(CONFIRMED);
    assert_eq!(publish(&redis, b"notifications", b"back"), 2);
    for subscriber in [&ours, &theirs] {
        subscriber
            .shows(r#"{"type":"message","pattern":null,"channel":"notifications","data":"back"}"#);
    }
    Ok(())
}

fn redis_py_gives_up(redis_py: RedisPy) -> Result<(), Failed> {
    let mut redis = LocalRedis::start()?;
    let [ours, theirs] = subscribed(&redis, &redis_py);
    redis.kill()?;
    let theirs = theirs.end().with(1);
    assert_eq!(theirs.stdout, [""; 0]);
    let error = theirs.stderr.last().unwrap();
    assert!(error.starts_with("redis.exceptions.ConnectionError: "), "{error}");

    redis.restart()?;
    for start in [r#"{"type":"disconnected","#, r#"{"type":"reconnected","#, CONFIRMED] {
        let line = ours.line();
        assert!(line.starts_with(start), "{line}");
    }
    Ok(())
}
