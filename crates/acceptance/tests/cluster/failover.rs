//! Subscribers while nodes fail and return, slots move, and the whole cluster restarts.

use std::time::{Duration, Instant};

use local_redis::Signal;

use crate::numbers::{Numbers, Received};
use crate::{CHANNELS, cluster, command, expect, owner, run};
use acceptance::{Terminal, Test};

pub(crate) const SCENES: &[Test] = &[
    ("failover::the_owner_hangs", the_owner_hangs),
    ("failover::a_slot_moves_under_traffic", a_slot_moves),
    ("failover::a_replica_takes_over_on_request", a_replica_takes_over),
    ("failover::the_whole_cluster_restarts", the_whole_cluster_restarts),
    ("failover::the_only_known_node_is_gone", the_only_known_node_is_gone),
    ("failover::plain_channels_move_to_the_next_node", plain_channels_move),
];

pub(crate) const TIMED: &[Test] = &[("failover::the_owner_is_killed", the_owner_is_killed)];

/// The nodes' timeout, which is 2 s, and 4 s more.
const RECOVERED: Duration = Duration::from_secs(6);

fn subscriber(cluster: &local_redis::LocalCluster) -> Terminal {
    let subscriber = run(cluster, "subscriber --sharded --json b c a");
    (0..3).for_each(|_| drop(expect(&subscriber, "subscribe")));
    subscriber
}

fn the_owner_is_killed() {
    let mut cluster = cluster();
    let subscriber = subscriber(&cluster);
    let numbers = Numbers::start(&cluster);
    let mut received = Received::by(&subscriber);
    received.until_all_deliver();

    let owner = owner(&cluster, "a");
    let address = format!("127.0.0.1:{}", cluster.nodes[owner].port());
    let start = Instant::now();
    cluster.nodes[owner].kill().unwrap();
    let disconnected = received.until_type("disconnected");
    assert_eq!(
        received.events[disconnected]["reason"],
        format!("{address}: Redis closed the connection")
    );
    let reconnected = received.until_type("reconnected");
    // The other shards delivered meanwhile.
    for channel in ["b", "c"] {
        assert!(received.numbers(channel, disconnected, reconnected).len() > 100);
    }
    // Only 'a' was subscribed to again.
    let confirmed = received.until_type("subscribe");
    assert_eq!(received.events[confirmed]["channel"], "a");
    received.until_delivers("a");
    let recovered = start.elapsed();
    assert!(recovered < RECOVERED, "after {recovered:?}");
    eprintln!("received again {recovered:?} after the owner was killed");

    // The old owner returns as a replica: the subscriber stays where it is.
    cluster.nodes[owner].restart().unwrap();
    cluster.is_ok().unwrap();
    received.until_all_deliver();
    let published = numbers.stop();
    received.nothing_is_lost_in_silence(&published);
    assert!(!published.not_confirmed.is_empty());
    assert_eq!(received.count("disconnected"), 1);
    subscriber.logs("lost the connection to Redis at");
    subscriber.ctrl_c().with(0);
}

fn the_owner_hangs() {
    let mut cluster = cluster();
    let subscriber = subscriber(&cluster);
    let numbers = Numbers::start(&cluster);
    let mut received = Received::by(&subscriber);
    received.until_all_deliver();
    let hanging = owner(&cluster, "a");
    cluster.nodes[hanging].process.signal(Signal::STOP);
    let disconnected = received.until_type("disconnected");
    let reason = received.events[disconnected]["reason"].as_str().unwrap();
    assert!(reason.ends_with("no answer to PING within 1s"), "{reason}");
    received.until_type("reconnected");
    received.until_delivers("a");
    assert_ne!(owner(&cluster, "a"), hanging);

    // When it wakes up, it delivers messages on the old connection: they must not be printed.
    cluster.nodes[hanging].process.signal(Signal::CONT);
    cluster.is_ok().unwrap();
    received.until_all_deliver();
    let published = numbers.stop();
    received.nothing_is_lost_in_silence(&published);
    assert_eq!(received.count("disconnected"), 1);
    subscriber.ctrl_c().with(0);
}

fn a_slot_moves() {
    let cluster = cluster();
    let subscriber = subscriber(&cluster);
    let numbers = Numbers::start(&cluster);
    let mut received = Received::by(&subscriber);
    received.until_all_deliver();
    // To a node that the subscriber is connected to already, and back.
    for to in [0, 2] {
        cluster.move_slot("a", to).unwrap();
        let disconnected = received.until_type("disconnected");
        let reason = received.events[disconnected]["reason"].as_str().unwrap();
        assert!(reason.ends_with("the slot of 'a' has moved"), "{reason}");
        received.until_type("reconnected");
        let confirmed = received.until_type("subscribe");
        assert_eq!(received.events[confirmed]["channel"], "a");
        received.until_all_deliver();
    }
    let published = numbers.stop();
    received.nothing_is_lost_in_silence(&published);
    assert_eq!((received.count("unsubscribe"), received.count("disconnected")), (0, 2));
    // The publisher sent messages that the old owner refused to the new one.
    assert_eq!(published.not_confirmed, [""; 0]);
    subscriber.ctrl_c().with(0);
}

/// CLUSTER FAILOVER, as before maintenance: no node ends, and the old owner becomes a replica.
fn a_replica_takes_over() {
    let cluster = cluster();
    let subscriber = subscriber(&cluster);
    let numbers = Numbers::start(&cluster);
    let mut received = Received::by(&subscriber);
    received.until_all_deliver();
    cluster.ask(5, "CLUSTER FAILOVER").unwrap();
    received.until_type("disconnected");
    received.until_type("reconnected");
    assert_eq!(owner(&cluster, "a"), 5);
    received.until_all_deliver();
    received.nothing_is_lost_in_silence(&numbers.stop());
    subscriber.ctrl_c().with(0);
}

fn the_whole_cluster_restarts() {
    let mut cluster = cluster();
    let subscriber = subscriber(&cluster);
    let numbers = Numbers::start(&cluster);
    let mut received = Received::by(&subscriber);
    received.until_all_deliver();
    cluster.nodes.iter_mut().for_each(|node| node.kill().unwrap());
    received.until_type("disconnected");
    cluster.nodes.iter_mut().for_each(|node| node.restart().unwrap());
    received.until_type("reconnected");
    for _ in CHANNELS {
        received.until_type("subscribe");
    }
    received.until_all_deliver();
    let published = numbers.stop();
    received.nothing_is_lost_in_silence(&published);
    assert_eq!((received.count("disconnected"), received.count("subscribe")), (1, 3));
    subscriber.ctrl_c().with(0);
}

/// The subscriber also asks nodes that it knows from the cluster only.
fn the_only_known_node_is_gone() {
    let mut cluster = cluster();
    let mut command = command(&cluster, "subscriber --sharded --json a");
    let subscriber = Terminal::start_command(command.env("REDIS_URL", cluster.nodes[0].url()));
    expect(&subscriber, "subscribe");
    // No subscription is on this node, so its end is not reported.
    cluster.nodes[0].kill().unwrap();
    cluster.ask(2, "CLIENT KILL TYPE pubsub").unwrap();
    expect(&subscriber, "disconnected");
    expect(&subscriber, "reconnected");
    expect(&subscriber, "subscribe");
    cluster.ask(2, "SPUBLISH a back").unwrap();
    assert_eq!(expect(&subscriber, "message")["data"], "back");
    subscriber.ctrl_c().with(0);
}

/// The list of addresses is enough for this, without `--sharded`.
fn plain_channels_move() {
    let mut cluster = cluster();
    let subscriber = run(&cluster, "subscriber --json");
    expect(&subscriber, "subscribe");
    cluster.nodes[0].kill().unwrap();
    expect(&subscriber, "disconnected");
    expect(&subscriber, "reconnected");
    expect(&subscriber, "subscribe");
    cluster.ask(3, "PUBLISH notifications back").unwrap();
    assert_eq!(expect(&subscriber, "message")["data"], "back");
    subscriber.ctrl_c().with(0);
}
