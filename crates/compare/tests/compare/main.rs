//! `cargo compare` as a process, beside a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod counts;
mod keys;
mod servers;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Output, Stdio};

use acceptance::{Need, Test, without_developers_own};
use libtest_mimic::Arguments;
use local_redis::Signal;
use redis::{Connection, TypedCommands};

const BESIDE_REDIS: &[Test] = &[
    ("every_count", counts::every_count),
    ("markdown_is_one_line_per_row", counts::markdown_is_one_line_per_row),
    ("the_lesson_has_this_table", counts::the_lesson_has_this_table),
    ("the_terminal_table_fits_80_columns", counts::the_terminal_table_fits_80_columns),
    ("touches_only_its_own_prefix", keys::touches_only_its_own_prefix),
    ("several_at_once_on_one_server", keys::several_at_once_on_one_server),
    ("ctrl_c_removes_the_keys", || keys::interrupted(("stream", ""), Signal::INT)),
    ("sigterm_removes_the_keys", || {
        keys::interrupted(("processing", "not dealt with"), Signal::TERM)
    }),
    ("an_error_removes_the_keys", keys::an_error_removes_the_keys),
    ("says_which_keys_it_could_not_remove", keys::says_which_keys_it_could_not_remove),
    ("says_what_failed_before_the_keys_stayed", keys::says_what_failed_before_the_keys_stayed),
    ("a_server_without_the_commands", servers::a_server_without_the_commands),
];
const WITHOUT: &[Test] = &[
    ("without_any_server", servers::without_any_server),
    ("never_shows_a_password", servers::never_shows_a_password),
];

fn main() -> ExitCode {
    let trials = |need: Need, tests: &[Test]| -> Vec<_> {
        let trial = |&(name, test): &Test| {
            need.trial(name, move || {
                test();
                Ok(())
            })
        };
        tests.iter().map(trial).collect()
    };
    let tests = [trials(Need::real_redis(), BESIDE_REDIS), trials(Need::nothing(), WITHOUT)];
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().flatten().collect()).exit_code()
}

fn compare(arguments: &[&str]) -> Command {
    let mut command = without_developers_own(Command::new(env!("CARGO_BIN_EXE_compare")));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// All keys and what they hold.
fn everything(connection: &mut Connection) -> BTreeMap<String, Vec<u8>> {
    let keys = connection.keys("*").unwrap();
    let dump = |key: String| {
        let value = redis::cmd("DUMP").arg(&key).query(connection).unwrap();
        (key, value)
    };
    keys.into_iter().map(dump).collect()
}
