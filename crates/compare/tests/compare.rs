//! `cargo compare` as a process, beside a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Instant;

use acceptance::{Need, PATIENCE, connection, eventually, without_developers_own};
use libtest_mimic::{Arguments, Trial};
use local_redis::{Leashed, LocalRedis, Server, Signal};
use redis::{Connection, TypedCommands};
use serde_json::{Value, json};

/// The page that shows the table, between `<!-- compare -->` and `<!-- /compare -->`.
const LESSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/6-list-or-stream.md");

fn main() -> ExitCode {
    let beside_redis = [
        ("every_count", every_count as fn()),
        ("markdown_is_one_line_per_row", markdown_is_one_line_per_row),
        ("the_lesson_has_this_table", the_lesson_has_this_table),
        ("the_terminal_table_fits_80_columns", the_terminal_table_fits_80_columns),
        ("touches_only_its_own_prefix", touches_only_its_own_prefix),
        ("several_at_once_on_one_server", several_at_once_on_one_server),
        ("ctrl_c_removes_the_keys", || interrupted(("stream", ""), Signal::INT)),
        ("sigterm_removes_the_keys", || {
            interrupted(("processing", "not dealt with"), Signal::TERM)
        }),
        ("an_error_removes_the_keys", an_error_removes_the_keys),
        ("says_which_keys_it_could_not_remove", says_which_keys_it_could_not_remove),
        ("says_what_failed_before_the_keys_stayed", says_what_failed_before_the_keys_stayed),
        ("a_server_without_the_commands", a_server_without_the_commands),
    ];
    let without = [
        ("without_any_server", without_any_server as fn()),
        ("never_shows_a_password", never_shows_a_password),
    ];
    let run = |test: fn()| {
        move || {
            test();
            Ok(())
        }
    };
    let need = Need::real_redis();
    let beside_redis = beside_redis.map(|(name, test)| need.trial(name, run(test)));
    let without = without.map(|(name, test)| Trial::test(name, run(test)));
    let trials = beside_redis.into_iter().chain(without).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn every_count() {
    let start = Instant::now();
    let output = succeeds(&mut compare(&["--json"]));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());

    let rows: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut expected = vec![
        ("absent", json!({"received": 0}), json!({"received": 5}), json!({"received": 5})),
        (
            "consumers",
            json!({"per_consumer": [10, 10]}),
            json!({"per_consumer": [5, 5]}),
            json!({"per_consumer": [5, 5]}),
        ),
        (
            "groups",
            json!({"per_group": [[8, 8], [8, 8]]}),
            json!({"per_group": [[2, 2], [2, 2]]}),
            json!({"per_group": [[4, 4], [4, 4]]}),
        ),
        (
            "death",
            json!({"after_death": {"waiting": 0, "claiming": 0}}),
            json!({"after_death": {"waiting": 0, "claiming": 1}}),
            json!({"after_death": {"waiting": 0, "claiming": 1}}),
        ),
        ("history", json!({"received": 0}), json!({"received": 0}), json!({"received": 10})),
    ];
    // How many bytes 20 messages take is Redis's business.
    let bytes = &rows[5]["stream"]["left"]["bytes"];
    assert!(bytes.as_u64().unwrap() > 20 * "message 30".len() as u64, "{bytes}");
    let nothing = json!({"left": {"keys": 0, "messages": 0, "bytes": 0}});
    let trimmed = json!({"left": {"keys": 1, "messages": 20, "bytes": bytes}});
    expected.push(("left", nothing.clone(), nothing, trimmed));

    for (row, (experiment, pubsub, list, stream)) in rows.iter().zip(&expected) {
        assert_eq!(row["experiment"], *experiment);
        assert_eq!(row["pubsub"], *pubsub, "{experiment}");
        assert_eq!(row["list"], *list, "{experiment}");
        assert_eq!(row["stream"], *stream, "{experiment}");
        assert!(row["follows"].as_str().unwrap().ends_with('.'), "{row}");
    }
    assert_eq!(rows.len(), expected.len());

    let progress: Vec<_> = text(&output.stderr).lines().map(str::to_owned).collect();
    assert_eq!(progress.len(), rows.len(), "{progress:#?}");
    for (number, (line, row)) in (1..).zip(progress.iter().zip(&rows)) {
        assert_eq!(*line, format!("{number}/6 {} ...", row["question"].as_str().unwrap()));
    }
}

fn markdown_is_one_line_per_row() {
    let table = cells(text(&succeeds(&mut compare(&["--markdown"])).stdout));
    assert_eq!(table[0], ["", "Pub/Sub", "List", "Stream", "What follows"]);
    assert_eq!(table[1], ["-"; 5]);
    assert_eq!(table[3][1..4], ["10 + 10", "5 + 5", "5 + 5"]);
    assert_eq!(table.len(), 2 + 6);
    for row in &table {
        assert_eq!(row.len(), 5, "{row:?}");
    }
}

fn the_lesson_has_this_table() {
    let lesson = std::fs::read_to_string(LESSON).unwrap();
    let (_, rest) = lesson.split_once("<!-- compare -->\n").expect("no <!-- compare -->");
    let (table, _) = rest.split_once("<!-- /compare -->").expect("no <!-- /compare -->");
    let printed = succeeds(&mut compare(&["--markdown"]));
    assert_eq!(cells(table.trim()), cells(text(&printed.stdout)));
}

fn the_terminal_table_fits_80_columns() {
    let output = succeeds(&mut compare(&[]));
    let (table, follows) = text(&output.stdout).split_once("\n\nWhat follows:\n").unwrap();
    for line in table.lines() {
        assert_eq!(line.chars().count(), 80, "{line}");
    }
    assert_eq!(follows.lines().count(), 6);
    assert!(follows.starts_with("1. "), "{follows}");
}

/// Redis itself watches over it: this user has a right to keys and channels of the prefix only.
fn touches_only_its_own_prefix() {
    let (redis, mut connection) = start(&[]);
    let rights = "on >secret ~compare:* &compare:* +@all";
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("guest").arg(rights.split(' ').collect::<Vec<_>>());
    acl.exec(&mut connection).unwrap();
    // Somebody else's, some of them named as if they were ours.
    connection.lpush("queue", "1").unwrap();
    connection.lpush("compare:queue", "1").unwrap();
    connection.set("compare:", "1").unwrap();
    connection.xadd("compare:00000000:absent:stream", "1-1", &[("text", "1")]).unwrap();
    let before = everything(&mut connection);

    let url = redis.url().replace("redis://", "redis://guest:secret@");
    let output = succeeds(compare(&["--json"]).env("REDIS_URL", url));
    assert_eq!(text(&output.stdout).lines().count(), 6);
    assert_eq!(everything(&mut connection), before);
}

fn several_at_once_on_one_server() {
    let (redis, mut connection) = start(&[]);
    let run = || compare(&["--json", "--redis-url", &redis.url()]).output().unwrap();
    let outputs = std::thread::scope(|scope| {
        [(); 3].map(|()| scope.spawn(run)).map(|running| running.join().unwrap())
    });
    for output in &outputs {
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stdout), text(&outputs[0].stdout));
    }
    assert_eq!(everything(&mut connection).len(), 0);
}

fn interrupted(when: (&str, &str), signal: Signal) {
    let (redis, mut connection) = start(&[]);
    connection.set("foreign", "1").unwrap();
    let mut running = Running::held_with(when, &redis, &mut connection);

    running.process.signal(signal);
    running.says("Interrupted: removing the keys ...");
    client(&mut connection, &["UNPAUSE"]);
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert_eq!(everything(&mut connection).into_keys().collect::<Vec<_>>(), ["foreign"]);
}

fn an_error_removes_the_keys() {
    let (redis, mut connection) = start(&[]);
    connection.set("foreign", "1").unwrap();
    let running = Running::held_with(("queue", ""), &redis, &mut connection);

    // Every connection it has, also the one over which it makes and removes keys.
    client(&mut connection, &["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    client(&mut connection, &["UNPAUSE"]);
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("error: "), "{stderr}");
    assert_eq!(everything(&mut connection).into_keys().collect::<Vec<_>>(), ["foreign"]);
}

fn says_which_keys_it_could_not_remove() {
    let (redis, mut connection) = start(&[]);
    let mut running = Running::held_with(("queue", ""), &redis, &mut connection);
    running.process.signal(Signal::INT);
    // Redis stays paused.
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(1), "{stderr}");
    let (_, rest) = stderr.split_once(": cannot remove the keys ").expect(&stderr);
    let (prefix, why) = rest.split_once('*').expect(&stderr);
    assert_eq!(why, ": timed out\n");
    for key in everything(&mut connection).into_keys() {
        assert!(key.starts_with(prefix), "{key}: {stderr}");
    }
}

fn says_what_failed_before_the_keys_stayed() {
    let (mut redis, mut connection) = start(&[]);
    let running = Running::held_with(("queue", ""), &redis, &mut connection);
    redis.kill().unwrap();
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(1), "{stderr}");
    let (_, what) = stderr.split_once("cannot remove the keys ").expect(&stderr);
    assert!(what.contains(", after this: List: "), "{stderr}");
}

fn a_server_without_the_commands() {
    let (redis, mut connection) =
        start(&["--rename-command", "BLMOVE", "", "--rename-command", "XAUTOCLAIM", ""]);
    let output = compare(&["--redis-url", &redis.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let at = format!("error: Redis at 127.0.0.1:{}: ", redis.port());
    let says = stderr.strip_prefix(&at).expect(stderr);
    assert!(says.starts_with("it lacks BLMOVE, XAUTOCLAIM\n  hint: install Redis"), "{says}");
    assert_eq!((output.stdout.len(), everything(&mut connection).len()), (0, 0));
}

fn without_any_server() {
    let clients = compare(&["clients", "--short"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(clients.status.code(), Some(1), "{clients:?}");
    let output = compare(&[]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("error: there is no redis-server"), "{stderr}");
    assert!(stderr.contains(" lacks BLMOVE, XGROUP, XREADGROUP, XACK, XAUTOCLAIM\n"), "{stderr}");
    assert!(stderr.contains("  hint: install Redis (Debian: apt install"), "{stderr}");
}

fn never_shows_a_password() {
    for (url, code, says) in [
        ("redis://user:secret@127.0.0.1:1", 1, "error: no Redis at 127.0.0.1:1: "),
        ("http://user:secret@localhost", 1, "error: not a Redis URL"),
    ] {
        let output = compare(&[]).env("REDIS_URL", url).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.starts_with(says) && !stderr.contains("secret"), "{stderr}");
    }
    let help = succeeds(compare(&["--help"]).env("REDIS_URL", "redis://user:secret@localhost"));
    assert!(text(&help.stdout).contains("REDIS_URL") && !text(&help.stdout).contains("secret"));
}

/// `cargo compare` that is in the middle of an experiment and can't go on: Redis holds back every
/// command that writes.
struct Running {
    process: Leashed,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Running {
    /// Lets it go on until there is a key with this in its name and that in its value.
    fn held_with(
        (name, value): (&str, &str),
        redis: &LocalRedis,
        connection: &mut Connection,
    ) -> Running {
        let found = |(key, dump): (&String, &Vec<u8>)| {
            key.contains(name) && String::from_utf8_lossy(dump).contains(value)
        };
        let hold = ["PAUSE", "60000", "WRITE"];
        client(connection, &hold);
        let mut command = compare(&["--redis-url", &redis.url()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Leashed::spawn(&mut command).unwrap();
        let stderr = BufReader::new(process.child().stderr.take().unwrap());
        eventually("it makes such a key", || {
            let is_there = everything(connection).iter().any(found);
            if !is_there {
                client(connection, &["UNPAUSE"]);
                client(connection, &hold);
            }
            is_there
        });
        Running { process, stderr }
    }

    fn says(&mut self, line: &str) {
        let mut lines = self.stderr.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|said| said == line), "it did not say '{line}'");
    }

    /// Exit status, and what is left of stdout and stderr.
    fn end(mut self) -> (Option<i32>, String, String) {
        let status = self.process.wait(PATIENCE).expect("it does not end");
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.process.child().stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (status.code(), stdout, stderr)
    }
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

fn start(options: &[&str]) -> (LocalRedis, Connection) {
    let server = Server::real().expect("no redis-server or valkey-server on the PATH");
    let redis = LocalRedis::start_with(server, options).unwrap();
    let connection = connection(&redis);
    (redis, connection)
}

fn client(connection: &mut Connection, arguments: &[&str]) {
    redis::cmd("CLIENT").arg(arguments).exec(connection).unwrap();
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

/// The cells of a Markdown table, without what differs between versions of Redis: the bytes, and
/// with them the width of their column.
fn cells(table: &str) -> Vec<Vec<String>> {
    let cell = |cell: &str| {
        let words: Vec<_> = cell.split_whitespace().collect();
        match words.as_slice() {
            [words @ .., bytes, "bytes"] if *bytes != "0" => format!("{} N bytes", words.join(" ")),
            [line] if line.chars().all(|character| character == '-') => "-".to_owned(),
            words => words.join(" "),
        }
    };
    let row = |line: &str| {
        let line = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        line.expect("no row of a table").split('|').map(cell).collect()
    };
    table.lines().map(row).collect()
}
