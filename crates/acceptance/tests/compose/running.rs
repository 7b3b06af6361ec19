//! The services at work: receiving, scaled, through an outage, stopped.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::stack::{CLUSTER, PLAIN, SERVICES, Stack, WITH_ACL, docker, done, follow};
use acceptance::{Terminal, Test, service_command};

pub(crate) const TESTS: &[Test] = &[
    ("all_files_are_valid", all_files_are_valid),
    ("both_subscribers_receive", both_subscribers_receive),
    ("each_of_three_subscribers_gets_every_message", each_of_three_gets_every_message),
    ("all_receive_again_after_redis_was_killed", all_receive_again_after_redis_was_killed),
    ("stop_ends_all_services_within_2_seconds", stop_ends_all_services_within_2_seconds),
    ("down_leaves_nothing", down_leaves_nothing),
];

fn all_files_are_valid() {
    for files in [PLAIN, WITH_ACL, CLUSTER] {
        let stack = Stack::new(files);
        let config = stack.compose(&["config", "--quiet"]).output().unwrap();
        // Compose prints a warning about a questionable key, and succeeds.
        assert_eq!(String::from_utf8_lossy(&config.stderr), "");
        assert!(config.status.success());
    }
}

fn both_subscribers_receive() {
    let stack = Stack::up(PLAIN);
    let subscriber = stack.output("subscriber");
    subscriber.shows("Subscriber: Subscribed to channel 'notifications'. Waiting for messages...");
    subscriber.shows("Press Ctrl+C to exit.");
    subscriber.shows("Subscribed successfully to 'notifications'.");
    let received = subscriber.line();
    assert!(received.starts_with("Received on channel 'notifications': "), "{received}");

    let pattern_subscriber = stack.output("pattern-subscriber");
    pattern_subscriber.shows("Pattern Subscriber: Subscribed to all channels matching 'news:*'");
    pattern_subscriber.shows("Subscribed to pattern 'news:*'");
    // Sports and politics take turns. The subscriber may have missed the first.
    let lines = [pattern_subscriber.line(), pattern_subscriber.line()];
    for channel in ["news:sports", "news:politics"] {
        let matched = format!("Pattern 'news:*' matched channel '{channel}': ");
        assert!(lines.iter().any(|line| line.starts_with(&matched)), "{lines:#?}");
    }

    assert_eq!(publish(&stack, "news:weather", "Rain"), "Published: Rain (1 receiver)");
    pattern_subscriber.shows_later("Pattern 'news:*' matched channel 'news:weather': Rain");

    // A subscriber outside of Docker, as with `cargo run -p subscriber`.
    let url = format!("redis://localhost:{}", stack.port());
    let outside = Terminal::start_command(service_command("subscriber").env("REDIS_URL", url));
    outside.shows_later("Subscribed successfully to 'notifications'.");
    assert_eq!(publish(&stack, "notifications", "Hello"), "Published: Hello (2 receivers)");
    outside.shows_later("Received on channel 'notifications': Hello");
    subscriber.shows_later("Received on channel 'notifications': Hello");
}

fn each_of_three_gets_every_message() {
    // No other publisher: what each receives is compared line by line.
    let stack = Stack::up_with(PLAIN, &["--scale", "subscriber=3", "subscriber"]);
    let containers = stack.containers("subscriber");
    assert_eq!(containers.len(), 3);
    let subscribers: Vec<_> = containers.iter().map(|container| follow(container)).collect();
    for subscriber in &subscribers {
        subscriber.shows_later("Subscribed successfully to 'notifications'.");
    }

    let publisher = ["publisher", "--count", "20", "--interval", "10ms"];
    let publisher = stack.run(&publisher).end().with(0);
    assert_eq!(publisher.stdout.len(), 21);
    for line in &publisher.stdout[1..] {
        let message = line.strip_prefix("Published: ").unwrap();
        let message = message.strip_suffix(" (3 receivers)").unwrap();
        for subscriber in &subscribers {
            subscriber.shows(&format!("Received on channel 'notifications': {message}"));
        }
    }
}

fn all_receive_again_after_redis_was_killed() {
    let stack = Stack::up(PLAIN);
    let outputs = SERVICES.map(|service| stack.output(service));
    done(&mut stack.compose(&["kill", "redis"]));
    for output in &outputs {
        output.logs("lost the connection to Redis at redis:6379");
    }
    done(&mut stack.compose(&["start", "redis"]));
    for output in &outputs {
        output.logs("connected again to Redis at redis:6379");
    }

    // The publishers publish again by themselves,
    for (service, published) in [("publisher", "Published: "), ("news-publisher", "Published to ")]
    {
        let line = stack.output_from_now(service).line();
        assert!(line.starts_with(published), "{line}");
    }
    // and the subscribers receive messages that were certainly published after the outage.
    let [_, _, subscriber, pattern_subscriber] = &outputs;
    assert_eq!(publish(&stack, "notifications", "Back"), "Published: Back (1 receiver)");
    subscriber.shows_later("Received on channel 'notifications': Back");
    assert_eq!(publish(&stack, "news:weather", "Sun"), "Published: Sun (1 receiver)");
    pattern_subscriber.shows_later("Pattern 'news:*' matched channel 'news:weather': Sun");
}

fn stop_ends_all_services_within_2_seconds() {
    let stack = Stack::up(PLAIN);
    let outputs = SERVICES.map(|service| stack.output(service));
    let containers = SERVICES.map(|service| stack.container(service));
    for output in &outputs {
        output.line();
    }

    let start = Instant::now();
    let mut stop = stack.compose(&["stop"]).stderr(Stdio::null()).spawn().unwrap();
    // `wait` prints the exit codes. 137 would be a kill after ten seconds.
    let codes = docker(&["wait", &containers[0], &containers[1], &containers[2], &containers[3]]);
    let elapsed = start.elapsed();
    assert!(stop.wait().unwrap().success());
    assert_eq!(codes, "0\n0\n0\n0\n");
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    let goodbye = ["Publisher shutting down.", "Unsubscribing and shutting down."];
    for (output, line) in outputs.iter().zip([goodbye[0], goodbye[0], goodbye[1], goodbye[1]]) {
        output.shows_later(line);
    }
}

fn down_leaves_nothing() {
    let stack = Stack::up(PLAIN);
    // Five containers and a network. Redis stores nothing, so it has no volume.
    assert_eq!(stack.parts().len(), 6, "{:#?}", stack.parts());
    for service in ["redis"].iter().chain(&SERVICES) {
        let mounts = &stack.inspect(service)["Mounts"];
        assert_eq!(mounts.as_array().unwrap().len(), 0, "{service}: {mounts:#}");
    }
    done(&mut stack.compose(&["down", "--volumes"]));
    assert_eq!(stack.parts(), [""; 0]);
}

/// Publishes one message by a further publisher, and returns its line about it.
#[track_caller]
fn publish(stack: &Stack, channel: &str, message: &str) -> String {
    let publisher = ["publisher", channel, "--message", message, "--count", "1"];
    stack.run(&publisher).end().with(0).stdout[1].clone()
}
