//! Private servers (`redis-server` or `valkey-server`), and commands to them.

use local_redis::{LocalRedis, Server};
use redis::{Connection, FromRedisValue, Value};

use crate::{connection, eventually};

/// Starts a real Redis for one test.
pub fn redis() -> LocalRedis {
    redis_with(&[])
}

/// The same, with further options of its command line.
pub fn redis_with(options: &[&str]) -> LocalRedis {
    LocalRedis::start_with(Server::real().unwrap(), options).unwrap()
}

/// The URL with this login, such as `user:password`.
pub fn url_as(redis: &LocalRedis, login: &str) -> String {
    redis.url().replace("://", &format!("://{login}@"))
}

/// Starts a replica, and waits until it follows the primary.
pub fn replica_of(primary: &LocalRedis) -> LocalRedis {
    let of = format!("127.0.0.1 {}", primary.port());
    // "on-empty-db" loads from the socket: otherwise the data would go through a file in the
    // folder of the tests.
    let replica = redis_with(&["--replicaof", &of, "--repl-diskless-load", "on-empty-db"]);
    eventually("the replica follows", || {
        ask::<String>(&replica, "INFO replication").contains("master_link_status:up")
    });
    replica
}

/// Sends a command, given in words, on a new connection.
pub fn ask<Answer: FromRedisValue>(redis: &LocalRedis, command: &str) -> Answer {
    ask_on(&mut connection(redis), command)
}

/// The same on this connection.
pub fn ask_on<Answer: FromRedisValue>(connection: &mut Connection, command: &str) -> Answer {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>()).query(connection).unwrap()
}

/// Sends a command, and ignores the answer.
pub fn tell(redis: &LocalRedis, command: &str) {
    ask::<Value>(redis, command);
}

/// A number in the statistics of a command: `command_stat(&redis, "subscribe", "calls")`.
pub fn command_stat(redis: &LocalRedis, command: &str, field: &str) -> u64 {
    let stats: String = ask(redis, "INFO commandstats");
    let prefix = format!("cmdstat_{command}:");
    let Some(line) = stats.lines().find_map(|line| line.strip_prefix(&prefix)) else { return 0 };
    let field = format!("{field}=");
    line.split(',').find_map(|stat| stat.strip_prefix(&field)).unwrap().parse().unwrap()
}
