//! What these tests share.

use acceptance::{ask, url_as};
use local_redis::{LocalRedis, PATIENCE};
use pubsub::{Error, Event, PubSub};

/// Runs a test on a runtime with two more threads, so that races can happen.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// Runs a test with plain channels, then with shard channels.
pub(crate) fn both<Running: Future<Output = ()>>(test: fn(bool) -> Running) {
    for sharded in [false, true] {
        run(test(sharded));
    }
}

/// How many clients Redis counts as subscribed to the channel.
pub(crate) fn subscribed_to(redis: &LocalRedis, sharded: bool, channel: &str) -> u64 {
    let command = if sharded { "SHARDNUMSUB" } else { "NUMSUB" };
    ask::<(String, u64)>(redis, &format!("PUBSUB {command} {channel}")).1
}

pub(crate) fn publish(redis: &LocalRedis, sharded: bool, channel: &str, payload: &str) -> u64 {
    let command = if sharded { "SPUBLISH" } else { "PUBLISH" };
    ask(redis, &format!("{command} {channel} {payload}"))
}

/// Connects as a user with `nopass`.
pub(crate) async fn connect_as(user: &str, redis: &LocalRedis, sharded: bool) -> PubSub {
    let url = url_as(redis, &format!("{user}:any"));
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

/// These events are a lost and a regained connection.
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
