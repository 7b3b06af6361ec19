//! The keys: only its own, and none of them stays.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, Stdio};

use acceptance::{PATIENCE, connection, eventually, redis};
use local_redis::{Leashed, LocalRedis, Signal};
use redis::{Connection, TypedCommands};

use crate::{compare, everything, succeeds, text};

/// Redis itself watches over it: this user has a right to keys and channels of the prefix only.
pub(crate) fn touches_only_its_own_prefix() {
    let (redis, mut connection) = start();
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

pub(crate) fn several_at_once_on_one_server() {
    let (redis, mut connection) = start();
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

pub(crate) fn interrupted(when: (&str, &str), signal: Signal) {
    let (redis, mut connection) = start();
    connection.set("foreign", "1").unwrap();
    let mut running = Running::held_with(when, &redis, &mut connection);

    running.process.signal(signal);
    running.says("Interrupted: removing the keys ...");
    client(&mut connection, &["UNPAUSE"]);
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert_eq!(everything(&mut connection).into_keys().collect::<Vec<_>>(), ["foreign"]);
}

pub(crate) fn an_error_removes_the_keys() {
    let (redis, mut connection) = start();
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

pub(crate) fn says_which_keys_it_could_not_remove() {
    let (redis, mut connection) = start();
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

pub(crate) fn says_what_failed_before_the_keys_stayed() {
    let (mut redis, mut connection) = start();
    let running = Running::held_with(("queue", ""), &redis, &mut connection);
    redis.kill().unwrap();
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(1), "{stderr}");
    let (_, what) = stderr.split_once("cannot remove the keys ").expect(&stderr);
    assert!(what.contains(", after this: List: "), "{stderr}");
}

/// `cargo compare` that is in the middle of an experiment and can't go on: Redis holds back every
/// command that writes.
struct Running {
    process: Leashed,
    stderr: BufReader<ChildStderr>,
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
        let stderr = BufReader::new(process.child.stderr.take().unwrap());
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
        self.process.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (status.code(), stdout, stderr)
    }
}

fn start() -> (LocalRedis, Connection) {
    let redis = redis();
    let connection = connection(&redis);
    (redis, connection)
}

fn client(connection: &mut Connection, arguments: &[&str]) {
    redis::cmd("CLIENT").arg(arguments).exec(connection).unwrap();
}
