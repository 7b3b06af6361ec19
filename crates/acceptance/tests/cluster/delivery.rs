//! Which subscribers receive which messages in a healthy cluster.

use local_redis::{LocalRedis, Server};

use crate::{CHANNELS, cluster, command, expect, owner, run};
use acceptance::{Terminal, Test, connection};

pub(crate) const SCENES: &[Test] = &[
    ("delivery::plain_messages_reach_subscribers_on_every_node", plain),
    ("delivery::sharded_messages_reach_their_shard", sharded),
    ("delivery::sharded_by_way_of_a_replica", by_way_of_a_replica),
    ("delivery::sharded_on_a_redis_that_is_no_cluster", no_cluster),
    ("delivery::sharded_is_refused_as_a_whole", refused_as_a_whole),
];

/// The services need no option for this, only an address of the cluster.
fn plain() {
    let cluster = cluster();
    let on_each_node: Vec<_> = (0..cluster.nodes.len())
        .map(|number| {
            let mut command = command(&cluster, "subscriber --json");
            let subscriber =
                Terminal::start_command(command.env("REDIS_URL", cluster.nodes[number].url()));
            expect(&subscriber, "subscribe");
            subscriber
        })
        .collect();
    let by_pattern = run(&cluster, "pattern-subscriber --json notif*");
    expect(&by_pattern, "psubscribe");
    // Published on a replica: in a cluster any node passes a plain message to all others.
    let mut publisher = command(&cluster, "publisher --count 1 --message everywhere");
    let ended =
        Terminal::start_command(publisher.env("REDIS_URL", cluster.nodes[5].url())).end().with(0);
    assert_eq!(ended.stdout.last().unwrap(), "Published: everywhere (1 receiver)");
    for subscriber in &on_each_node {
        assert_eq!(expect(subscriber, "message")["data"], "everywhere");
    }
    assert_eq!(expect(&by_pattern, "pmessage")["data"], "everywhere");
}

fn sharded() {
    let cluster = cluster();
    assert_eq!(CHANNELS.map(|channel| owner(&cluster, channel)), [0, 1, 2]);
    let subscriber = run(&cluster, "subscriber --sharded b c a");
    subscriber.shows("Subscriber: Subscribed to channels 'b', 'c', 'a'. Waiting for messages...");
    subscriber.shows("Press Ctrl+C to exit.");
    let mut confirmed = [subscriber.line(), subscriber.line(), subscriber.line()];
    confirmed.sort();
    assert_eq!(confirmed, ["a", "b", "c"].map(|c| format!("Subscribed successfully to '{c}'.")));
    let plain = run(&cluster, "subscriber --json b c a");
    (0..3).for_each(|_| drop(expect(&plain, "subscribe")));
    let by_pattern = run(&cluster, "pattern-subscriber --json *");
    expect(&by_pattern, "psubscribe");

    let publisher =
        run(&cluster, "publisher --sharded --count 3 --interval 10ms --message x b c a");
    let ended = publisher.end().with(0);
    assert_eq!(
        ended.stdout[1..],
        CHANNELS.map(|channel| format!("Published to '{channel}': x (1 receiver)"))
    );
    let mut received = [subscriber.line(), subscriber.line(), subscriber.line()];
    received.sort();
    assert_eq!(received, ["a", "b", "c"].map(|c| format!("Received on channel '{c}': x")));

    let ended = subscriber.ctrl_c().with(0);
    assert_eq!(ended.stdout, ["Unsubscribing and shutting down."]);
    // A plain channel is another channel than the shard channel of the same name.
    for plain in [plain.ctrl_c().with(0), by_pattern.ctrl_c().with(0)] {
        assert!(!plain.stdout.iter().any(|line| line.contains("message")), "{plain:#?}");
    }
}

/// A replica accepts SSUBSCRIBE and SPUBLISH for the channels of its shard, but counts only its own
/// subscribers. So the services go to the owner, even if the replica is the first address.
fn by_way_of_a_replica() {
    let cluster = cluster();
    let of_the_owner = 3 + owner(&cluster, "a");
    let urls = format!("{},{}", cluster.nodes[of_the_owner].url(), cluster.nodes[0].url());
    let mut subscriber = command(&cluster, "subscriber --sharded --json a");
    let subscriber = Terminal::start_command(subscriber.env("REDIS_URL", urls));
    expect(&subscriber, "subscribe");
    let publisher = run(&cluster, "publisher --sharded --count 1 --message x a");
    let ended = publisher.end().with(0);
    assert_eq!(ended.stdout.last().unwrap(), "Published: x (1 receiver)");
    assert_eq!(expect(&subscriber, "message")["data"], "x");
}

/// Redis 7 has shard channels outside of clusters too.
fn no_cluster() {
    let redis = LocalRedis::start_with(Server::real().unwrap(), &[]).unwrap();
    let subscriber = Terminal::run(&redis, "subscriber --sharded --json a");
    let confirmed = r#"{"type":"subscribe","pattern":null,"channel":"a","data":1}"#;
    subscriber.shows(confirmed);
    let publisher = Terminal::run(&redis, "publisher --sharded --count 1 --message x a");
    let ended = publisher.end().with(0);
    assert_eq!(ended.stdout.last().unwrap(), "Published: x (1 receiver)");
    subscriber.shows(r#"{"type":"message","pattern":null,"channel":"a","data":"x"}"#);

    redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("pubsub")
        .exec(&mut connection(&redis))
        .unwrap();
    expect(&subscriber, "disconnected");
    expect(&subscriber, "reconnected");
    subscriber.shows(confirmed);
    let ended = subscriber.ctrl_c().with(0);
    let farewell = r#"{"type":"unsubscribe","pattern":null,"channel":"a","data":0}"#;
    assert_eq!(ended.stdout, [farewell]);
}

fn refused_as_a_whole() {
    let cluster = cluster();
    for number in 0..cluster.nodes.len() {
        cluster.ask(number, "ACL SETUSER reader on nopass +@all &b &c").unwrap();
    }
    let mut command = command(&cluster, "subscriber --sharded --json b c a");
    let urls = cluster.urls().replace("://", "://reader:any@");
    let ended = Terminal::start_command(command.env("REDIS_URL", urls)).end().with(1);
    let error = &ended.stderr[0];
    assert!(error.starts_with("error: Redis refused SSUBSCRIBE 'a': NOPERM"), "{ended:#?}");
}
