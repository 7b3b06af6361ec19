//! More messages than a subscriber can print: its memory is bounded, and each message is received
//! or counted.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use local_redis::{Leashed, LocalRedis, Signal};

use crate::events::Events;
use acceptance::{
    PATIENCE, Test, ask_on, command_stat, connection, eventually, publish, redis, redis_with,
    service_command, subscribers,
};

/// These run alone.
pub(crate) const FLOODS: &[Test] = &[
    ("slow::small_messages_and_nobody_reads", small_messages_and_nobody_reads),
    ("slow::large_messages_and_nobody_reads", large_messages_and_nobody_reads),
    ("slow::large_messages_too_fast_for_redis", large_messages_as_fast_as_it_goes),
    ("slow::a_flood_that_is_read", a_flood_that_is_read),
];
pub(crate) const FAULTS: &[Test] =
    &[("slow::cut_off_by_redis_is_reported_as_a_gap", cut_off_by_redis_is_reported_as_a_gap)];

const MIB: u64 = 1024 * 1024;

/// A subscriber whose stdout nobody reads yet.
struct Blocked {
    process: Leashed,
    stdout: BufReader<ChildStdout>,
}

impl Blocked {
    fn start(redis: &LocalRedis) -> Blocked {
        let mut command = service_command("subscriber");
        command.arg("--json").env("REDIS_URL", redis.url());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Leashed::spawn(&mut command).unwrap();
        let stdout = BufReader::new(process.child.stdout.take().unwrap());
        eventually("it subscribes", || subscribers(redis, "notifications") == 1);
        Blocked { process, stdout }
    }

    /// Asserts that its memory was always below this. Only Linux keeps the peak.
    #[track_caller]
    fn never_had(&self, limit: u64) {
        if !cfg!(target_os = "linux") {
            eprintln!("its memory is measured on Linux only");
            return;
        }
        let peak = self.process.peak_memory().unwrap();
        eprintln!("peak {} MiB", peak / MIB);
        assert!(peak < limit, "{} MiB", peak / MIB);
    }

    /// Reads events, and counts them, until this is true.
    fn read(&mut self, mut until: impl FnMut(&Account) -> bool) -> Account {
        let mut account = Account::default();
        let mut line = String::new();
        while !until(&account) {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "ended: {account:?}");
            // Not parsed as JSON, which would be slower than the rest of the test.
            let rest = line.strip_prefix(r#"{"type":""#).expect(&line);
            match rest.split('"').next().unwrap() {
                "message" if line.ends_with(END) => account.ended = true,
                "message" => account.received += 1,
                "missed" => account.missed += count(&line),
                "disconnected" => account.cut += 1,
                _ => {}
            }
        }
        account
    }
}

#[derive(Debug, Default)]
struct Account {
    received: u64,
    missed: u64,
    cut: u64,
    ended: bool,
}

/// The end of the line of a message `end`.
const END: &str = "\"data\":\"end\"}\n";

/// The number in `{"type":"missed","count":123}`.
fn count(line: &str) -> u64 {
    line.rsplit(':').next().unwrap().trim_end().trim_end_matches('}').parse().unwrap()
}

/// Publishes batch after batch at full speed while `proceed` returns true. Redis delivers nothing
/// before it has executed a whole batch. Returns the number of messages that had a receiver.
fn publish_while(
    redis: &LocalRedis,
    batch: usize,
    size: usize,
    mut proceed: impl FnMut(u64, &mut redis::Connection) -> bool,
) -> u64 {
    let mut connection = connection(redis);
    let mut pipe = redis::pipe();
    pipe.atomic();
    for _ in 0..batch {
        pipe.cmd("PUBLISH").arg("notifications").arg("x".repeat(size));
    }
    let mut received = 0;
    while proceed(received, &mut connection) {
        received += pipe.query::<Vec<u64>>(&mut connection).unwrap().iter().sum::<u64>();
    }
    received
}

/// Waits while Redis holds more than 8 MB for a subscriber. At 32 MB it would close the connection.
fn let_redis_deliver(connection: &mut redis::Connection) {
    eventually("Redis delivers", || {
        let clients: String = ask_on(connection, "CLIENT LIST TYPE pubsub");
        let held = clients.split(' ').find_map(|field| field.strip_prefix("omem="));
        held.expect("no subscriber").parse::<u64>().unwrap() < 8_000_000
    });
}

/// The number of times Redis cut a subscriber off, after which it subscribed again.
fn cuts(redis: &LocalRedis) -> u64 {
    command_stat(redis, "subscribe", "calls") - 1
}

/// A service reads from Redis even while its stdout is blocked, so its memory needs a bound.
fn nobody_reads(messages: u64, batch: usize, size: usize, at_most: u64) {
    let redis = redis();
    let mut blocked = Blocked::start(&redis);
    let sent = publish_while(&redis, batch, size, |sent, connection| {
        let_redis_deliver(connection);
        sent < messages
    });
    assert_eq!(sent, messages);
    let account = blocked.read(|account| account.received + account.missed == sent);
    eprintln!("{account:?}");
    assert!(account.missed > 0 && account.cut == 0, "{account:?}");
    blocked.never_had(at_most);
}

/// Redis cuts off a subscriber that does not keep up. With this limit no subscriber does, as each
/// batch has 16 MiB. Every cut must be reported; outages without a message between them may be
/// reported as one.
fn large_messages_as_fast_as_it_goes() {
    let redis = redis_with(&["--client-output-buffer-limit", "pubsub", "8mb", "0", "0"]);
    let mut blocked = Blocked::start(&redis);
    let start = Instant::now();
    let sent = publish_while(&redis, 16, MIB as usize, |_, _| {
        assert!(start.elapsed() < PATIENCE, "Redis does not cut it off");
        cuts(&redis) < 2
    });
    eventually("it is there again", || subscribers(&redis, "notifications") == 1);
    let mut ends = 0;
    let account = blocked.read(|account| {
        // One `end` before each line, because the inbox may be full when the first ones arrive.
        ends += publish(&redis, b"notifications", b"end");
        account.ended
    });
    let cuts = cuts(&redis);
    eprintln!("{account:?} of {sent}, {cuts} cuts");
    assert!(account.received + account.missed <= sent + ends, "{account:?} of {sent}");
    assert!((1..=cuts).contains(&account.cut), "{account:?}, {cuts} cuts");
    blocked.never_had(96 * MIB);
}

/// Several times the 65,536 messages that the inbox holds.
fn small_messages_and_nobody_reads() {
    nobody_reads(400_000, 1000, 100, 64 * MIB);
}

/// Many times the 32 MiB that the inbox holds.
fn large_messages_and_nobody_reads() {
    nobody_reads(500, 4, MIB as usize, 96 * MIB);
}

/// In a flood the answer to a PING is late, because it arrives after the messages before it. The
/// subscriber must not give up the connection.
fn a_flood_that_is_read() {
    /// Longer than the 3 s before the first PING and the 1 s for its answer.
    const FLOOD: Duration = Duration::from_secs(6);
    /// How far Redis is ahead of the subscriber, which is how late an answer arrives.
    const AHEAD: Duration = Duration::from_secs(2);

    let redis = redis_with(&["--client-output-buffer-limit", "pubsub 0 0 0"]);
    let mut subscriber = Blocked::start(&redis);
    let read = Arc::new(AtomicU64::new(0));
    let sent_in_all = Arc::new(AtomicU64::new(u64::MAX));
    let reading = std::thread::spawn({
        let (read, sent_in_all) = (read.clone(), sent_in_all.clone());
        move || {
            let account = subscriber.read(|account| {
                read.store(account.received + account.missed, Ordering::Relaxed);
                account.cut > 0
                    || account.received + account.missed == sent_in_all.load(Ordering::Relaxed)
            });
            (account, subscriber)
        }
    });
    let start = Instant::now();
    let is_flooding = || start.elapsed() < FLOOD && !reading.is_finished();
    let sent = publish_while(&redis, 1000, 100, |sent, _| {
        let is_ahead = || {
            let read = read.load(Ordering::Relaxed) as f64;
            let seconds = start.elapsed().as_secs_f64();
            sent as f64 - read > 20_000.0 + read / seconds * AHEAD.as_secs_f64()
        };
        while is_flooding() && is_ahead() {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_flooding()
    });
    // Stored first, so that the reader knows the number before it waits for the last line.
    sent_in_all.store(sent + 1, Ordering::Relaxed);
    publish(&redis, b"notifications", b"last");
    let (account, _subscriber) = reading.join().unwrap();
    eprintln!("{account:?}");
    assert_eq!((account.received + account.missed, account.cut), (sent + 1, 0));
}

/// Redis drops the messages that it holds for a slow subscriber, and closes the connection. The
/// subscriber can't count them, but reports the gap.
fn cut_off_by_redis_is_reported_as_a_gap() {
    let redis = redis_with(&["--client-output-buffer-limit", "pubsub 1mb 1mb 1"]);
    let mut events = Events::of_subscriber(&redis.url());
    // A stopped process does not read its socket, like one on a machine that sleeps.
    events.terminal.signal(Signal::STOP);
    // Until Redis cuts it off.
    let published =
        publish_while(&redis, 100, 10_000, |_, _| subscribers(&redis, "notifications") == 1);
    events.terminal.signal(Signal::CONT);
    let mut received = 0;
    let disconnected = loop {
        let event = events.next();
        if event["type"] != "message" {
            break event;
        }
        received += 1;
    };
    assert_eq!(disconnected["type"], "disconnected", "{disconnected}");
    assert!(received < published, "{received} of {published}: nothing was cut off");
    let (gap, _) = events.reconnected();
    assert!(gap < Duration::from_secs(5), "{gap:?}");
    events.subscribed();
    publish(&redis, b"notifications", b"back");
    events.message("back");
    events.end();
}
