//! Servers that answer PING, but no longer get messages from other nodes.

use std::time::Duration;

use acceptance::{Test, ask, command_stat, eventually, redis, replica_of, tell, url_as};
use local_redis::{LocalCluster, Signal};
use pubsub::{Event, PubSub, Publisher};

use crate::kit::{is_outage, message, next, run, subscribed};

pub(crate) const TESTS: &[Test] = &[
    ("deaf::a_node_without_a_majority", || run(without_a_majority(false))),
    ("deaf::a_node_without_a_majority_that_owns_a_shard_channel", || run(without_a_majority(true))),
    ("deaf::a_failover_is_no_deafness", failover),
    ("deaf::a_replica_without_its_primary", replica),
    ("deaf::a_deaf_server_is_passed_over_if_there_is_another", passed_over),
    ("deaf::a_shard_channel_moves_back_to_the_primary", moves_back),
    ("deaf::a_user_of_the_overlay_is_refused_nothing", overlay),
];

/// The loss is reported once, and the recovery when the other nodes answer again. No further
/// outage is reported in between.
async fn without_a_majority(sharded: bool) {
    let mut cluster = LocalCluster::start(3, 0).unwrap();
    let pubsub = PubSub::builder(cluster.urls()).sharded(sharded).connect().await.unwrap();
    // Its owner is the first node, to which a subscriber of plain channels connects too.
    assert_eq!(cluster.owner("b").unwrap(), Some(0));
    pubsub.subscribe(["b"]).await.unwrap();
    assert_eq!(next(&pubsub).await, subscribed("b", 1));
    for number in [1, 2] {
        cluster.nodes[number].process.signal(Signal::STOP);
    }
    let Event::Disconnected { reason } = next(&pubsub).await else { panic!() };
    assert!(reason.ends_with("it has lost sight of most of its cluster"), "{reason}");
    // Long enough for the node to be found deaf a second time.
    assert_eq!(pubsub.get_message(Duration::from_secs(8)).await, None);
    for number in [1, 2] {
        cluster.nodes[number].process.signal(Signal::CONT);
    }
    assert!(matches!(next(&pubsub).await, Event::Reconnected { .. }));
    assert_eq!(next(&pubsub).await, subscribed("b", 1));
}

/// For some seconds every node says that the cluster has failed. Messages still pass.
fn failover() {
    run(async {
        let mut cluster = LocalCluster::start(3, 3).unwrap();
        let plain = PubSub::connect(cluster.nodes[1].url()).await.unwrap();
        let replica = PubSub::connect(cluster.nodes[4].url()).await.unwrap();
        let shard = PubSub::builder(cluster.nodes[1].url()).sharded(true).connect().await.unwrap();
        // Node 1 owns 'c'.
        assert_eq!(cluster.owner("c").unwrap(), Some(1));
        for pubsub in [&plain, &replica, &shard] {
            pubsub.subscribe(["c"]).await.unwrap();
            assert_eq!(next(pubsub).await, subscribed("c", 1));
        }
        assert_eq!(cluster.owner("b").unwrap(), Some(0));
        cluster.nodes[0].kill().unwrap();
        eventually("the replica takes over", || cluster.owner("b").unwrap() == Some(3));
        for pubsub in [&plain, &replica, &shard] {
            // Long enough for two more heartbeats.
            let event = pubsub.get_message(Duration::from_millis(2500)).await;
            assert_eq!(event, None);
        }
        cluster.ask(2, "PUBLISH c plain").unwrap();
        cluster.ask(1, "SPUBLISH c shard").unwrap();
        assert_eq!(next(&plain).await, message("c", "plain"));
        assert_eq!(next(&replica).await, message("c", "plain"));
        assert_eq!(next(&shard).await, message("c", "shard"));
    });
}

fn replica() {
    run(async {
        let mut primary = redis();
        tell(&primary, "CONFIG SET repl-diskless-sync-delay 0");
        let replica = replica_of(&primary);
        let pubsub = PubSub::connect(replica.url()).await.unwrap();
        pubsub.subscribe(["a"]).await.unwrap();
        assert_eq!(next(&pubsub).await, subscribed("a", 1));
        primary.kill().unwrap();
        let Event::Disconnected { reason } = next(&pubsub).await else { panic!() };
        assert!(reason.starts_with("a replica without its primary ("), "{reason}");
        primary.restart().unwrap();
        tell(&primary, "CONFIG SET repl-diskless-sync-delay 0");
        assert!(matches!(next(&pubsub).await, Event::Reconnected { .. }));
        assert_eq!(next(&pubsub).await, subscribed("a", 1));
        tell(&primary, "PUBLISH a back");
        assert_eq!(next(&pubsub).await, message("a", "back"));
    });
}

fn passed_over() {
    run(async {
        let mut primary = redis();
        tell(&primary, "CONFIG SET repl-diskless-sync-delay 0");
        let (deaf, other) = (replica_of(&primary), redis());
        primary.kill().unwrap();
        eventually("the replica knows", || {
            ask::<String>(&deaf, "INFO replication").contains("master_link_status:down")
        });
        let connections = |redis| ask::<String>(redis, "CLIENT LIST TYPE pubsub").lines().count();
        let both = PubSub::connect(format!("{},{}", deaf.url(), other.url())).await.unwrap();
        both.subscribe(["a"]).await.unwrap();
        assert_eq!((connections(&deaf), connections(&other)), (0, 1));
        // A deaf server is used if it is the only one.
        let alone = PubSub::connect(deaf.url()).await.unwrap();
        alone.subscribe(["a"]).await.unwrap();
        assert_eq!(connections(&deaf), 1);
    });
}

/// The channel was subscribed to at a replica while it had no primary.
fn moves_back() {
    run(async {
        let mut cluster = LocalCluster::start(3, 3).unwrap();
        assert_eq!(cluster.owner("a").unwrap(), Some(2));
        // Node 5 stays a replica.
        cluster.ask(5, "CONFIG SET cluster-replica-no-failover yes").unwrap();
        cluster.nodes[2].kill().unwrap();
        let urls = format!("{},{}", cluster.nodes[2].url(), cluster.nodes[5].url());
        let pubsub = PubSub::builder(urls).sharded(true).connect().await.unwrap();
        pubsub.subscribe(["a"]).await.unwrap();
        assert_eq!(next(&pubsub).await, subscribed("a", 1));
        cluster.nodes[2].restart().unwrap();
        let address = format!("127.0.0.1:{}", cluster.nodes[2].port());
        let Event::Disconnected { reason } = next(&pubsub).await else { panic!() };
        assert!(reason.ends_with(&format!("'a' has a primary again: {address}")), "{reason}");
        assert!(matches!(next(&pubsub).await, Event::Reconnected { .. }));
        assert_eq!(next(&pubsub).await, subscribed("a", 1));
        cluster.is_ok().unwrap();
        assert_eq!(cluster.ask(2, "PUBSUB SHARDNUMSUB a").unwrap(), "1");
        assert_eq!(cluster.ask(5, "PUBSUB SHARDNUMSUB a").unwrap(), "0");
        cluster.ask(2, "SPUBLISH a back").unwrap();
        assert_eq!(next(&pubsub).await, message("a", "back"));
    });
}

/// The rights of acl/users.acl are enough to connect, to send heartbeats, to reconnect and to end.
fn overlay() {
    run(async {
        let redis = redis();
        let users = include_str!("../../../../acl/users.acl");
        for user in users.lines().filter(|line| !line.contains("default")) {
            tell(&redis, &format!("ACL SETUSER {} nopass", user.strip_prefix("user ").unwrap()));
        }
        let url = |user: &str| url_as(&redis, &format!("{user}:any"));
        let subscriber = PubSub::connect(url("subscriber")).await.unwrap();
        subscriber.subscribe(["notifications"]).await.unwrap();
        let patterns = PubSub::connect(url("pattern-subscriber")).await.unwrap();
        patterns.psubscribe(["news:*"]).await.unwrap();
        let publisher = Publisher::connect(url("publisher")).await.unwrap();
        assert_eq!(publisher.publish("notifications", "1").await, Ok(1));
        next(&subscriber).await;
        assert_eq!(next(&subscriber).await, message("notifications", "1"));

        tell(&redis, "CLIENT KILL TYPE pubsub");
        is_outage(&[next(&subscriber).await, next(&subscriber).await]);
        // Each of the three connections asks twice whether its server is deaf.
        let goal = command_stat(&redis, "hello", "calls") + 6;
        eventually("two heartbeats", || command_stat(&redis, "hello", "calls") >= goal);
        assert_eq!(publisher.publish("news:a", "2").await, Ok(1));
        for pubsub in [&subscriber, &patterns] {
            pubsub.close().await;
        }
        publisher.close().await;
        let log: Vec<redis::Value> = ask(&redis, "ACL LOG");
        assert_eq!(log, []);
    });
}
