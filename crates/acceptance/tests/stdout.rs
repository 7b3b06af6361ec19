//! A service whose stdout is read slowly, not at all, or no longer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use acceptance::*;
use local_redis::{Leashed, LocalRedis, Signal};

#[test]
fn ends_quietly_when_the_reader_of_stdout_has_gone() {
    let redis = LocalRedis::start().unwrap();
    let mut command = service_command("subscriber");
    command.env("REDIS_URL", redis.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut subscriber = Leashed::spawn(&mut command).unwrap();
    let mut line = String::new();
    // Like `subscriber | head -1`: one line is read, then the pipe is closed. The subscriber ends
    // without waiting for a message.
    BufReader::new(subscriber.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(subscriber.wait(PATIENCE).unwrap().code(), Some(0));
    let stderr = BufReader::new(subscriber.child.stderr.take().unwrap());
    assert_eq!(stderr.lines().count(), 0);
}

/// A subscriber whose stdout is not read, after so many messages that it dropped some. Returns how
/// many were published.
fn blocked_subscriber(redis: &LocalRedis) -> (Leashed, u64) {
    let mut command: Command = service_command("subscriber");
    command.arg("--json").env("REDIS_URL", redis.url()).env("RUST_LOG", "debug");
    let mut subscriber =
        Leashed::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
    eventually("it subscribes", || subscribers(redis, "notifications") == 1);
    let log = BufReader::new(subscriber.child.stderr.take().unwrap());
    let drops = std::thread::spawn(move || {
        log.lines().map(Result::unwrap).find(|line| line.contains("dropping messages"))
    });
    let start = Instant::now();
    let mut published = 0;
    while !drops.is_finished() {
        assert!(start.elapsed() < PATIENCE, "{published} messages, none dropped");
        flood(redis, 1);
        published += 1000;
    }
    assert!(drops.join().unwrap().is_some(), "the subscriber has ended");
    (subscriber, published)
}

#[test]
fn a_reader_that_keeps_up_misses_nothing_in_a_flood() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    // More than the inbox holds.
    flood(&redis, 80);
    for _ in 0..80_000 {
        subscriber.shows("Received on channel 'notifications': x");
    }
}

#[test]
fn a_reader_that_is_too_slow_gets_the_number_of_missed_messages() {
    let redis = LocalRedis::start().unwrap();
    let (mut subscriber, published) = blocked_subscriber(&redis);
    publish(&redis, b"notifications", b"last");
    let stdout = BufReader::new(subscriber.child.stdout.take().unwrap());
    let (mut received, mut missed) = (0, 0);
    // Until each message was received or counted as missed, the last one included.
    for line in stdout.lines().map(Result::unwrap) {
        if line.starts_with(r#"{"type":"message","#) {
            received += 1;
        } else if let Some(rest) = line.strip_prefix(r#"{"type":"missed","count":"#) {
            missed += rest.trim_end_matches('}').parse::<u64>().unwrap();
        }
        if received + missed == published + 1 {
            break;
        }
    }
    assert!(missed > 0, "received {received}");
    assert!(received >= 65_536, "received {received}");
}

#[test]
fn ends_in_time_when_nobody_reads_its_stdout() {
    let redis = LocalRedis::start().unwrap();
    let (mut subscriber, _) = blocked_subscriber(&redis);
    subscriber.signal(Signal::TERM);
    assert_eq!(subscriber.wait(PATIENCE).unwrap().code(), Some(0));
    nobody_is_subscribed(&redis);
}

#[test]
fn a_stdout_on_a_full_disk_is_an_error() {
    let redis = LocalRedis::start().unwrap();
    for (service, arguments) in [("publisher", &["--count", "3"][..]), ("subscriber", &[])] {
        let mut command = service_command(service);
        command.args(arguments).env("REDIS_URL", redis.url());
        // macOS has no such device.
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("error: cannot write to stdout: "), "{stderr}");
    }
}
