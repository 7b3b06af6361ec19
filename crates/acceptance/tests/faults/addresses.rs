//! Several addresses: if one does not work, the services use another.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use local_redis::{Leashed, Server};

use crate::events::Events;
use crate::first_connect::prints_error;
use acceptance::{
    Terminal, Test, eventually, publish, redis, redis_with, replica_of, service_command, tell,
};

pub(crate) const FAULTS: &[Test] = &[
    ("addresses::the_subscriber_moves_to_the_next_one", the_subscriber_moves),
    ("addresses::the_publisher_passes_over_a_replica", the_publisher_passes_over_a_replica),
    ("addresses::the_publisher_follows_the_primary", the_publisher_follows_the_primary),
    ("addresses::a_replica_alone_is_refused", a_replica_alone_is_refused),
    ("addresses::a_sentinel_is_refused", a_sentinel_is_refused),
    ("addresses::none_of_them_answers", none_of_them_answers),
];

fn publisher(urls: &str, options: &str) -> Terminal {
    let mut command = service_command("publisher");
    Terminal::start_command(command.env("REDIS_URL", urls).args(options.split(' ')))
}

/// To the second address, and from there to the first again.
fn the_subscriber_moves() {
    let (mut one, mut other) = (redis(), redis());
    let mut command = service_command("subscriber");
    command.args(["--json", "--redis-url", &one.url(), "--redis-url", &other.url()]);
    let mut events = Events::of(&mut command);
    for _ in 0..2 {
        one.kill().unwrap();
        events.disconnected("Redis closed the connection");
        events.reconnected();
        events.subscribed();
        events.terminal.logs(&format!("connected again to Redis at 127.0.0.1:{}", other.port()));
        assert_eq!(publish(&other, b"notifications", b"moved"), 1);
        events.message("moved");
        one.restart().unwrap();
        std::mem::swap(&mut one, &mut other);
    }
    events.end();
}

/// A subscriber may use a replica: it gets the messages that are published on the primary.
fn the_publisher_passes_over_a_replica() {
    let primary = redis();
    let replica = replica_of(&primary);
    let mut events = Events::of_subscriber(&replica.url());
    let urls = format!("{},{}", replica.url(), primary.url());
    let publisher = publisher(&urls, "--count 1 --message one");
    let log = publisher.logs("is a replica");
    assert!(log.contains(&format!("took 127.0.0.1:{} instead", primary.port())), "{log}");
    let ended = publisher.end().with(0);
    assert_eq!(ended.stdout.last().unwrap(), "Published: one (0 receivers)");
    events.message("one");
    events.end();
}

fn the_publisher_follows_the_primary() {
    let mut primary = redis();
    let replica = replica_of(&primary);
    let urls = format!("{},{}", primary.url(), replica.url());
    let publisher = publisher(&urls, "--interval 0s --forever");
    publisher.line();
    primary.kill().unwrap();
    // The publisher needs a primary, so it waits until the replica is promoted.
    publisher.logs("cannot connect again yet: none of 2 addresses: ");
    tell(&replica, "REPLICAOF NO ONE");
    publisher.logs(&format!("connected again to Redis at 127.0.0.1:{}", replica.port()));
    publisher.ctrl_c().with(0);
}

fn a_replica_alone_is_refused() {
    let primary = redis();
    let replica = replica_of(&primary);
    let ended = publisher(&replica.url(), "--count 1").end().with(1);
    prints_error(&ended, &format!("Redis at 127.0.0.1:{} is a replica", replica.port()));
}

fn a_sentinel_is_refused() {
    // Not by `redis_with`, which waits for the word "ready": a Sentinel does not print it. It gets
    // the port of a server that has ended.
    let mut redis = redis();
    redis.kill().unwrap();
    // A Sentinel writes its state into a configuration file, which must be its first argument.
    let file = std::env::temp_dir().join(format!("sentinel-{}.conf", std::process::id()));
    std::fs::write(&file, format!("port {}\nbind 127.0.0.1\n", redis.port())).unwrap();
    let mut command = Command::new(Server::real().unwrap().name());
    let _sentinel =
        Leashed::spawn(command.arg(&file).arg("--sentinel").stdout(Stdio::null())).unwrap();
    eventually("it answers", || TcpStream::connect(("127.0.0.1", redis.port())).is_ok());
    for service in ["publisher", "subscriber"] {
        let ended = Terminal::run(&redis, service).end().with(1);
        prints_error(&ended, &format!("127.0.0.1:{} is a Sentinel", redis.port()));
    }
    std::fs::remove_file(&file).unwrap();
}

/// One line names the error of each address.
fn none_of_them_answers() {
    let with_password = redis_with(&["--requirepass", "s3cret"]);
    let mut down = redis();
    down.kill().unwrap();
    let urls = format!("{},{}", down.url(), with_password.url());
    let ended = publisher(&urls, "--count 1").end().with(1);
    let said = format!("none of 2 addresses: no Redis at 127.0.0.1:{}: ", down.port());
    prints_error(&ended, &said);
    let also = format!("; Redis at 127.0.0.1:{} refused the connection", with_password.port());
    assert!(ended.stderr[0].contains(&also), "{ended:#?}");
}
