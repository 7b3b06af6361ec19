//! The examples for adopters, run as programs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, ChildStdout, Stdio};

use acceptance::{PATIENCE, Terminal, connection, eventually, example_command, publish};
use local_redis::{Leashed, LocalRedis};
use redis::Commands;

/// A browser that reads the stream of events over a real socket.
struct Browser(Lines<BufReader<TcpStream>>);

impl Browser {
    fn open(address: &str) -> Browser {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut browser = Browser(BufReader::new(stream).lines());
        assert_eq!(browser.line(), "HTTP/1.1 200 OK");
        browser.sees("content-type: text/event-stream");
        while !browser.line().is_empty() {} // the other headers
        browser
    }

    fn line(&mut self) -> String {
        self.0.next().expect("the stream ended").unwrap()
    }

    /// Some line is this one; earlier ones are passed over.
    fn sees(&mut self, line: &str) {
        while self.line() != line {}
    }
}

#[test]
fn server_sent_events_reach_every_browser() {
    let mut redis = LocalRedis::start().unwrap();
    let mut command = example_command("server_sent_events");
    command.args(["--listen", "127.0.0.1:0"]).env("REDIS_URL", redis.url());
    let server = Terminal::start_command(&mut command);
    let line = server.line();
    let address = line.strip_prefix("Listening on http://").unwrap();

    let mut browsers = [Browser::open(address), Browser::open(address)];
    assert_eq!(publish(&redis, b"notifications", b"New user\nregistered!"), 1);
    for browser in &mut browsers {
        browser.sees(r"data: New user\nregistered!");
    }

    redis.kill().unwrap();
    browsers.iter_mut().for_each(|browser| browser.sees("event: disconnected"));
    redis.restart().unwrap();
    browsers.iter_mut().for_each(|browser| browser.sees("event: reconnected"));
    eventually("it is subscribed again", || publish(&redis, b"notifications", b"back") == 1);
    browsers.iter_mut().for_each(|browser| browser.sees("data: back"));

    // Open streams do not keep it from ending.
    server.ctrl_c().with(0);
    for browser in &mut browsers {
        assert!(browser.0.by_ref().all(|line| line.is_ok()), "the stream does not end properly");
    }
}

/// The near-cache, asked for keys through its stdin.
struct Cache {
    _process: Leashed,
    keys: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Cache {
    fn get(&mut self, key: &str) -> String {
        writeln!(self.keys, "{key}").unwrap();
        self.answers.next().expect("it ended").unwrap()
    }

    #[track_caller]
    fn comes_to_say(&mut self, answer: &str) {
        eventually(answer, || self.get("greeting") == answer);
    }
}

#[test]
fn a_near_cache_forgets_in_time() {
    let mut redis = LocalRedis::start().unwrap();
    let set = |redis: &LocalRedis, value: &str| {
        connection(redis).set::<_, _, ()>("greeting", value).unwrap();
    };
    set(&redis, "hello");
    let mut command = example_command("near_cache");
    command.env("REDIS_URL", redis.url()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Leashed::spawn(&mut command).unwrap();
    let keys = process.child.stdin.take().unwrap();
    let answers = BufReader::new(process.child.stdout.take().unwrap()).lines();
    let mut cache = Cache { _process: process, keys, answers };

    cache.comes_to_say("hello (from memory)");
    set(&redis, "bye");
    assert_eq!(cache.get("greeting"), "hello (from memory)"); // nobody has told it
    publish(&redis, b"changed", b"greeting");
    cache.comes_to_say("bye (from Redis)");
    cache.comes_to_say("bye (from memory)");

    // A change that no message tells of: the outage itself makes it forget.
    redis.kill().unwrap();
    eventually("it has forgotten", || !cache.get("greeting").contains("from memory"));
    redis.restart().unwrap();
    set(&redis, "back");
    cache.comes_to_say("back (from memory)");
}
