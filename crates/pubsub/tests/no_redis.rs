//! Servers that answer as no Redis does: at first, and later on a connection that was good.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod canned;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use canned::{HELLO, confirmation, serve};
use pubsub::{Error, Event, PubSub, Publisher};
use tokio::time::timeout;

/// What connecting may take, and one second for a busy machine.
const IN_TIME: Duration = Duration::from_secs(3);

#[track_caller]
fn is_not_resp3(error: Option<Error>, says: &str) {
    let Some(Error::NotResp3 { reason, .. }) = error else { panic!("{error:?}") };
    assert_eq!(reason, says);
}

#[tokio::test]
async fn no_resp3() {
    for (answer, says) in [
        ("-NOPROTO unsupported protocol version\r\n", "it answers NOPROTO to HELLO 3"),
        (
            "-NOPROTO sorry, this protocol version is not supported.\r\n",
            "it answers NOPROTO to HELLO 3",
        ),
        ("-ERR unknown command 'HELLO'\r\n", "it does not know HELLO"),
        (
            "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n",
            "it does not know HELLO",
        ),
        ("-ERR Unknown command HELLO 3 AUTH user s3cret\r\n", "it does not know HELLO"),
    ] {
        let url = serve(move |asked| if asked.is("HELLO") { answer } else { "+OK\r\n" }.into());
        is_not_resp3(PubSub::connect(&url).await.err(), says);
        is_not_resp3(Publisher::connect(&url).await.err(), says);
        let sharded = PubSub::builder(&url).sharded(true).connect().await;
        is_not_resp3(sharded.err(), says);
    }
}

/// It lets us in, and then says nothing more, whenever that begins.
#[tokio::test]
async fn falls_silent_at_the_first_connect() {
    for answers in 0..2 {
        let answered = Arc::new(AtomicUsize::new(0));
        let url = serve(move |_| match answered.fetch_add(1, Ordering::Relaxed) {
            number if number < answers => HELLO.to_vec(),
            _ => Vec::new(),
        });
        let start = Instant::now();
        let error = timeout(2 * IN_TIME, PubSub::connect(&url)).await.expect("it hangs").err();
        let Some(Error::Unreachable { reason, .. }) = error else { panic!("{error:?}") };
        assert_eq!(reason, "no answer within 2s");
        assert!(start.elapsed() < IN_TIME, "after {:?}", start.elapsed());
    }
}

/// Messages would be arrays, too, and look like answers.
#[tokio::test]
async fn confirms_as_in_resp2() {
    for (sharded, command) in [(false, "SUBSCRIBE"), (true, "SSUBSCRIBE")] {
        let url = serve(move |asked| match &asked.words[..] {
            [hello, ..] if hello == "HELLO" => HELLO.to_vec(),
            [subscribe, name] if subscribe == command => {
                let mut answer = confirmation(&command.to_lowercase(), name, 1);
                answer[0] = b'*';
                answer
            }
            _ => b"+PONG\r\n".to_vec(),
        });
        let pubsub = PubSub::builder(&url).sharded(sharded).connect().await.unwrap();
        let error = timeout(IN_TIME, pubsub.subscribe(["a"])).await.expect("it hangs").unwrap_err();
        let says = "it confirms as in RESP2, though it accepted RESP3";
        assert_eq!(error.to_string(), format!("Redis refused {command} 'a': {says}"));
    }
}

/// The channel is confirmed and brings a message, then the pattern fails: nobody must hear of
/// that attempt, neither the confirmation nor the message.
#[tokio::test]
async fn half_an_attempt_leaves_nothing_behind() {
    const FAILING: usize = 4;
    let url = serve(|asked| match &asked.words[..] {
        [hello, ..] if hello == "HELLO" => HELLO.to_vec(),
        [subscribe, name] if subscribe == "SUBSCRIBE" => {
            let mut answer = confirmation("subscribe", name, 1);
            let payload = asked.connection.to_string();
            let message = format!(">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n{payload}\r\n");
            answer.extend(message.bytes());
            answer
        }
        [psubscribe, name] if psubscribe == "PSUBSCRIBE" => match asked.connection {
            1..FAILING => b"-ERR not now\r\n".to_vec(),
            _ => confirmation("psubscribe", name, 2),
        },
        // Breaks the first connection.
        _ if asked.connection == 0 => b"?\r\n".to_vec(),
        _ => b"+PONG\r\n".to_vec(),
    });
    let pubsub = PubSub::connect(&url).await.unwrap();
    pubsub.subscribe(["a"]).await.unwrap();
    pubsub.psubscribe(["p*"]).await.unwrap();
    let mut events = Vec::new();
    while events.len() < 8 {
        let event = pubsub.get_message(Duration::from_secs(20)).await.expect("no event came");
        events.push(event);
    }
    let subscribe = Event::Subscribe { channel: "a".into(), count: 1 };
    let psubscribe = Event::PSubscribe { pattern: "p*".into(), count: 2 };
    let message = |payload: usize| Event::Message {
        channel: "a".into(),
        payload: payload.to_string().as_str().into(),
    };
    let Event::Reconnected { attempts, .. } = events.remove(4) else { panic!("{events:?}") };
    assert_eq!(attempts, u32::try_from(FAILING).unwrap());
    let reason = "it does not answer as Redis does".to_owned();
    assert_eq!(
        events,
        [
            subscribe.clone(),
            message(0),
            psubscribe.clone(),
            Event::Disconnected { reason },
            subscribe,
            psubscribe,
            message(FAILING),
        ]
    );
}

/// The answer comes 4 s after the question, and bytes come all the time.
#[tokio::test]
async fn waits_for_an_answer_behind_a_large_message() {
    let payload = "x".repeat(12_000_000);
    let message = format!(">3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$12000000\r\n{payload}\r\n");
    let url = serve(move |asked| match &asked.words[..] {
        [hello, ..] if hello == "HELLO" => HELLO.to_vec(),
        [_, name] if name == "b" => {
            [message.as_bytes(), &confirmation("ssubscribe", name, 2)].concat()
        }
        [_, name] => confirmation("ssubscribe", name, 1),
        _ => b"+PONG\r\n".to_vec(),
    });
    let pubsub = PubSub::builder(&url).sharded(true).connect().await.unwrap();
    pubsub.subscribe(["a"]).await.unwrap();
    timeout(2 * IN_TIME, pubsub.subscribe(["b"])).await.expect("it tries for ever").unwrap();
    let mut events = Vec::new();
    while let Some(event) = pubsub.get_message(Duration::ZERO).await {
        events.push(event);
    }
    let expected = [
        Event::Subscribe { channel: "a".into(), count: 1 },
        Event::Message { channel: "a".into(), payload: payload.into() },
        Event::Subscribe { channel: "b".into(), count: 2 },
    ];
    assert!(events == expected, "{} other events, of which {:?}", events.len(), events.last());
}

/// The channel is refused, then given up, while the other one has no place yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_channel_that_was_given_up_is_not_reported() {
    let asked_again = Arc::new(AtomicUsize::new(0));
    let given_up = Arc::new(AtomicUsize::new(0));
    let (asking, giving_up) = (asked_again.clone(), given_up.clone());
    let url = serve(move |asked| match &asked.words[..] {
        [hello, ..] if hello == "HELLO" => HELLO.to_vec(),
        [ssubscribe, name] if asked.connection == 0 && ssubscribe == "SSUBSCRIBE" => {
            confirmation("ssubscribe", name, 1)
        }
        [ssubscribe, name] if ssubscribe == "SSUBSCRIBE" && name == "a" => {
            asking.fetch_add(1, Ordering::Relaxed);
            b"-NOPERM not this channel\r\n".to_vec()
        }
        [ssubscribe, _] if ssubscribe == "SSUBSCRIBE" && giving_up.load(Ordering::Relaxed) == 0 => {
            b"-LOADING not yet\r\n".to_vec()
        }
        [ssubscribe, name] if ssubscribe == "SSUBSCRIBE" => confirmation("ssubscribe", name, 1),
        // Breaks the first connection.
        _ if asked.connection == 0 => b"?\r\n".to_vec(),
        _ => b"+PONG\r\n".to_vec(),
    });
    let pubsub = PubSub::builder(&url).sharded(true).connect().await.unwrap();
    pubsub.subscribe(["a"]).await.unwrap();
    pubsub.subscribe(["b"]).await.unwrap();
    acceptance::eventually("a is refused", || asked_again.load(Ordering::Relaxed) > 0);
    timeout(IN_TIME, pubsub.unsubscribe(["a"])).await.unwrap().unwrap();
    given_up.store(1, Ordering::Relaxed);
    let mut events = Vec::new();
    while let Some(event) = pubsub.get_message(Duration::from_secs(3)).await {
        events.push(event);
    }
    let [.., Event::Reconnected { .. }, Event::Subscribe { channel, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*channel, "b", "{events:?}");
}

/// The most memory that this process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
}

/// A connection that was good turns into something else. That is the end of it, with a reason,
/// and it costs no memory.
#[tokio::test]
async fn a_good_connection_goes_bad() {
    const NOT_REDIS: &str = "it does not answer as Redis does";
    let nested = b"*1\r\n".repeat(10_000);
    let endless = [&b"+"[..], &b"x".repeat(70_000)].concat();
    let before = peak_mib();
    for (bad, reason) in [
        (&b"\x15\x03\x03\0\x02\x02\x32"[..], NOT_REDIS),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", NOT_REDIS),
        (&nested, "it sent more than 100 lists in each other"),
        (b"$9223372036854775807\r\nx", "it announced more than 512 MB"),
        (b"*9223372036854775807\r\n:1\r\n", "it announced a list of more than 1,000,000 values"),
        (b"=-1\r\n", NOT_REDIS),
        (b">3\r\n$7\r\nmessage\r\n$99999999999999999999\r\n", "it announced more than 512 MB"),
        (b">3\r\n$7\r\nmessage\r\n$1111111111111111111111111111111", NOT_REDIS),
        (b">3\r\n$7\r\nmessage\r\n$1\r\nabc\r\n", NOT_REDIS),
        (&endless, "it sent a line of more than 64 KiB"),
    ] {
        let bad = bad.to_vec();
        let url = serve(move |asked| match &asked.words[..] {
            [hello, ..] if hello == "HELLO" => HELLO.to_vec(),
            [_, name] if asked.connection == 0 => {
                [confirmation("subscribe", name, 1), bad.clone()].concat()
            }
            [_, name] => confirmation("subscribe", name, 1),
            _ => b"+PONG\r\n".to_vec(),
        });
        let pubsub = PubSub::connect(&url).await.unwrap();
        // It may be over before the confirmation is seen: then the next connection brings it.
        timeout(IN_TIME, pubsub.subscribe(["a"])).await.unwrap().unwrap();
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Event::Reconnected { .. })) {
            seen.push(timeout(IN_TIME, pubsub.get_message(IN_TIME)).await.unwrap().expect(reason));
        }
        let disconnected = Event::Disconnected { reason: reason.to_owned() };
        assert!(seen.contains(&disconnected), "{seen:?} instead of {reason}");
    }
    let more = peak_mib() - before;
    assert!(more < 32, "{more} MiB");
}
