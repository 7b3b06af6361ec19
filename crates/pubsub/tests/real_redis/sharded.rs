//! Shard channels, with the library's methods.

use std::time::{Duration, Instant};

use acceptance::{Test, redis, redis_with};
use futures_util::{StreamExt, stream};
use local_redis::{LocalCluster, PATIENCE};
use pubsub::{Error, Event, PubSub, Publisher};
use tokio::time::{sleep, timeout};

use crate::kit::{message, next, run};

pub(crate) const TESTS: &[Test] = &[
    ("sharded::the_whole_life_of_subscriptions_on_three_shards", || run(whole_life())),
    ("sharded::publishing_many_keeps_the_order_of_each_channel", || run(many())),
    ("sharded::a_message_follows_its_slot", || run(follows())),
    ("sharded::what_is_asked_for_in_an_outage", || run(in_an_outage())),
    ("sharded::a_publisher_leaves_an_owner_that_was_demoted", || run(demoted())),
    ("sharded::a_publisher_needs_no_node_but_the_owners", || run(only_owners())),
    ("sharded::one_connection_is_enough", || run(one_connection())),
    ("sharded::all_or_nothing", || run(all_or_nothing())),
    ("sharded::a_redis_that_knows_no_shard_channels", || run(no_shard_channels())),
];

async fn start() -> (LocalCluster, PubSub, Publisher) {
    let cluster = LocalCluster::start(3, 0).unwrap();
    let pubsub = sharded(&cluster.urls()).await.unwrap();
    let publisher = publisher_of(&cluster.urls()).await.unwrap();
    (cluster, pubsub, publisher)
}

async fn sharded(url: &str) -> Result<PubSub, Error> {
    PubSub::builder(url).sharded(true).connect().await
}

async fn publisher_of(url: &str) -> Result<Publisher, Error> {
    Publisher::builder(url).sharded(true).connect().await
}

fn subscribed(channel: &str) -> Event {
    Event::Subscribe { channel: channel.into(), count: 1 }
}

fn unsubscribed(channel: &str) -> Event {
    Event::Unsubscribe { channel: channel.into(), count: 0 }
}

/// Three nodes own 'b', 'c' and 'a', and each counts its own subscriptions.
async fn whole_life() {
    let (cluster, pubsub, publisher) = start().await;
    pubsub.subscribe(["a", "b"]).await.unwrap();
    pubsub.subscribe(["c"]).await.unwrap();
    let mut first = [next(&pubsub).await, next(&pubsub).await];
    first.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(first, [subscribed("a"), subscribed("b")]);
    assert_eq!(next(&pubsub).await, subscribed("c"));
    for channel in ["a", "b", "c"] {
        assert_eq!(publisher.publish(channel, "1").await, Ok(1));
        assert_eq!(next(&pubsub).await, message(channel, "1"));
    }
    // A plain channel of the same name is another channel.
    let plain = Publisher::connect(cluster.urls()).await.unwrap();
    assert_eq!(plain.publish("a", "plain").await, Ok(0));
    assert_eq!(pubsub.psubscribe(["a*"]).await, Err(Error::NoShardPatterns));

    // A name without a subscription is ignored.
    pubsub.unsubscribe(["a", "other"]).await.unwrap();
    assert_eq!(next(&pubsub).await, unsubscribed("a"));
    assert_eq!(publisher.publish("a", "2").await, Ok(0));
    pubsub.subscribe(["a"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribed("a"));
    assert_eq!(publisher.publish("a", "3").await, Ok(1));
    assert_eq!(next(&pubsub).await, message("a", "3"));

    pubsub.close().await;
    let mut last: Vec<_> = pubsub.listen().collect().await;
    last.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(last, [unsubscribed("a"), unsubscribed("b"), unsubscribed("c")]);
    assert_eq!(publisher.publish("a", "4").await, Ok(0));
    assert_eq!(pubsub.subscribe(["a"]).await, Err(Error::Closed));
    publisher.close().await;
    assert_eq!(publisher.publish("a", "5").await, Err(Error::Closed));
}

async fn many() {
    let (_cluster, pubsub, publisher) = start().await;
    let channels = ["a", "b", "c"];
    pubsub.subscribe(channels).await.unwrap();
    for _ in channels {
        next(&pubsub).await;
    }
    let numbers = (0..6000_u64).map(|number| {
        let channel = channels[usize::try_from(number).unwrap() % 3];
        (channel, number.to_string())
    });
    let answers: Vec<_> = publisher.publish_all(stream::iter(numbers)).collect().await;
    assert_eq!(answers.len(), 6000);
    let mut last = [None; 3];
    for (number, (_, payload, answer)) in answers.into_iter().enumerate() {
        assert_eq!((payload, answer), (number.to_string(), Ok(1)));
        let Event::Message { channel, payload } = next(&pubsub).await else { panic!() };
        let number: u64 = payload.to_string().parse().unwrap();
        let place = channels.iter().position(|name| channel == *name).unwrap();
        assert!(last[place] < Some(number), "{number} after {:?}", last[place]);
        last[place] = Some(number);
    }
}

/// The slot moves to a node that never had the channel, and back to one that had it before.
async fn follows() {
    let (cluster, pubsub, publisher) = start().await;
    pubsub.subscribe(["a"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribed("a"));
    for (number, to) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(publisher.publish("a", "before").await, Ok(1));
        assert_eq!(next(&pubsub).await, message("a", "before"));
        cluster.move_slot("a", to).unwrap();
        let Event::Disconnected { reason } = next(&pubsub).await else { panic!("{number}") };
        assert!(reason.ends_with("the slot of 'a' has moved"), "{reason}");
        assert!(matches!(next(&pubsub).await, Event::Reconnected { .. }));
        assert_eq!(next(&pubsub).await, subscribed("a"));
    }
    assert_eq!(publisher.publish("a", "after").await, Ok(1));
    assert_eq!(next(&pubsub).await, message("a", "after"));
    // The moves caused no `unsubscribe` events.
    pubsub.close().await;
    let last: Vec<_> = pubsub.listen().collect().await;
    assert_eq!(last, [unsubscribed("a")]);
}

async fn in_an_outage() {
    let mut redis = redis();
    let pubsub = sharded(&redis.url()).await.unwrap();
    let publisher = publisher_of(&redis.url()).await.unwrap();
    pubsub.subscribe(["a", "b"]).await.unwrap();
    next(&pubsub).await;
    next(&pubsub).await;
    assert_eq!(publisher.publish("a", "1").await, Ok(1));
    next(&pubsub).await;
    redis.kill().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Disconnected { .. }));
    timeout(PATIENCE, pubsub.unsubscribe(["a"])).await.unwrap().unwrap();
    let lost = publisher.publish("b", "lost").await;
    assert!(matches!(lost, Err(Error::NotConfirmed { .. })), "{lost:?}");
    let (late, ()) = tokio::join!(timeout(PATIENCE, pubsub.subscribe(["late"])), async {
        redis.restart().unwrap();
        // Only a message makes the publisher connect.
        while publisher.publish("other", "").await.is_err() {
            timeout(PATIENCE, publisher.connected()).await.unwrap();
        }
    });
    late.unwrap().unwrap();
    assert!(matches!(next(&pubsub).await, Event::Reconnected { .. }));
    assert_eq!(next(&pubsub).await, subscribed("b"));
    assert_eq!(next(&pubsub).await, Event::Subscribe { channel: "late".into(), count: 2 });
    assert_eq!(publisher.publish("a", "2").await, Ok(0));
    assert_eq!(publisher.publish("late", "3").await, Ok(1));
    assert_eq!(next(&pubsub).await, message("late", "3"));
}

/// CLUSTER FAILOVER closes no connection, and the old owner still accepts messages.
async fn demoted() {
    let cluster = LocalCluster::start(3, 3).unwrap();
    // The subscriber asks a node of another shard, which names the new owner.
    let pubsub = sharded(&cluster.nodes[1].url()).await.unwrap();
    let publisher = publisher_of(&cluster.urls()).await.unwrap();
    pubsub.subscribe(["b"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribed("b"));
    assert_eq!(publisher.publish("b", "before").await, Ok(1));
    assert_eq!(cluster.owner("b").unwrap(), Some(0));
    // Node 3 is the replica of node 0.
    cluster.ask(3, "CLUSTER FAILOVER").unwrap();
    while !matches!(next(&pubsub).await, Event::Reconnected { .. }) {}
    // Only the new owner counts the subscriber.
    let start = Instant::now();
    while publisher.publish("b", "after").await != Ok(1) {
        assert!(start.elapsed() < PATIENCE);
    }
}

/// Only plain messages need the first node of the list.
async fn only_owners() {
    let mut cluster = LocalCluster::start(3, 0).unwrap();
    let publisher = publisher_of(&cluster.nodes[0].url()).await.unwrap();
    assert_eq!(publisher.publish("c", "before").await, Ok(0));
    cluster.nodes[0].kill().unwrap();
    // For a second, so that the publisher notices the end of the connection to that node.
    for _ in 0..20 {
        timeout(PATIENCE, publisher.connected()).await.expect("waits for a node that is gone");
        assert_eq!(publisher.publish("c", "after").await, Ok(0));
        sleep(Duration::from_millis(50)).await;
    }
}

/// The first node that answers gets SSUBSCRIBE on the same connection.
async fn one_connection() {
    let redis = redis();
    let mut admin = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut connections = || -> u64 {
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut admin).unwrap();
        info.get("total_connections_received").unwrap()
    };
    let before = connections();
    let pubsub = sharded(&redis.url()).await.unwrap();
    pubsub.subscribe(["a"]).await.unwrap();
    assert_eq!(connections() - before, 1);
}

/// Redis refuses 'a', so the library unsubscribes from 'b' again, but keeps a channel of the same
/// slot that was subscribed to before.
async fn all_or_nothing() {
    let (cluster, _, publisher) = start().await;
    for number in 0..cluster.nodes.len() {
        cluster.ask(number, "ACL SETUSER reader on nopass +@all &b &{b}2").unwrap();
    }
    let urls = cluster.urls().replace("://", "://reader:any@");
    let pubsub = sharded(&urls).await.unwrap();
    pubsub.subscribe(["{b}2"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribed("{b}2"));
    let error = pubsub.subscribe(["{b}2", "b", "a"]).await.unwrap_err().to_string();
    assert!(error.starts_with("Redis refused SSUBSCRIBE 'a': NOPERM"), "{error}");
    let receivers = ["a", "b"].map(|channel| publisher.publish(channel, "lost"));
    assert_eq!(futures_util::future::join_all(receivers).await, [Ok(0), Ok(0)]);
    // `{b}2` was subscribed to before.
    assert_eq!(publisher.publish("{b}2", "still").await, Ok(1));
    while next(&pubsub).await != message("{b}2", "still") {}
    assert_eq!(pubsub.subscribe(["b"]).await, Ok(()));
    assert_eq!(publisher.publish("b", "now").await, Ok(1));
}

async fn no_shard_channels() {
    let options = ["--rename-command", "SSUBSCRIBE", "", "--rename-command", "SPUBLISH", ""];
    let old = redis_with(&options);
    let pubsub = sharded(&old.url()).await.unwrap();
    let error = pubsub.subscribe(["a"]).await.unwrap_err().to_string();
    assert_eq!(error, "Redis refused SSUBSCRIBE 'a': sharded Pub/Sub needs Redis 7 or later");
    let publisher = publisher_of(&old.url()).await.unwrap();
    let error = publisher.publish("a", "x").await.unwrap_err().to_string();
    assert_eq!(error, "not confirmed: sharded Pub/Sub needs Redis 7 or later");
}
