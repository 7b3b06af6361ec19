//! The publisher in an outage: it reports and counts unconfirmed messages, sends none twice, and
//! keeps their order.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, Signal};

use acceptance::{PATIENCE, Terminal, Test, redis, service_command};

pub(crate) const FAULTS: &[Test] = &[
    ("publishing::nothing_is_sent_twice_when_redis_wakes_up", nothing_is_sent_twice),
    ("publishing::continues_after_an_outage", continues_after_an_outage),
    ("publishing::at_full_speed_waits_for_the_reconnect", at_full_speed_waits),
    ("publishing::after_a_signal_reports_the_number_lost", after_a_signal_reports_the_number_lost),
];

/// A publisher that publishes one message on each of the channels '0', '1', '2' ..., which number
/// the messages.
fn numbered(redis: &LocalRedis, count: usize, options: &str) -> Terminal {
    let mut command = service_command("publisher");
    command.env("REDIS_URL", redis.url()).args(options.split(' '));
    command.args(["--message", "x", "--count", &count.to_string()]);
    command.args((0..count).map(|number| number.to_string()));
    let publisher = Terminal::start_command(&mut command);
    publisher.line();
    publisher
}

/// The number in a line like `Published to '17': x (1 receiver)`.
fn number(line: &str) -> usize {
    line.split('\'').nth(1).and_then(|number| number.parse().ok()).expect(line)
}

/// The numbers that a client has received, in order.
struct Listener(std::thread::JoinHandle<Vec<usize>>);

impl Listener {
    /// Listens until a message on the channel 'end', or until the connection is lost.
    fn start(redis: &LocalRedis) -> Listener {
        let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let listening = std::thread::spawn(move || {
            let mut pubsub = connection.as_pubsub();
            pubsub.psubscribe("*").unwrap();
            ready.send(()).unwrap();
            let mut received = Vec::new();
            while let Ok(message) = pubsub.get_message() {
                match message.get_channel_name().parse() {
                    Ok(number) => received.push(number),
                    Err(_) => break,
                }
            }
            received
        });
        is_ready.recv().unwrap();
        Listener(listening)
    }

    fn received(self, redis: &LocalRedis) -> Vec<usize> {
        acceptance::publish(redis, b"end", b"");
        self.0.join().unwrap()
    }
}

#[track_caller]
fn ascending(numbers: &[usize]) {
    assert!(numbers.is_sorted_by(|a, b| a < b), "repeated or out of order: {numbers:?}");
}

fn continues_after_an_outage() {
    let mut redis = redis();
    let count = 300;
    let publisher = numbered(&redis, count, "--interval 5ms");
    let before = Listener::start(&redis);
    let mut published = vec![number(&publisher.line()), number(&publisher.line())];
    redis.kill().unwrap();
    let before = before.0.join().unwrap();
    let mut refused = vec![number(&publisher.logs("not confirmed: "))];
    redis.restart().unwrap();
    let after = Listener::start(&redis);
    let ended = publisher.end().with(1);
    let after = after.received(&redis);

    published.extend(ended.stdout.iter().map(|line| number(line)));
    let warnings = ended.stderr.iter().filter(|line| line.contains("not confirmed: "));
    refused.extend(warnings.map(|line| number(line)));
    ascending(&published);
    ascending(&refused);
    let all: BTreeSet<_> = published.iter().chain(&refused).copied().collect();
    assert_eq!(all.len(), published.len() + refused.len(), "reported as published and as lost");
    assert_eq!(all, (0..count).collect());
    let last = format!("error: Redis did not confirm {} message", refused.len());
    assert!(ended.stderr.last().unwrap().starts_with(&last), "{ended:#?}");
    ascending(&[before, after].concat());
}

/// Without an interval the publisher does not spin, and does not give up messages that it could
/// still send.
fn at_full_speed_waits() {
    let mut redis = redis();
    let publisher = Terminal::run(&redis, "publisher --interval 0s --forever");
    publisher.line();
    publisher.line();
    redis.kill().unwrap();
    publisher.logs("cannot connect again yet");
    redis.restart().unwrap();
    publisher.logs("connected again");
    let ended = publisher.ctrl_c().with(0);
    // At most 1,024 messages were on their way when Redis ended. One more batch of 512 may be sent
    // before the publisher notices.
    let lost = ended.stderr.iter().filter(|line| line.contains("not confirmed: ")).count();
    assert!(lost <= 1536, "{lost} messages were given up");
}

fn after_a_signal_reports_the_number_lost() {
    let mut redis = redis();
    for (interval, signal) in [("0s", Signal::TERM), ("100ms", Signal::INT)] {
        let mut publisher =
            Terminal::run(&redis, &format!("publisher --forever --interval {interval}"));
        publisher.line();
        publisher.line();
        redis.process.signal(Signal::STOP);
        // Long enough that messages are on their way without an answer.
        std::thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        publisher.signal(signal);
        let ended = publisher.end().with(0);
        assert!(start.elapsed() < Duration::from_secs(1), "after {:?}", start.elapsed());
        assert_eq!(ended.stdout.last().unwrap(), "Publisher shutting down.");
        let lost = ended.stderr.iter().filter(|line| line.contains("not confirmed: ")).count();
        assert!(lost > 0, "{ended:#?}");
        let last = format!("Redis did not confirm {lost} message");
        assert!(ended.stderr.last().unwrap().contains(&last), "{ended:#?}");
        redis.process.signal(Signal::CONT);
    }
}

/// A Redis that hung wakes up, and publishes the messages that were sent to it meanwhile. So a
/// message that was not confirmed may have been published, but once only.
fn nothing_is_sent_twice() {
    let mut redis = redis();
    let count = 700;
    let listener = Listener::start(&redis);
    let publisher = numbered(&redis, count, "--interval 10ms");
    let mut published = vec![number(&publisher.line())];
    redis.process.signal(Signal::STOP);
    publisher.logs("lost the connection");
    redis.process.signal(Signal::CONT);
    let ended = publisher.end().with(1);
    published.extend(ended.stdout.iter().map(|line| number(line)));
    ascending(&published);
    let received = listener.received(&redis);
    let once: BTreeSet<_> = received.iter().copied().collect();
    assert_eq!(once.len(), received.len(), "received twice: {received:?}");
    assert!(published.iter().all(|number| once.contains(number)), "confirmed but not received");
}
