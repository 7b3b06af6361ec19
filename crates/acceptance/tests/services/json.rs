//! The lines of `--json`.

use acceptance::*;
use local_redis::LocalRedis;

#[test]
fn json_has_the_keys_of_redis_py() {
    let redis = LocalRedis::start().unwrap();
    let subscriber = Terminal::run(&redis, "subscriber --json");
    subscriber.shows(r#"{"type":"subscribe","pattern":null,"channel":"notifications","data":1}"#);
    publish(&redis, b"notifications", b"Hello");
    subscriber
        .shows(r#"{"type":"message","pattern":null,"channel":"notifications","data":"Hello"}"#);
    // The events are the whole output: no greeting and no goodbye.
    assert_eq!(
        subscriber.ctrl_c().with(0).stdout,
        [r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#]
    );
}

#[test]
fn json_of_patterns_and_of_bytes_that_are_not_utf_8() {
    let redis = LocalRedis::start().unwrap();
    let patterns = Terminal::run(&redis, "pattern-subscriber --json");
    patterns.shows(r#"{"type":"psubscribe","pattern":"news:*","channel":null,"data":1}"#);
    publish(&redis, b"news:a", b"\xff");
    patterns
        .shows(r#"{"type":"pmessage","pattern":"news:*","channel":"news:a","data_base64":"/w=="}"#);
    assert_eq!(
        patterns.ctrl_c().with(0).stdout,
        [r#"{"type":"punsubscribe","pattern":"news:*","channel":null,"data":0}"#]
    );
}

#[test]
fn json_of_an_outage() {
    let mut redis = LocalRedis::start().unwrap();
    for (service, confirmed, goodbye) in [
        (
            "subscriber",
            r#"{"type":"subscribe","pattern":null,"channel":"notifications","data":1}"#,
            r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#,
        ),
        (
            "pattern-subscriber",
            r#"{"type":"psubscribe","pattern":"news:*","channel":null,"data":1}"#,
            r#"{"type":"punsubscribe","pattern":"news:*","channel":null,"data":0}"#,
        ),
    ] {
        let service = Terminal::run(&redis, &format!("{service} --json"));
        service.shows(confirmed);
        redis.restart().unwrap();
        service.shows(r#"{"type":"disconnected","reason":"Redis closed the connection"}"#);
        let reconnected = service.line();
        let rest = reconnected.strip_prefix(r#"{"type":"reconnected","gap_ms":"#).unwrap();
        assert!(rest.contains(r#","attempts":"#), "{reconnected}");
        service.shows(confirmed);
        assert_eq!(service.ctrl_c().with(0).stdout, [goodbye]);
    }
}
