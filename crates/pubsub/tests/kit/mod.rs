//! What the tests of the library share.

// Each file of tests uses a part of it.
#![allow(dead_code)]

use std::process::ExitCode;

use acceptance::{Need, connection};
use libtest_mimic::Arguments;
use local_redis::{LocalRedis, PATIENCE, Server};
use pubsub::{Error, Event, PubSub};
use redis::{FromRedisValue, Value};

pub(crate) type Test = (&'static str, fn());

/// Runs tests that the stand-in can't serve: it has no ACL, no CLIENT KILL, no cluster.
pub(crate) fn with_a_real_redis(tests: &[Test]) -> ExitCode {
    let need = Need::real_redis();
    let trial = |&(name, test): &Test| {
        need.trial(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.iter().map(trial).collect()).exit_code()
}

/// On two threads beside that of the test, so that races can happen.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

pub(crate) fn redis() -> LocalRedis {
    LocalRedis::start_with(Server::real().unwrap(), &[]).unwrap()
}

/// Sends a command, in words.
pub(crate) fn ask<Answer: FromRedisValue>(redis: &LocalRedis, command: &str) -> Answer {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command.query(&mut connection(redis)).unwrap()
}

/// The same, for its effect.
pub(crate) fn told(redis: &LocalRedis, command: &str) {
    ask::<Value>(redis, command);
}

/// A number in the statistics of a command: `command_stat(&redis, "subscribe", "calls")`.
pub(crate) fn command_stat(redis: &LocalRedis, command: &str, field: &str) -> u64 {
    let stats: String = ask(redis, "INFO commandstats");
    let prefix = format!("cmdstat_{command}:");
    let Some(line) = stats.lines().find_map(|line| line.strip_prefix(&prefix)) else { return 0 };
    let field = format!("{field}=");
    line.split(',').find_map(|stat| stat.strip_prefix(&field)).unwrap().parse().unwrap()
}

/// How many are subscribed there.
pub(crate) fn subscribed_to(redis: &LocalRedis, sharded: bool, channel: &str) -> u64 {
    let command = if sharded { "SHARDNUMSUB" } else { "NUMSUB" };
    ask::<(String, u64)>(redis, &format!("PUBSUB {command} {channel}")).1
}

pub(crate) fn publish(redis: &LocalRedis, sharded: bool, channel: &str, payload: &str) -> u64 {
    let command = if sharded { "SPUBLISH" } else { "PUBLISH" };
    ask(redis, &format!("{command} {channel} {payload}"))
}

/// Connects as this user, whose password is not asked for.
pub(crate) async fn connect_as(user: &str, redis: &LocalRedis, sharded: bool) -> PubSub {
    let url = redis.url().replace("127", &format!("{user}:any@127"));
    PubSub::builder(url).sharded(sharded).connect().await.unwrap()
}

pub(crate) async fn next(pubsub: &PubSub) -> Event {
    pubsub.get_message(PATIENCE).await.expect("no event came")
}

pub(crate) fn message(channel: &str, payload: &str) -> Event {
    Event::Message { channel: channel.into(), payload: payload.into() }
}

pub(crate) fn subscribed(channel: &str, count: u64) -> Event {
    Event::Subscribe { channel: channel.into(), count }
}

/// The next events are a lost and a regained connection.
#[track_caller]
pub(crate) fn is_outage(events: &[Event]) {
    let [Event::Disconnected { .. }, Event::Reconnected { .. }] = events else {
        panic!("{events:?}")
    };
}

/// Redis refused this with NOPERM. (Its sentence about it differs between versions.)
#[track_caller]
pub(crate) fn is_refusal(result: &Result<(), Error>) {
    let Err(Error::Command { reason, .. }) = result else { panic!("{result:?}") };
    assert!(reason.starts_with("NOPERM "), "{reason}");
}
