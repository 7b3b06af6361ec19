//! A private server comes, goes and comes back, and never stays behind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_redis::{Leashed, LocalRedis, Signal};

const PATIENCE: Duration = Duration::from_secs(20);

fn ping(port: u16) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    socket.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[track_caller]
fn is_gone(port: u16) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(start.elapsed() < PATIENCE, "something still listens on {port}");
    }
}

/// `cargo redis` on a port that is free, and its first line.
fn cargo_redis() -> (Leashed, BufReader<std::process::ChildStdout>, u16) {
    // A port on which a private server has just been is most likely still free.
    let port = LocalRedis::start().unwrap().port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-redis"));
    command.args(["--port", &port.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut redis = Leashed::spawn(&mut command).unwrap();
    let mut stdout = BufReader::new(redis.child().stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.ends_with(&format!("127.0.0.1:{port}. Press Ctrl+C to stop it.\n")), "{line}");
    (redis, stdout, port)
}

#[test]
fn starts_restarts_on_the_same_port_and_ends_when_dropped() {
    let mut redis = LocalRedis::start().unwrap();
    let port = redis.port();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{port}"));
    assert_eq!(ping(port).unwrap(), "+PONG\r\n");
    redis.kill().unwrap();
    is_gone(port);
    redis.restart().unwrap();
    assert_eq!(ping(port).unwrap(), "+PONG\r\n");
    drop(redis);
    is_gone(port);
}

#[test]
fn a_port_that_was_taken_meanwhile_is_no_restart() {
    let mut redis = LocalRedis::start().unwrap();
    redis.kill().unwrap();
    is_gone(redis.port());
    let _somebody_else = std::net::TcpListener::bind(("127.0.0.1", redis.port())).unwrap();
    let error = redis.restart().unwrap_err().to_string();
    assert!(error.contains("did not start"), "{error}");
}

#[test]
fn many_at_once_get_ports_of_their_own() {
    let starts: Vec<_> = (0..4).map(|_| std::thread::spawn(LocalRedis::start)).collect();
    let servers: Vec<_> = starts.into_iter().map(|start| start.join().unwrap().unwrap()).collect();
    let mut ports: Vec<_> = servers.iter().map(LocalRedis::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
}

#[test]
fn cargo_redis_ends_with_ctrl_c() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut redis, mut stdout, port) = cargo_redis();
        assert_eq!(ping(port).unwrap(), "+PONG\r\n");
        redis.signal(signal);
        assert_eq!(redis.wait(PATIENCE).unwrap().code(), Some(0));
        is_gone(port);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "Stopped.\n");
    }
}

#[test]
fn a_killed_owner_leaves_no_server_behind() {
    let (mut redis, _stdout, port) = cargo_redis();
    redis.signal(Signal::KILL);
    redis.wait(PATIENCE).unwrap();
    is_gone(port);
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let redis = LocalRedis::start().unwrap();
    let taken = Command::new(env!("CARGO_BIN_EXE_local-redis"))
        .args(["--port", &redis.port().to_string()])
        .output()
        .unwrap();
    assert_eq!(taken.status.code(), Some(1));
    let stderr = String::from_utf8(taken.stderr).unwrap();
    assert!(stderr.contains(&format!("port {} is taken", redis.port())), "{stderr}");
}
