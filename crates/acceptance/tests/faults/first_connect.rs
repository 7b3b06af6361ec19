//! The first connect finds no Redis, or another kind of server. The service ends at once, with one
//! clear line.

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

/// A server that is no Redis: it does this with each connection.
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

/// Reads the client's first packet, sends this answer, and then nothing more.
fn answer(mut stream: TcpStream, answer: &[u8]) {
    let _ = stream.read(&mut [0; 1024]);
    // The client may have gone.
    let _ = stream.write_all(answer);
    hold(stream);
}

/// Sends this answer to each packet of the client.
fn answer_each(mut stream: TcpStream, answer: &[u8]) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
        let _ = stream.write_all(answer);
    }
}

/// Keeps the connection open as long as the client does.
fn hold(mut stream: TcpStream) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
}

/// Each service prints this error, perhaps with a hint on a second line, and ends with 1.
#[track_caller]
fn all_print(address: impl std::fmt::Display, error: &str) {
    let start = Instant::now();
    let services = ["publisher", "subscriber", "pattern-subscriber"].map(|service| {
        let mut command = service_command(service);
        command.env("REDIS_URL", format!("redis://me:s3cret@{address}"));
        Terminal::start_command(&mut command)
    });
    for service in services {
        let ended = service.end().with(1);
        assert!(start.elapsed() < Duration::from_secs(3), "after {:?}", start.elapsed());
        prints_error(&ended, error);
    }
}

/// The service printed nothing but this error, and perhaps a hint. The password is in neither.
#[track_caller]
pub(crate) fn prints_error(ended: &Ended, error: &str) {
    assert_eq!(ended.stdout, [""; 0]);
    let first = ended.stderr.first().expect("stderr is empty");
    assert!(first.starts_with(&format!("error: {error}")), "{ended:#?}");
    let hint = ended.stderr.get(1).is_none_or(|line| line.starts_with("  hint: "));
    assert!(hint && ended.stderr.len() <= 2, "{ended:#?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:#?}");
}

fn speaks_http() {
    let address = stranger(|stream| {
        answer(stream, b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n");
    });
    all_print(address, &format!("{address} does not speak Redis's protocol RESP3"));
}

fn closes_at_once() {
    let before_it_reads = stranger(drop);
    let after_reading = stranger(|mut stream| drop(stream.read(&mut [0; 1024])));
    for address in [before_it_reads, after_reading] {
        all_print(address, &format!("no Redis at {address}: it closed the connection at once"));
    }
}

fn garbage() {
    let words = stranger(|stream| answer(stream, b"220 mail.example.org ESMTP\r\n"));
    let alert = stranger(|stream| answer(stream, b"\x15\x03\x01\0\x02\x02\x16"));
    let nested = stranger(|stream| answer(stream, &b"*1\r\n".repeat(10_000)));
    let wrong_length = stranger(|stream| answer(stream, b"*x\r\n"));
    // The redis crate reads these two answers as a successful login.
    let nothing = stranger(|stream| answer_each(stream, b"$-1\r\n"));
    let polite = stranger(|stream| answer_each(stream, b"+OK\r\n"));
    for address in [words, alert, nested, wrong_length, nothing, polite] {
        all_print(address, &format!("{address} does not speak Redis's protocol RESP3"));
    }
}

fn never_answers() {
    let address = stranger(hold);
    all_print(address, &format!("no Redis at {address}: no answer within 2s"));
}

/// The service must not reserve memory for an announced length: it would run out of memory.
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
        all_print(address, &not_resp3(address, reason));
    }
    all_print(no_line_end, &format!("no Redis at {no_line_end}: no answer within 2s"));
}

/// Like a firewall that drops packets. This listener never accepts a connection, so its queue fills
/// up, and the system drops the SYN of every further client.
fn swallows_the_first_packet() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue has no end");
    }
    all_print(address, &format!("no Redis at {address}: no answer within 2s"));
}

fn no_such_name() {
    all_print("no-such-host.invalid", "no Redis at no-such-host.invalid:6379: ");
}

/// Redis 5 repeats the arguments of an unknown command, the password included.
fn too_old_for_resp3() {
    let address = stranger(|stream| {
        let error = "-ERR unknown command `HELLO`, with args beginning with: \
                     `3`, `AUTH`, `me`, `s3cret`, \r\n";
        answer(stream, error.as_bytes());
    });
    all_print(address, &not_resp3(address, "it does not know HELLO"));
    hints(address, Some("use Redis 6 or later; a proxy in between must pass on HELLO 3"));
}

/// Redis 6 answers so to an unknown version, and a proxy may answer so to version 3.
fn no_proto() {
    let address = stranger(|stream| answer(stream, b"-NOPROTO unsupported protocol version\r\n"));
    all_print(address, &not_resp3(address, "it answers NOPROTO to HELLO 3"));
    hints(address, Some("use Redis 6 or later; a proxy in between must pass on HELLO 3"));
}

/// The hint at TLS appears only if the first byte is none with which Redis begins an answer.
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

/// A real Redis without HELLO, whose error has other quotation marks.
fn does_not_know_hello() {
    let redis = redis_with(&["--rename-command", "HELLO", ""]);
    let address = format!("127.0.0.1:{}", redis.port());
    all_print(&address, &format!("{address} does not speak Redis's protocol RESP3"));
}

fn wrong_or_no_password() {
    let redis = redis_with(&["--requirepass", "right"]);
    let address = format!("127.0.0.1:{}", redis.port());
    all_print(&address, &format!("Redis at {address} refused the connection: WRONGPASS"));
    let ended = Terminal::run(&redis, "subscriber").end().with(1);
    prints_error(&ended, &format!("Redis at {address} refused the connection: NOAUTH"));
}
