//! `cargo compare clients --short`: the redis crate's `get_async_pubsub` beside our subscriber.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use acceptance::{Need, without_developers_own};
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trial = Need::real_redis().trial("get_async_pubsub_ends_and_ours_comes_back", || {
        get_async_pubsub_ends_and_ours_comes_back();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn get_async_pubsub_ends_and_ours_comes_back() {
    let mut compare = Command::new(env!("CARGO_BIN_EXE_compare"));
    compare.args(["clients", "--short", "restart", "revoked", "ours", "pubsub"]);
    let output = without_developers_own(compare).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let tables: Vec<_> = stdout.split("\n\n|").skip(1).collect();
    assert_eq!(tables.len(), 2, "restart and revoked: {stdout}");

    for table in tables {
        let [ours, theirs] = &rows(table)[..] else { panic!("not two clients: {stdout}") };
        assert_eq!(ours[""], "`subscriber`", "{stdout}");
        // With a number of subscribers if there is not exactly one.
        assert_eq!(ours["at the end"], "alive", "{stdout}");
        let again = ours["again after"].strip_suffix(" s").expect(&stdout);
        assert!(again.parse::<f64>().unwrap() < 5.0, "{stdout}");
        assert_eq!(ours["false alarms"], "0", "{stdout}");
        let missing = |row: &BTreeMap<&str, &str>| row["missing"].parse::<u32>().unwrap();
        let announced = if missing(ours) == 0 { "–" } else { "all: event" };
        assert_eq!(ours["announced"], announced, "{stdout}");

        assert!(theirs[""].ends_with(" `get_async_pubsub`"), "{stdout}");
        assert_eq!(theirs["at the end"], "ended, status 0", "{stdout}");
        assert_eq!(theirs["again after"], "never", "{stdout}");
        assert!(missing(theirs) > missing(ours), "{stdout}");
        assert_eq!(theirs["announced"], "all: end", "{stdout}");
    }
}

/// The cells of each row, by the names in the header.
fn rows(table: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = table
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    assert_eq!(header[0], "");
    // Below the header is a line of dashes.
    lines.skip(1).map(|cells| header.iter().copied().zip(cells).collect()).collect()
}
