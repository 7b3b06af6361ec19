//! `cargo compare clients --short`: the redis crate's `get_async_pubsub` beside our subscriber.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, ExitCode};

use acceptance::{Need, without_developers_own};
use libtest_mimic::Arguments;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let trial = Need::real_redis().trial("get_async_pubsub_ends_and_ours_comes_back", || {
        get_async_pubsub_ends_and_ours_comes_back();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn get_async_pubsub_ends_and_ours_comes_back() {
    let mut compare = Command::new(env!("CARGO_BIN_EXE_compare"));
    compare.args(["clients", "--short", "--json"]);
    let output = without_developers_own(compare).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rows: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 4, "{rows:#?}");

    for fault in ["restart", "revoked"] {
        let of = |client: &str| {
            let row = |row: &&Value| row["client"] == client && row["fault"] == fault;
            rows.iter().find(row).unwrap()["seen"].clone()
        };
        let ours = of("ours");
        assert_eq!(ours["state"], "alive", "{fault}: {ours:#}");
        assert!(ours["again"].as_f64().unwrap() < 5.0, "{fault}: {ours:#}");
        assert_eq!(ours["subscribers"], 1, "{fault}: {ours:#}");
        assert_eq!(ours["false_alarms"], 0, "{fault}: {ours:#}");
        let missing = ours["missing"].as_u64().unwrap();
        let announced = ours["announced"]["event"].as_u64().unwrap_or(0);
        assert_eq!(announced, missing, "{fault}: {ours:#}");

        let theirs = of("pubsub");
        assert_eq!(theirs["state"], json!({ "ended": { "code": 0 } }), "{fault}: {theirs:#}");
        assert_eq!(theirs["again"], Value::Null, "{fault}: {theirs:#}");
        assert!(theirs["missing"].as_u64().unwrap() > missing, "{fault}: {theirs:#}");
        assert_eq!(theirs["announced"], json!({ "end": theirs["missing"] }), "{fault}");
    }
}
