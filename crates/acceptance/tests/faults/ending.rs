//! Ctrl+C and SIGTERM end a service within a second, whatever it is doing.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_redis::{Leashed, LocalRedis, Signal};

use acceptance::{
    PATIENCE, Terminal, Test, command_stat, eventually, flood, redis, service_command, subscribers,
};

pub(crate) const FAULTS: &[Test] = &[
    ("ending::idle", idle),
    ("ending::mid_backoff", mid_backoff),
    ("ending::redis_hanging", redis_hanging),
    ("ending::redis_hanging_at_the_first_connect", redis_hanging_at_the_first_connect),
];

/// These run alone.
pub(crate) const FLOODS: &[Test] =
    &[("ending::in_a_flood", in_a_flood), ("ending::stdout_blocked", stdout_blocked)];

const SIGNALS: [Signal; 2] = [Signal::INT, Signal::TERM];
const SERVICES: [&str; 3] =
    ["subscriber", "pattern-subscriber notifications", "publisher --forever --interval 100ms"];

/// The service ends within a second, with 0, and prints its goodbye.
#[track_caller]
fn ends(mut service: Terminal, signal: Signal) {
    let start = Instant::now();
    service.signal(signal);
    let ended = service.end().with(0);
    assert!(start.elapsed() < Duration::from_secs(1), "after {:?}: {ended:#?}", start.elapsed());
    // In a flood, lines of messages that had arrived already follow the goodbye.
    let goodbye = ended.stdout.iter().any(|line| line.ends_with("shutting down."));
    assert!(goodbye, "no goodbye; {:?}, {:#?}", ended.stdout.last(), ended.stderr);
}

fn each_service_and_signal(redis: &LocalRedis) -> Vec<(Terminal, Signal)> {
    let both = SERVICES.iter().flat_map(|service| SIGNALS.map(|signal| (service, signal)));
    both.map(|(service, signal)| {
        let service = Terminal::run(redis, service);
        service.line();
        service.line();
        (service, signal)
    })
    .collect()
}

fn idle() {
    let redis = redis();
    for (service, signal) in each_service_and_signal(&redis) {
        ends(service, signal);
    }
    assert_eq!(subscribers(&redis, "notifications"), 0);
}

fn mid_backoff() {
    let mut redis = redis();
    let services = each_service_and_signal(&redis);
    redis.kill().unwrap();
    for (service, signal) in services {
        service.logs("cannot connect again yet");
        ends(service, signal);
    }
}

fn redis_hanging() {
    let mut redis = redis();
    let services = each_service_and_signal(&redis);
    redis.process.signal(Signal::STOP);
    for (service, signal) in services {
        ends(service, signal);
    }
}

fn redis_hanging_at_the_first_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for signal in SIGNALS {
        let mut command = service_command("subscriber");
        command.env("REDIS_URL", format!("redis://{}", listener.local_addr().unwrap()));
        let mut subscriber = Terminal::start_command(&mut command);
        let _never_answered = listener.accept().unwrap();
        let start = Instant::now();
        subscriber.signal(signal);
        subscriber.end().with(0);
        assert!(start.elapsed() < Duration::from_secs(1), "after {:?}", start.elapsed());
    }
}

fn in_a_flood() {
    let redis = redis();
    for signal in SIGNALS {
        let subscriber = Terminal::run(&redis, "subscriber");
        let publisher = Terminal::run(&redis, "publisher --forever --interval 0s");
        for _ in 0..1000 {
            subscriber.line();
            publisher.line();
        }
        ends(subscriber, signal);
        ends(publisher, signal);
    }
}

/// Nobody reads stdout, and the pipe is full.
fn stdout_blocked() {
    let redis = redis();
    for line in ["subscriber", "publisher --forever --interval 0s"] {
        for signal in SIGNALS {
            let words: Vec<_> = line.split(' ').collect();
            let mut command: Command = service_command(words[0]);
            command.args(&words[1..]).env("REDIS_URL", redis.url()).stdout(Stdio::piped());
            let mut service = Leashed::spawn(&mut command).unwrap();
            if words[0] == "subscriber" {
                eventually("it subscribes", || subscribers(&redis, "notifications") == 1);
                // Their 200 KB of lines fill the pipe, and the inbox holds the rest.
                flood(&redis, 5);
            } else {
                await_silence(&redis);
            }
            let start = Instant::now();
            service.signal(signal);
            let status = service.wait(PATIENCE).unwrap();
            assert_eq!(status.code(), Some(0));
            assert!(start.elapsed() < Duration::from_secs(1), "after {:?}", start.elapsed());
        }
    }
}

/// Waits until a publisher has published, and then stopped.
fn await_silence(redis: &LocalRedis) {
    let mut last = 0;
    eventually("it publishes, and then stops", || {
        std::thread::sleep(Duration::from_millis(200));
        let published = command_stat(redis, "publish", "calls");
        let silent = published > 0 && published == last;
        last = published;
        silent
    });
}
