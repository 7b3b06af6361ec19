//! The publisher while a node goes away: what was not taken is counted, and it does not spin.

use std::time::Duration;

use crate::{Scene, cluster, owner, run};

pub const SCENES: &[Scene] = &[
    ("publishing::counts_what_was_not_taken", counts_what_was_not_taken),
    ("publishing::at_full_speed_waits_for_a_new_owner", at_full_speed_waits),
];

fn counts_what_was_not_taken() {
    let mut cluster = cluster();
    let subscriber = run(&cluster, "subscriber --sharded a");
    (0..3).for_each(|_| drop(subscriber.line()));
    let publisher = run(&cluster, "publisher --sharded --interval 5ms --forever a");
    publisher.line();
    publisher.line();
    let owner = owner(&cluster, "a");
    cluster.node(owner).kill().unwrap();
    publisher.logs("not confirmed: ");
    publisher.logs("connected again to Redis at");
    // Heard again, too.
    subscriber.logs("connected again to Redis at");
    std::thread::sleep(Duration::from_millis(100));
    let ended = publisher.ctrl_c().with(0);
    let last = ended.stderr.last().unwrap();
    assert!(last.contains("Redis did not confirm "), "{ended:#?}");
    let published = ended.stdout.iter().filter(|line| line.starts_with("Published: ")).count();
    let heard = subscriber.ctrl_c().with(0).stdout.len() - 1;
    assert!(heard > 0 && published > 0, "{heard} of {published}");
}

fn at_full_speed_waits() {
    let mut cluster = cluster();
    let publisher = run(&cluster, "publisher --sharded --interval 0s --forever b c a");
    publisher.line();
    publisher.line();
    let owner = owner(&cluster, "a");
    cluster.node(owner).kill().unwrap();
    publisher.logs("lost the connection to Redis at the owner of 'a'");
    publisher.logs("connected again to Redis at");
    let ended = publisher.ctrl_c().with(0);
    let lost = ended.stderr.iter().filter(|line| line.contains("not confirmed: ")).count();
    assert!(lost <= 1024, "{lost} messages were thrown away");
}
