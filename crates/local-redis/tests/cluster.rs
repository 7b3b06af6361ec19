//! A cluster of its own, by its own commands.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use acceptance::Need;
use libtest_mimic::Arguments;
use local_redis::LocalCluster;

fn main() -> std::process::ExitCode {
    let trial = Need::real_redis().trial("a_node_goes_and_comes_back", || {
        a_node_goes_and_comes_back();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn a_node_goes_and_comes_back() {
    let mut cluster = LocalCluster::start(3, 1).unwrap();
    assert_eq!(cluster.urls().split(',').count(), 4);
    // CLUSTER KEYSLOT of these: 15495, 3300, 7365. The first is the last third's.
    let owners = ["a", "b", "c"].map(|channel| cluster.owner(channel).unwrap());
    assert_eq!(owners, [Some(2), Some(0), Some(1)]);
    cluster.move_slot("a", 0).unwrap();
    assert_eq!(cluster.owner("a").unwrap(), Some(0));

    // It finds back to the others by what it has written down.
    cluster.nodes[1].kill().unwrap();
    assert!(cluster.ask(1, "PING").is_err());
    assert_eq!(cluster.owner("c").unwrap(), None);
    cluster.nodes[1].restart().unwrap();
    cluster.is_ok().unwrap();
    assert_eq!(cluster.owner("c").unwrap(), Some(1));
}
