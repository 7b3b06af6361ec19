//! The publisher while a node fails: it counts unconfirmed messages, and does not spin.

use acceptance::Test;

use crate::{cluster, owner, run};

pub(crate) const SCENES: &[Test] = &[
    ("publishing::counts_messages_that_were_not_confirmed", counts_not_confirmed),
    ("publishing::at_full_speed_waits_for_a_new_owner", at_full_speed_waits),
];

/// The run is longer than the failover: the last messages reach the new owner.
fn counts_not_confirmed() {
    let mut cluster = cluster();
    let publisher = run(&cluster, "publisher --sharded --interval 10ms --count 800 a");
    let mut published = 2;
    (0..published).for_each(|_| drop(publisher.line()));
    let owner = owner(&cluster, "a");
    cluster.nodes[owner].kill().unwrap();
    publisher.logs("lost the connection to Redis at");
    let ended = publisher.end().with(1);
    published += ended.stdout.len() - 1;
    let lost = ended.stderr.iter().filter(|line| line.contains("not confirmed: ")).count();
    // `logs` may have passed over the first of these lines.
    assert!((799..=800).contains(&(published + lost)), "{published} and {lost}");
    let last = format!("error: Redis did not confirm {} messages", 800 - published);
    assert_eq!(*ended.stderr.last().unwrap(), last);
    assert!(ended.stdout.last().unwrap().starts_with("Published: ") && published > 100);
}

fn at_full_speed_waits() {
    let mut cluster = cluster();
    let publisher = run(&cluster, "publisher --sharded --interval 0s --forever b c a");
    publisher.line();
    publisher.line();
    let owner = owner(&cluster, "a");
    cluster.nodes[owner].kill().unwrap();
    publisher.logs("lost the connection to Redis at the owner of 'a'");
    publisher.logs("connected again to Redis at");
    let ended = publisher.ctrl_c().with(0);
    let (_, rest) = ended.stderr.last().unwrap().split_once("did not confirm ").unwrap();
    let lost: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=1024).contains(&lost), "{lost} messages were thrown away");
    eprintln!("{lost} messages at full speed were not confirmed in a failover");
}
