//! What the table in docs/reference.md says of the redis crate alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use futures_util::StreamExt;
use local_redis::{LocalRedis, PATIENCE, Signal};
use redis::{AsyncCommands, Client, Commands};
use tokio::time::timeout;

const NO_NAMES: [&str; 0] = [];

fn start() -> (LocalRedis, Client) {
    let redis = LocalRedis::start().unwrap();
    let client = Client::open(redis.url()).unwrap();
    (redis, client)
}

/// On a connection that waits for its answer however busy the machine is.
fn publish(client: &Client, channel: &str, payload: &[u8]) -> u64 {
    client.get_connection().unwrap().publish(channel, payload).unwrap()
}

#[test]
fn open_makes_no_connection() {
    let (mut redis, _) = start();
    redis.kill().unwrap();
    let client = Client::open(redis.url()).unwrap();
    assert!(client.get_connection().is_err());
}

#[tokio::test]
async fn messages_come_without_confirmations() {
    let (_redis, client) = start();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(&["a", "b"]).await.unwrap();
    pubsub.psubscribe("news:*").await.unwrap();
    for (channel, payload) in [("a", &b"\xff"[..]), ("news:sports", b"Goal")] {
        assert_eq!(publish(&client, channel, payload), 1);
    }

    let mut messages = pubsub.on_message();
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_eq!(message.get_channel_name(), "a");
    assert_eq!(message.get_pattern::<Option<String>>().unwrap(), None);
    assert_eq!(message.get_payload_bytes(), b"\xff");
    assert!(message.get_payload::<String>().is_err());

    // The one that is not text is no hindrance to the next.
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_eq!(message.get_channel_name(), "news:sports");
    assert_eq!(message.get_pattern::<Option<String>>().unwrap().unwrap(), "news:*");
    assert_eq!(message.get_payload::<String>().unwrap(), "Goal");
    drop(messages);

    pubsub.unsubscribe(&NO_NAMES[..]).await.unwrap();
    for (channel, receivers) in [("a", 0), ("b", 0), ("news:sports", 1)] {
        assert_eq!(publish(&client, channel, b"x"), receivers, "{channel}");
    }
    pubsub.punsubscribe("news:*").await.unwrap();
    assert_eq!(publish(&client, "news:sports", b"x"), 0);
}

#[tokio::test]
async fn dropped_it_closes_the_connection() {
    let (_redis, client) = start();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    drop(pubsub);
    let gone = async {
        while publish(&client, "a", b"x") > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn split_lets_one_unsubscribe_while_the_stream_is_read() {
    let (_redis, client) = start();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(&["a", "b"]).await.unwrap();
    let (mut sink, mut messages) = pubsub.split();
    let reader = tokio::spawn(async move { messages.next().await.unwrap() });
    timeout(PATIENCE, sink.unsubscribe("a")).await.unwrap().unwrap();
    assert!(!reader.is_finished());
    assert_eq!(publish(&client, "a", b"x"), 0);
    assert_eq!(publish(&client, "b", b"y"), 1);
    let message = timeout(PATIENCE, reader).await.unwrap().unwrap();
    assert_eq!(message.get_channel_name(), "b");
}

#[tokio::test]
async fn subscribe_returns_a_refusal() {
    let (_redis, client) = start();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    // What any server refuses, also one that knows no users and their rights.
    let error = timeout(PATIENCE, pubsub.subscribe(&NO_NAMES[..])).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("wrong number of arguments"), "{error}");
    pubsub.subscribe("a").await.unwrap();
    assert_eq!(publish(&client, "a", b"x"), 1);
}

#[tokio::test]
async fn after_a_restart_the_stream_ends_and_publishing_fails() {
    let (mut redis, client) = start();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    redis.restart().unwrap();
    let next = timeout(PATIENCE, pubsub.into_on_message().next()).await;
    assert!(next.unwrap().is_none());
    for _ in 0..2 {
        AsyncCommands::publish::<_, _, u64>(&mut connection, "a", "x").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_redis_that_hangs_is_noticed_only_by_publishing() {
    let (mut redis, client) = start();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe("a").await.unwrap();
    let mut messages = pubsub.into_on_message();
    redis.process.signal(Signal::STOP);
    let error =
        AsyncCommands::publish::<_, _, u64>(&mut connection, "a", "once").await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // Longer than a subscriber of `crates/pubsub` takes to notice (4 s).
    assert!(timeout(Duration::from_secs(5), messages.next()).await.is_err());

    redis.process.signal(Signal::CONT);
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_eq!(message.get_payload_bytes(), b"once");
    // Redis takes the command that nobody waits for any more; it was not sent a second time.
    assert_eq!(publish(&client, "a", b"last"), 1);
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_eq!(message.get_payload_bytes(), b"last");
}
