//! docker-compose.cluster.yml: six nodes, of which one is killed and started again.

use crate::stack::{CLUSTER, Stack, done};
use acceptance::{Test, eventually};

pub(crate) const TESTS: &[Test] =
    &[("the_services_survive_the_loss_of_a_primary", the_services_survive_the_loss_of_a_primary)];

fn the_services_survive_the_loss_of_a_primary() {
    let stack = Stack::built(CLUSTER);
    done(&mut stack.compose(&["up", "--detach"]));
    for channel in ["orders", "payments", "users"] {
        let confirmed = format!("Subscribed successfully to '{channel}'.");
        stack.output("subscriber").shows_later(&confirmed);
        receives(&stack, channel, "Here");
    }
    // The part in braces decides the slot, as an exercise of the lesson says.
    for channel in ["orders", "{orders}:eu", "{orders}:us"] {
        assert_eq!(node(&stack, "redis-2", &["cluster", "keyslot", channel]).trim(), "105");
    }
    done(&mut stack.compose(&["kill", "redis-1"]));
    stack.output("subscriber").logs("connected again to Redis at ");
    let new_owner = owner(&stack, "redis-2", "orders");
    assert_ne!(new_owner, "redis-1");
    for channel in ["orders", "payments", "users"] {
        receives(&stack, channel, "Here again");
    }

    // The node remembers the cluster, and becomes a replica of its former replica.
    done(&mut stack.compose(&["start", "redis-1"]));
    eventually("it is a replica", || node(&stack, "redis-1", &["role"]).starts_with("slave"));
    // All nodes remember the cluster: the owner is the same after a stop and a start.
    done(&mut stack.compose(&["stop"]));
    done(&mut stack.compose(&["up", "--detach"]));
    eventually("the owner is the same", || owner(&stack, "redis-2", "orders") == new_owner);
}

/// A further publisher publishes a message, and the subscriber prints it.
#[track_caller]
fn receives(stack: &Stack, channel: &str, message: &str) {
    // `--no-deps`, because Compose would start the killed node again.
    let publisher = ["--no-deps", "publisher", "--sharded", channel];
    let published = stack.run(&[&publisher[..], &["--message", message, "--count", "1"]].concat());
    let published = published.end().with(0);
    assert_eq!(published.stdout.last().unwrap(), &format!("Published: {message} (1 receiver)"));
    let line = format!("Received on channel '{channel}': {message}");
    stack.output("subscriber").shows_later(&line);
}

/// The node that owns a channel, in the words of a node of another shard.
#[track_caller]
fn owner(stack: &Stack, asked: &str, channel: &str) -> String {
    let answer = node(stack, asked, &["spublish", channel, "whose?"]);
    // `MOVED 105 redis-1:6379`, or another error while the cluster is starting.
    let moved = answer.trim().strip_suffix(":6379").and_then(|moved| moved.rsplit_once(' '));
    moved.map_or(answer.clone(), |(_, node)| node.to_owned())
}

#[track_caller]
fn node(stack: &Stack, node: &str, command: &[&str]) -> String {
    let redis_cli = [&["exec", "-T", node, "redis-cli"], command].concat();
    done(&mut stack.compose(&redis_cli))
}
