//! More messages than a subscriber can read: bounded memory, and everything accounted for.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use local_redis::{Leashed, LocalRedis, Signal};

use crate::events::Events;
use crate::{Fault, redis, redis_with};
use acceptance::{connection, eventually, publish, service_command, subscribers};

/// These need the machine for themselves.
pub const FLOODS: &[Fault] = &[
    ("slow::two_million_small_messages_and_nobody_reads", small_messages_and_nobody_reads),
    ("slow::two_thousand_large_messages_and_nobody_reads", large_messages_and_nobody_reads),
    ("slow::two_thousand_large_messages_too_fast_for_redis", large_messages_as_fast_as_it_goes),
    ("slow::a_million_messages_that_are_read", a_million_messages_that_are_read),
];
pub const FAULTS: &[Fault] =
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
        let stdout = BufReader::new(process.child().stdout.take().unwrap());
        eventually("it subscribes", || subscribers(redis, "notifications") == 1);
        Blocked { process, stdout }
    }

    /// The most memory that it ever had is less than this. Only Linux tells.
    #[track_caller]
    fn never_had(&self, limit: u64) {
        if !cfg!(target_os = "linux") {
            eprintln!("its memory is measured on Linux only");
            return;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
        eprintln!("peak {} MiB", peak / MIB);
        assert!(peak < limit, "{} MiB", peak / MIB);
    }

    /// Reads until everything is accounted for.
    fn read(&mut self, until: impl Fn(&Account) -> bool) -> Account {
        let mut account = Account::default();
        let mut line = String::new();
        while !until(&account) {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "ended: {account:?}");
            // Not parsed as JSON: of 2,000,000 lines that would take longer than all the rest.
            let rest = line.strip_prefix(r#"{"type":""#).expect(&line);
            match rest.split('"').next().unwrap() {
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
}

/// The number in `{"type":"missed","count":123}`.
fn count(line: &str) -> u64 {
    line.rsplit(':').next().unwrap().trim_end().trim_end_matches('}').parse().unwrap()
}

/// Publishes at full speed; returns for how many of the messages Redis had a receiver.
fn publish_many(redis: &LocalRedis, batches: usize, batch: usize, size: usize) -> u64 {
    publish_many_and(redis, batches, batch, size, |_| ())
}

fn publish_many_and(
    redis: &LocalRedis,
    batches: usize,
    batch: usize,
    size: usize,
    after_each_batch: fn(&mut redis::Connection),
) -> u64 {
    let mut connection = connection(redis);
    let mut pipe = redis::pipe();
    for _ in 0..batch {
        pipe.cmd("PUBLISH").arg("notifications").arg("x".repeat(size));
    }
    let mut received = 0;
    for _ in 0..batches {
        received += pipe.query::<Vec<u64>>(&mut connection).unwrap().iter().sum::<u64>();
        after_each_batch(&mut connection);
    }
    received
}

/// Waits while Redis holds more than 8 MB for a subscriber: at 32 it would cut it off.
fn let_redis_deliver(connection: &mut redis::Connection) {
    eventually("Redis delivers", || {
        let mut list = redis::cmd("CLIENT");
        let clients: String = list.arg("LIST").arg("TYPE").arg("pubsub").query(connection).unwrap();
        let held = clients.split(' ').find_map(|field| field.strip_prefix("omem="));
        held.expect("no subscriber").parse::<u64>().unwrap() < 8_000_000
    });
}

/// How often Redis has cut a subscriber off: it had to subscribe again.
fn cuts(redis: &LocalRedis) -> u64 {
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("commandstats").query(&mut connection(redis)).unwrap();
    let stats: String = info.get("cmdstat_subscribe").unwrap();
    let calls = stats.split(',').find_map(|stat| stat.strip_prefix("calls=")).unwrap();
    calls.parse::<u64>().unwrap() - 1
}

/// The service itself reads from Redis all the time, so that it is Redis that waits for nobody.
fn nobody_reads(batches: usize, batch: usize, size: usize) {
    let redis = redis();
    let mut blocked = Blocked::start(&redis);
    let sent = publish_many_and(&redis, batches, batch, size, let_redis_deliver);
    assert_eq!(sent, (batches * batch) as u64);
    let account = blocked.read(|account| account.received + account.missed == sent);
    eprintln!("{account:?}");
    assert!(account.missed > 0 && account.cut == 0, "{account:?}");
    blocked.never_had(96 * MIB);
}

/// As fast as it goes: now Redis cuts off who does not follow. Each time must be told.
fn large_messages_as_fast_as_it_goes() {
    let redis = redis();
    let mut blocked = Blocked::start(&redis);
    let sent = publish_many(&redis, 500, 4, MIB as usize);
    let cuts = cuts(&redis);
    eventually("it is there again", || subscribers(&redis, "notifications") == 1);
    let account = blocked.read(|account| account.cut == cuts && account.received > 0);
    eprintln!("{account:?} of {sent}, {cuts} cuts");
    assert!(account.received + account.missed <= sent, "{account:?} of {sent}");
    blocked.never_had(96 * MIB);
}

fn small_messages_and_nobody_reads() {
    nobody_reads(2000, 1000, 100);
}

fn large_messages_and_nobody_reads() {
    nobody_reads(500, 4, MIB as usize);
}

/// A PING in a flood is answered late, as the answer stands in line behind the messages. That is
/// no reason to give up the connection.
fn a_million_messages_that_are_read() {
    let redis = redis_with(&["--client-output-buffer-limit", "pubsub 0 0 0"]);
    let mut subscriber = Blocked::start(&redis);
    let reading = std::thread::spawn(move || {
        let account = subscriber.read(|account| account.received + account.missed >= 1_000_000);
        (account, subscriber)
    });
    let sent = publish_many(&redis, 1000, 1000, 100);
    assert_eq!(sent, 1_000_000);
    let (account, _subscriber) = reading.join().unwrap();
    eprintln!("{account:?}");
    assert_eq!((account.received + account.missed, account.cut), (sent, 0));
}

/// What Redis itself throws away nobody can count. But it closes the connection then.
fn cut_off_by_redis_is_reported_as_a_gap() {
    let redis = redis_with(&["--client-output-buffer-limit", "pubsub 1mb 1mb 1"]);
    let mut events = Events::of_subscriber(&redis.url());
    // A subscriber that does not even read its socket, as on a machine that is asleep.
    events.terminal.signal(Signal::STOP);
    let mut published = 0;
    // Redis forgets it when it cuts it off.
    while subscribers(&redis, "notifications") == 1 {
        published += publish_many(&redis, 1, 100, 10_000);
    }
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
