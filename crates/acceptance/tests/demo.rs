//! `cargo demo` as a process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use acceptance::*;
use local_redis::{LocalRedis, Signal};

#[track_caller]
fn position(lines: &[String], line: &str) -> usize {
    lines.iter().position(|l| l == line).unwrap_or_else(|| panic!("no '{line}' in {lines:#?}"))
}

#[test]
fn every_published_message_is_received() {
    let mut demo = demo(&["--interval", "10ms", "--count", "3"]);
    let ended = Terminal::start_command(&mut demo).end().with(0);
    let count = |text: &str| ended.stdout.iter().filter(|line| line.contains(text)).count();
    assert_eq!(count("publisher          | Published: "), 3);
    assert_eq!(count("news-publisher     | Published to 'news:"), 3);
    assert_eq!(count("subscriber         | Received on channel 'notifications': "), 3);
    assert_eq!(count("pattern-subscriber | Pattern 'news:*' matched channel 'news:"), 3);
    assert_eq!(count("Unsubscribing and shutting down."), 2);
    assert_eq!(ended.stdout.last().unwrap(), "Published 6 messages, received 6.");
    // No colours, because stdout is not a terminal.
    assert_eq!(count("\u{1b}"), 0);
    assert!(ended.stderr.iter().any(|line| line == "Building the services ..."));
}

#[test]
fn environment_variables_force_and_forbid_colours() {
    let arguments = ["--interval", "1ms", "--count", "1"];
    let mut forced = demo(&arguments);
    let coloured = Terminal::start_command(forced.env("CLICOLOR_FORCE", "1")).end().with(0);
    assert!(coloured.stdout.iter().any(|line| line.starts_with("\u{1b}[36msubscriber ")));
    let mut refused = demo(&arguments);
    let plain = Terminal::start_command(refused.env("NO_COLOR", "1")).end().with(0);
    assert!(!plain.stdout.concat().contains('\u{1b}'));
}

#[test]
fn ctrl_c_ends_publishers_then_subscribers_then_redis() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut terminal = Terminal::start_command(&mut demo(&["--forever", "--interval", "5ms"]));
        while !terminal.line().contains("matched channel 'news:politics'") {}
        terminal.signal(signal);
        let ended = terminal.end().with(0);
        let publisher = position(&ended.stdout, "publisher          | Publisher shutting down.");
        let news = position(&ended.stdout, "news-publisher     | Publisher shutting down.");
        for subscriber in ["subscriber         ", "pattern-subscriber "] {
            let end = format!("{subscriber}| Unsubscribing and shutting down.");
            assert!(position(&ended.stdout, &end) > publisher.max(news));
        }
        // Redis ended last: no service lost its connection.
        assert!(!ended.stderr.concat().contains("lost the connection"), "{ended:#?}");
        let last = ended.stdout.last().unwrap();
        assert!(last.starts_with("Published ") && last.contains(", received "), "{last}");
    }
}

#[test]
fn uses_a_running_redis_and_leaves_no_subscriber_on_it_when_killed() {
    let redis = LocalRedis::start().unwrap();
    let arguments = ["--forever", "--interval", "5ms", "--redis-url", &redis.url()];
    let mut terminal = Terminal::start_command(&mut demo(&arguments));
    while !terminal.line().contains("Received on channel") {}
    assert_eq!(subscribers(&redis, "notifications"), 1);

    terminal.signal(Signal::KILL);
    nobody_is_subscribed(&redis);
}

#[test]
fn without_the_named_redis_the_error_names_its_address() {
    let mut redis = LocalRedis::start().unwrap();
    redis.kill().unwrap();
    let ended = Terminal::start_command(&mut demo(&["--redis-url", &redis.url()])).end().with(1);
    let stderr = ended.stderr.join("\n");
    assert!(stderr.contains(&format!("error: no Redis at 127.0.0.1:{}", redis.port())), "{stderr}");
    assert!(stderr.ends_with("subscriber ended too early"), "{stderr}");
}

#[test]
fn ctrl_c_at_the_very_start_ends_with_0() {
    let mut terminal = Terminal::start_command(&mut demo(&["--forever"]));
    while !terminal.line().contains("Subscribed") {}
    terminal.signal(Signal::INT);
    terminal.end().with(0);
}

#[test]
fn a_wrong_argument_is_reported_before_anything_is_built() {
    let ended = Terminal::start_command(&mut demo(&["--interval", "soon"])).end().with(2);
    assert!(ended.stderr[0].contains("invalid value 'soon'"), "{ended:#?}");
}

#[test]
fn ends_quietly_when_the_reader_of_stdout_has_gone() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut command = demo(&["--forever", "--interval", "5ms"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = local_redis::Leashed::spawn(&mut command).unwrap();
    let mut line = String::new();
    BufReader::new(demo.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(demo.wait(PATIENCE).unwrap().code(), Some(0));
    let stderr = BufReader::new(demo.child.stderr.take().unwrap());
    assert!(!stderr.lines().any(|line| line.unwrap().contains("panicked")));
}
