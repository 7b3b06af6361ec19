//! A private server comes, goes and comes back, and never stays behind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use acceptance::eventually;
use local_redis::{Leashed, LocalRedis, PATIENCE, Signal};

fn ping(port: u16) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    socket.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[track_caller]
fn is_gone(port: u16) {
    let refuses = || TcpStream::connect(("127.0.0.1", port)).is_err();
    eventually(&format!("nothing listens on {port}"), refuses);
}

/// `cargo redis` on a port that is free, and its first line.
fn cargo_redis() -> (Leashed, BufReader<std::process::ChildStdout>, u16) {
    // A port on which a private server has just been is most likely still free.
    let port = LocalRedis::start().unwrap().port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-redis"));
    command.args(["--port", &port.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut redis = Leashed::spawn(&mut command).unwrap();
    let mut stdout = BufReader::new(redis.child.stdout.take().unwrap());
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
fn cargo_redis_ends_quietly_when_its_reader_has_gone() {
    let (mut redis, stdout, _) = cargo_redis();
    drop(stdout);
    redis.signal(Signal::INT);
    assert_eq!(redis.wait(PATIENCE).unwrap().code(), Some(0));
    let mut stderr = String::new();
    redis.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

/// A shell starts `cargo test &` with SIGINT ignored, and children inherit that.
#[test]
fn a_child_ends_by_ctrl_c_even_if_its_owner_ignores_it() {
    const IGNORED: &str = "SIGINT_IS_IGNORED";
    if std::env::var_os(IGNORED).is_none() {
        let this_test = "a_child_ends_by_ctrl_c_even_if_its_owner_ignores_it";
        let mut again = Command::new("sh");
        again.args(["-c", r#"trap '' INT; exec "$0" --exact "$1""#]);
        again.arg(std::env::current_exe().unwrap()).arg(this_test).env(IGNORED, "1");
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        return;
    }
    let mut child = Leashed::spawn(Command::new("sleep").arg("60")).unwrap();
    child.signal(Signal::INT);
    let status = child.wait(PATIENCE).expect("the child ignores SIGINT");
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()));
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
