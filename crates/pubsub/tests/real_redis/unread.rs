//! A program that does not read its events: the inbox stays bounded, and counts missed messages.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use acceptance::{Test, ask, connection, eventually, redis, tell};
use futures_util::StreamExt;
use local_redis::{LocalRedis, PATIENCE};
use pubsub::{Event, PubSub, Stats};
use tokio::time::{sleep, timeout};

use crate::kit::{both, publish, run};

pub(crate) const TESTS: &[Test] = &[
    ("unread::many_outages_become_one", || run(many_outages(false))),
    ("unread::many_outages_of_shard_channels_become_one", || run(many_outages(true))),
    ("unread::what_is_missed_is_counted_through_outages", counted),
    ("unread::a_reader_whose_turn_comes_late_misses_nothing", || both(late)),
    ("unread::a_reader_that_is_too_slow_keeps_its_connection", || both(too_slow)),
];

const CHANNELS: usize = 2000;
const OUTAGES: u64 = 6;

/// Cuts the connection, and waits for the reconnect.
fn cut(redis: &LocalRedis, pubsub: &PubSub) {
    let goal = pubsub.stats().reconnects + 1;
    tell(redis, "CLIENT KILL TYPE pubsub");
    eventually("it is connected again", || pubsub.stats().reconnects == goal);
}

async fn many_outages(sharded: bool) {
    let redis = redis();
    let pubsub = PubSub::builder(redis.url()).sharded(sharded).connect().await.unwrap();
    let names: Vec<_> = (0..CHANNELS).map(|number| number.to_string()).collect();
    pubsub.subscribe(&names).await.unwrap();
    for _ in 0..OUTAGES {
        cut(&redis, &pubsub);
    }
    assert_eq!(publish(&redis, sharded, "0", "end"), 1);
    let mut events = pubsub.listen();
    let mut count = [0; 3];
    let mut attempts_in_all = 0;
    loop {
        match events.next().await.unwrap() {
            Event::Subscribe { .. } => count[0] += 1,
            Event::Disconnected { .. } => count[1] += 1,
            Event::Reconnected { attempts, .. } => {
                count[2] += 1;
                attempts_in_all = u64::from(attempts);
            }
            Event::Message { .. } => break,
            event => panic!("{event:?}"),
        }
    }
    // The confirmations of the call, and those of the last reconnect.
    assert_eq!(count, [2 * CHANNELS, 1, 1]);
    assert!(attempts_in_all >= OUTAGES, "{attempts_in_all}");
    let stats = pubsub.stats();
    assert_eq!((stats.received, stats.missed, stats.reconnects), (1, 0, OUTAGES));
}

fn counted() {
    run(async {
        let redis = redis();
        let pubsub = PubSub::builder(redis.url()).inbox(3, 1000).connect().await.unwrap();
        pubsub.subscribe(["a"]).await.unwrap();
        let mut admin = connection(&redis);
        let mut publish = |count: u64| {
            for _ in 0..count {
                assert_eq!(redis::cmd("PUBLISH").arg("a").arg("x").query(&mut admin), Ok(1));
            }
        };
        publish(5);
        // Messages that were sent before the connection ended are read before its end.
        cut(&redis, &pubsub);
        publish(4);
        cut(&redis, &pubsub);
        publish(1);
        eventually("all has arrived", || pubsub.stats().received == 10);
        let stats = pubsub.stats();
        assert_eq!((stats.missed, stats.waiting, stats.most_waiting), (7, 3, 3));
        assert_eq!(stats.reconnects, 2);

        let mut shown = Vec::new();
        while let Some(event) = pubsub.get_message(Duration::ZERO).await {
            shown.push(match event {
                Event::Subscribe { .. } => "subscribe".to_owned(),
                Event::Message { .. } => "message".to_owned(),
                Event::Missed { count } => format!("missed {count}"),
                Event::Disconnected { .. } => "disconnected".to_owned(),
                Event::Reconnected { .. } => "reconnected".to_owned(),
                event => panic!("{event:?}"),
            });
        }
        let expected = "subscribe, message, message, message, missed 6, disconnected, reconnected, \
                        subscribe, missed 1";
        assert_eq!(shown.join(", "), expected);
        assert_eq!(pubsub.stats().waiting, 0);
        // The inbox has room for a message again.
        publish(1);
        eventually("it has arrived", || pubsub.stats().waiting == 1);
        let clients: String = ask(&redis, "CLIENT LIST TYPE pubsub");
        assert_eq!(clients.lines().count(), 1);
    });
}

/// Messages of 200 bytes, published at once.
const BURST: u64 = 3000;

fn publish_bursts(redis: &LocalRedis, sharded: bool, count: u64) -> JoinHandle<()> {
    let mut connection = connection(redis);
    let command = if sharded { "SPUBLISH" } else { "PUBLISH" };
    let mut burst = redis::pipe();
    for _ in 0..BURST {
        burst.cmd(command).arg("a").arg(&[b'x'; 200]).ignore();
    }
    thread::spawn(move || (0..count).for_each(|_| burst.exec(&mut connection).unwrap()))
}

/// Does something else for a while and then reads what is there, at most so much, over and over.
async fn read_at_times(pubsub: &PubSub, bursts: u64, most: usize, pause: Duration) -> Stats {
    let reading = async {
        while pubsub.stats().received < bursts * BURST || pubsub.stats().waiting > 0 {
            sleep(pause).await;
            let mut turn = 0..most;
            while turn.next().is_some() && pubsub.get_message(Duration::ZERO).await.is_some() {}
        }
        pubsub.stats()
    };
    timeout(PATIENCE, reading).await.expect("not all has arrived")
}

/// On a busy machine the reader waits for its turn while messages arrive.
async fn late(sharded: bool) {
    let redis = redis();
    let mut all = Vec::new();
    // A machine may well be busier than that.
    for _ in 0..10 {
        let builder = PubSub::builder(redis.url()).sharded(sharded);
        let pubsub = builder.inbox(2000, 1 << 20).connect().await.unwrap();
        pubsub.subscribe(["a"]).await.unwrap();
        let publishing = publish_bursts(&redis, sharded, 1);
        let stats = read_at_times(&pubsub, 1, usize::MAX, Duration::from_millis(25)).await;
        publishing.join().unwrap();
        assert_eq!(stats.reconnects, 0);
        if stats.missed == 0 {
            return;
        }
        all.push(stats.missed);
    }
    panic!("each burst lost messages: {all:?}");
}

/// Redis would collect the messages of a connection that waits for its reader for too long, and
/// then cut it.
async fn too_slow(sharded: bool) {
    let redis = redis();
    let limit = ["SET", "client-output-buffer-limit", "pubsub 16mb 0 0"];
    redis::cmd("CONFIG").arg(&limit).exec(&mut connection(&redis)).unwrap();
    let builder = PubSub::builder(redis.url()).sharded(sharded);
    let pubsub = builder.inbox(200, 1 << 20).connect().await.unwrap();
    pubsub.subscribe(["a"]).await.unwrap();
    let publishing = publish_bursts(&redis, sharded, 100);
    let stats = read_at_times(&pubsub, 100, 100, Duration::from_millis(10)).await;
    publishing.join().unwrap();
    assert_eq!(stats.reconnects, 0);
    assert!(stats.missed > 0);
}
