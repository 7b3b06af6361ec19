//! The first connect: to something that is no Redis, or to nothing. One clear line, at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use acceptance::{Ended, Terminal, Test, redis_with, service_command};

pub(crate) const FAULTS: &[Test] = &[
    ("first_connect::speaks_http", speaks_http),
    ("first_connect::closes_at_once", closes_at_once),
    ("first_connect::garbage", garbage),
    ("first_connect::never_answers", never_answers),
    ("first_connect::no_end_of_an_answer", no_end_of_an_answer),
    ("first_connect::swallows_the_first_packet", swallows_the_first_packet),
    ("first_connect::no_such_name", no_such_name),
    ("first_connect::too_old_for_resp3", too_old_for_resp3),
    ("first_connect::does_not_know_hello", does_not_know_hello),
    ("first_connect::no_proto", no_proto),
    ("first_connect::hints_at_tls", hints_at_tls),
    ("first_connect::wrong_or_no_password", wrong_or_no_password),
];

/// Something that listens and does this with each connection.
fn stranger(with_each: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || with_each(stream.unwrap()));
        }
    });
    address
}

/// Waits for what the client says first, then says this and nothing more.
fn answer(mut stream: TcpStream, answer: &[u8]) {
    let _ = stream.read(&mut [0; 1024]);
    // The client may have gone.
    let _ = stream.write_all(answer);
    hold(stream);
}

/// Says this again and again, whatever the client says.
fn answer_each(mut stream: TcpStream, answer: &[u8]) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
        let _ = stream.write_all(answer);
    }
}

/// Keeps the connection open as long as the client does.
fn hold(mut stream: TcpStream) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
}

/// Each service says this as its first line, perhaps a hint as its second, and ends with 1.
#[track_caller]
fn all_say(address: impl std::fmt::Display, error: &str) {
    let start = Instant::now();
    let services = ["publisher", "subscriber", "pattern-subscriber"].map(|service| {
        let mut command = service_command(service);
        command.env("REDIS_URL", format!("redis://me:s3cret@{address}"));
        Terminal::start_command(&mut command)
    });
    for service in services {
        let ended = service.end().with(1);
        assert!(start.elapsed() < Duration::from_secs(3), "after {:?}", start.elapsed());
        says(&ended, error);
    }
}

#[track_caller]
pub(crate) fn says(ended: &Ended, error: &str) {
    assert_eq!(ended.stdout, [""; 0]);
    let first = ended.stderr.first().expect("it says nothing");
    assert!(first.starts_with(&format!("error: {error}")), "{ended:#?}");
    let hint = ended.stderr.get(1).is_none_or(|line| line.starts_with("  hint: "));
    assert!(hint && ended.stderr.len() <= 2, "{ended:#?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:#?}");
}

fn speaks_http() {
    let address = stranger(|stream| {
        answer(stream, b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n");
    });
    all_say(address, &format!("{address} does not speak Redis's protocol RESP3"));
}

fn closes_at_once() {
    let before_it_reads = stranger(drop);
    let after_reading = stranger(|mut stream| drop(stream.read(&mut [0; 1024])));
    for address in [before_it_reads, after_reading] {
        all_say(address, &format!("no Redis at {address}: it closed the connection at once"));
    }
}

fn garbage() {
    let words = stranger(|stream| answer(stream, b"220 mail.example.org ESMTP\r\n"));
    let alert = stranger(|stream| answer(stream, b"\x15\x03\x01\0\x02\x02\x16"));
    let nested = stranger(|stream| answer(stream, &b"*1\r\n".repeat(10_000)));
    let wrong_length = stranger(|stream| answer(stream, b"*x\r\n"));
    // What the redis crate takes for a login.
    let nothing = stranger(|stream| answer_each(stream, b"$-1\r\n"));
    let polite = stranger(|stream| answer_each(stream, b"+OK\r\n"));
    for address in [words, alert, nested, wrong_length, nothing, polite] {
        all_say(address, &format!("{address} does not speak Redis's protocol RESP3"));
    }
}

fn never_answers() {
    let address = stranger(hold);
    all_say(address, &format!("no Redis at {address}: no answer within 2s"));
}

/// What is announced must not be believed: memory for it would be the end of the process.
fn no_end_of_an_answer() {
    let long = stranger(|stream| answer(stream, b"$9223372036854775807\r\nx"));
    let many = stranger(|stream| answer(stream, b"*9223372036854775807\r\n:1\r\n"));
    let map = stranger(|stream| answer(stream, b"%4611686018427387903\r\n:1\r\n"));
    let no_line_end = stranger(|mut stream| {
        while stream.write_all(b"+++").is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    for (address, reason) in [
        (long, "it announced more than 512 MB"),
        (many, "it announced a list of more than 1,000,000 values"),
        (map, "it announced a list of more than 1,000,000 values"),
    ] {
        all_say(address, &not_resp3(address, reason));
    }
    all_say(no_line_end, &format!("no Redis at {no_line_end}: no answer within 2s"));
}

/// As a firewall that drops packets does. The queue of a listener that accepts nobody is full
/// after a while, and then the system drops the SYN of whoever comes next.
fn swallows_the_first_packet() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue has no end");
    }
    all_say(address, &format!("no Redis at {address}: no answer within 2s"));
}

fn no_such_name() {
    all_say("no-such-host.invalid", "no Redis at no-such-host.invalid:6379: ");
}

/// Redis 5 repeats what it did not understand, the password among it.
fn too_old_for_resp3() {
    let address = stranger(|stream| {
        let error = "-ERR unknown command `HELLO`, with args beginning with: \
                     `3`, `AUTH`, `me`, `s3cret`, \r\n";
        answer(stream, error.as_bytes());
    });
    all_say(address, &not_resp3(address, "it does not know HELLO"));
    hints(address, Some("use Redis 6 or later; a proxy in between must pass on HELLO 3"));
}

/// Redis 6 to an unknown version, or a proxy to this one.
fn no_proto() {
    let address = stranger(|stream| answer(stream, b"-NOPROTO unsupported protocol version\r\n"));
    all_say(address, &not_resp3(address, "it answers NOPROTO to HELLO 3"));
    hints(address, Some("use Redis 6 or later; a proxy in between must pass on HELLO 3"));
}

/// TLS is a guess for what begins as no answer of Redis does, and for nothing else.
fn hints_at_tls() {
    const TLS: &str = "is it a Redis behind TLS? Its URL begins with rediss://";
    let alert = stranger(|stream| answer(stream, b"\x15\x03\x01\0\x02\x02\x16"));
    hints(alert, Some(TLS));
    let long = stranger(|stream| answer(stream, b"$9223372036854775807\r\nx"));
    hints(long, None);
    let polite = stranger(|stream| answer_each(stream, b"+OK\r\n"));
    hints(polite, None);
}

fn not_resp3(address: SocketAddr, reason: &str) -> String {
    format!("{address} does not speak Redis's protocol RESP3 (Redis 6 or later does): {reason}")
}

#[track_caller]
fn hints(address: SocketAddr, hint: Option<&str>) {
    let mut command = service_command("subscriber");
    command.env("REDIS_URL", format!("redis://me:s3cret@{address}"));
    let ended = Terminal::start_command(&mut command).end().with(1);
    let hint = hint.map(|hint| format!("  hint: {hint}"));
    assert_eq!(ended.stderr.get(1), hint.as_ref(), "{ended:#?}");
}

/// The same of a real one, which has other quotation marks.
fn does_not_know_hello() {
    let redis = redis_with(&["--rename-command", "HELLO", ""]);
    let address = format!("127.0.0.1:{}", redis.port());
    all_say(&address, &format!("{address} does not speak Redis's protocol RESP3"));
}

fn wrong_or_no_password() {
    let redis = redis_with(&["--requirepass", "right"]);
    let address = format!("127.0.0.1:{}", redis.port());
    all_say(&address, &format!("Redis at {address} refused the connection: WRONGPASS"));
    let ended = Terminal::run(&redis, "subscriber").end().with(1);
    says(&ended, &format!("Redis at {address} refused the connection: NOAUTH"));
}
