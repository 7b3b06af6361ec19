//! Redis is not there, or goes away.

use std::time::{Duration, Instant};

use acceptance::*;
use local_redis::LocalRedis;

#[test]
fn receives_again_after_a_restart_of_redis() {
    let mut redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    redis.restart().unwrap();
    subscriber.logs("lost the connection to Redis at 127.0.0.1");
    subscriber.logs("connected again to Redis at 127.0.0.1");
    subscriber.shows("Subscribed successfully to 'notifications'.");
    assert_eq!(publish(&redis, b"notifications", b"back"), 1);
    subscriber.shows("Received on channel 'notifications': back");
}

#[test]
fn a_publisher_counts_messages_that_redis_did_not_confirm() {
    let mut redis = LocalRedis::start().unwrap();
    let publisher = Terminal::run(&redis, "publisher --interval 300ms --count 6");
    publisher.shows("Publisher: Sending messages to channel 'notifications'...");
    publisher.line();
    redis.kill().unwrap();
    publisher.logs("not confirmed: ");
    redis.restart().unwrap();
    publisher.logs("connected again");
    assert!(publisher.line().starts_with("Published: "));
    let ended = publisher.end().with(1);
    let error = ended.stderr.last().unwrap();
    assert!(error.starts_with("error: Redis did not confirm "), "{error}");
}

#[test]
fn without_redis_the_error_names_the_address_and_a_way_to_start_one() {
    let mut redis = LocalRedis::start().unwrap();
    redis.kill().unwrap();
    for service in ["publisher", "subscriber", "pattern-subscriber"] {
        let mut command = service_command(service);
        let start = Instant::now();
        let ended = Terminal::start_command(command.env("REDIS_URL", redis.url())).end().with(1);
        assert!(start.elapsed() < Duration::from_secs(2));
        let [error, hint] = &ended.stderr[..] else { panic!("{ended:#?}") };
        let no_redis = format!("error: no Redis at 127.0.0.1:{}: ", redis.port());
        assert!(error.starts_with(&no_redis), "{error}");
        let cargo_redis = format!("`cargo redis --port {}`", redis.port());
        assert!(hint.contains(&cargo_redis) && hint.contains("docker run"), "{hint}");
        assert_eq!(ended.stdout, [""; 0]);
    }
}

#[test]
fn without_redis_the_example_with_the_redis_crate_names_a_way_to_start_one() {
    let mut redis = LocalRedis::start().unwrap();
    redis.kill().unwrap();
    let mut command = example_command("subscriber");
    let ended = Terminal::start_command(command.env("REDIS_URL", redis.url())).end().with(1);
    let says = ended.stderr.join("\n");
    assert!(says.contains("`cargo redis`") && says.contains("Connection refused"), "{says}");
}

#[test]
fn the_example_with_the_redis_crate_ends_with_redis_and_prints_nothing() {
    let mut redis = LocalRedis::start().unwrap();
    let mut command = example_command("subscriber");
    let alone = Terminal::start_command(command.env("REDIS_URL", redis.url()));
    alone.shows("Subscribed to channel 'notifications'. Waiting for messages...");
    redis.kill().unwrap();
    let ended = alone.end().with(0);
    assert_eq!((ended.stdout, ended.stderr), (vec![], vec![]));
}
