//! Passwords, and payloads that could harm a terminal.

use acceptance::*;
use local_redis::LocalRedis;

#[test]
fn a_password_is_never_shown() {
    for url in [
        "redis://user:s3cret@127.0.0.1:1",
        "redis://:s3cret@127.0.0.1:1/x",
        "redis//:s3cret@127.0.0.1",
        "s3cret",
    ] {
        for arguments in [&["--help"][..], &[], &["--redis-url", url]] {
            let mut command = service_command("subscriber");
            command.env("RUST_LOG", "trace").env("REDIS_URL", url).args(arguments);
            let ended = Terminal::start_command(&mut command).end();
            assert!(!format!("{ended:?}").contains("s3cret"), "{url}: {ended:#?}");
        }
    }
}

#[test]
fn no_payload_can_harm_a_terminal_or_stop_a_subscriber() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = subscriber(&redis);
    let large = "x".repeat(1024 * 1024);
    for (payload, shown) in [
        (&b""[..], ""),
        (b"\x1b[2J\x1b]0;title\x07", r"\u{1b}[2J\u{1b}]0;title\u{7}"),
        (b"two\r\nlines", r"two\r\nlines"),
        ("\u{202e}drawkcab".as_bytes(), r"\u{202e}drawkcab"),
        (b"\xff\xfe\x00", r"\xff\xfe\u{0}"),
        (large.as_bytes(), &large),
    ] {
        publish(&redis, b"notifications", payload);
        subscriber.shows(&format!("Received on channel 'notifications': {shown}"));
    }
    // Publishers choose channel names too, so these are escaped as well.
    let everything = Terminal::run(&redis, "pattern-subscriber *");
    everything.line();
    everything.line();
    publish(&redis, b"a\x1b\n\xff", b"x");
    everything.shows(r"Pattern '*' matched channel 'a\u{1b}\n\xff': x");
}
