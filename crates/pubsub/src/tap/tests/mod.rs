use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use redis::{PushKind, Value, ValueCodec};
use tokio_util::codec::Decoder;

use super::*;
use crate::escape::escaped;
use crate::frame::MAX_LINE;

/// What comes out of a tap, in order.
#[derive(Debug, Clone, PartialEq)]
enum Out {
    Event(Event),
    Value(Value),
}

/// A stream that brings at most so many bytes with each read, these numbers over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: Vec<usize>,
    reads: usize,
}

impl<'a> Pieces<'a> {
    fn cut(bytes: &'a [u8], lengths: &[usize]) -> Pieces<'a> {
        Pieces { bytes, lengths: lengths.to_vec(), reads: 0 }
    }

    fn whole(bytes: &'a [u8]) -> Pieces<'a> {
        Pieces::cut(bytes, &[usize::MAX])
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.lengths[self.reads % self.lengths.len()];
        self.reads += 1;
        let (piece, rest) = self.bytes.split_at(length.min(out.remaining()).min(self.bytes.len()));
        out.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

/// Reads to the end, `room` bytes at a time. Returns what came out, and the error that ended it.
fn read(pieces: Pieces<'_>, room: usize) -> (Vec<Out>, Option<io::Error>) {
    let out = RefCell::new(Vec::new());
    let passed = RefCell::new(Vec::new());
    let values = |passed: &mut Vec<u8>| {
        out.borrow_mut().extend(parsed(passed).into_iter().map(Out::Value));
        passed.clear();
    };
    let mut tap = Tap::new(pieces, |events: Vec<Event>| {
        values(&mut passed.borrow_mut());
        out.borrow_mut().extend(events.into_iter().map(Out::Event));
    });
    let mut context = Context::from_waker(Waker::noop());
    let mut memory = vec![0; room];
    let error = loop {
        let mut buffer = ReadBuf::new(&mut memory);
        match Pin::new(&mut tap).poll_read(&mut context, &mut buffer) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => break Some(error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => break None,
            Poll::Ready(Ok(())) => passed.borrow_mut().extend_from_slice(buffer.filled()),
        }
    };
    drop(tap);
    if error.is_none() {
        values(&mut passed.borrow_mut());
    }
    (out.into_inner(), error)
}

/// The redis crate's own parser. Messages are delivered between whole values, so nothing may be left.
fn parsed(bytes: &[u8]) -> Vec<Value> {
    let mut bytes = BytesMut::from(bytes);
    let mut codec = ValueCodec::default();
    let values = std::iter::from_fn(|| codec.decode(&mut bytes).unwrap()).collect();
    assert!(bytes.is_empty(), "{}", escaped(&bytes));
    values
}

/// What the redis crate makes of it.
fn expected(bytes: &[u8]) -> Vec<Out> {
    let mut out = Vec::new();
    for value in parsed(bytes) {
        out.push(match &value {
            Value::Push { kind: PushKind::Message | PushKind::SMessage, data } => {
                let [Value::BulkString(channel), Value::BulkString(payload)] = &data[..] else {
                    panic!("{value:?}")
                };
                let (channel, payload) = (channel[..].into(), payload[..].into());
                Out::Event(Event::Message { channel, payload })
            }
            Value::Push { kind: PushKind::PMessage, data } => {
                let [
                    Value::BulkString(pattern),
                    Value::BulkString(channel),
                    Value::BulkString(payload),
                ] = &data[..]
                else {
                    panic!("{value:?}")
                };
                Out::Event(Event::PMessage {
                    pattern: pattern[..].into(),
                    channel: channel[..].into(),
                    payload: payload[..].into(),
                })
            }
            _ => Out::Value(value),
        });
    }
    out
}

const STREAM: &[u8] = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n\
    >3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n\
    >3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n>3\r\n\
    >3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$0\r\n\r\n\
    >4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$2\r\nhi\r\n\
    +PONG\r\n\
    >3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nend\r\n";

#[test]
fn a_stream_may_be_cut_anywhere() {
    let all = expected(STREAM);
    assert_eq!(all.iter().filter(|out| matches!(out, Out::Event(_))).count(), 4);
    for cut in 1..=STREAM.len() {
        for room in [1, 1000] {
            let (out, error) = read(Pieces::cut(STREAM, &[cut]), room);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(out, all, "pieces of {cut}");
            let (out, _) = read(Pieces::cut(STREAM, &[cut, STREAM.len()]), room);
            assert_eq!(out, all, "cut at {cut}");
        }
    }
}

fn bulk(mark: char, bytes: &[u8]) -> Vec<u8> {
    [format!("{mark}{}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn aggregate(mark: char, count: usize, values: &[Vec<u8>]) -> Vec<u8> {
    [format!("{mark}{count}\r\n").into_bytes(), values.concat()].concat()
}

/// Bytes, with far more of what could be mistaken for the protocol than chance would bring.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..20),
        "[$*>3\r\n]{0,12}".prop_map(String::into_bytes),
        Just(STREAM.to_vec()),
        (0..70_000_usize).prop_map(|length| vec![b'x'; length]),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![Just("message"), Just("smessage"), Just("pmessage")];
    (kinds, bytes(), bytes(), bytes()).prop_map(|(kind, pattern, channel, payload)| {
        let mut parts = vec![kind.as_bytes(), &channel, &payload];
        if kind == "pmessage" {
            parts.insert(1, &pattern);
        }
        let parts: Vec<_> = parts.into_iter().map(|part| bulk('$', part)).collect();
        aggregate('>', parts.len(), &parts)
    })
}

/// A value of any type, also of those that Redis does not send to a subscriber.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let line = |text: &'static str| text.prop_map(|line| format!("{line}\r\n").into_bytes());
    let single = prop_oneof![
        line("[+][ -~\r]{0,20}"),
        line("-[A-Z]{0,9} [a-z\n ]{0,20}"),
        line(":-?[0-9]{1,18}"),
        line(",-?[0-9]{1,9}[.][0-9]{1,9}"),
        line("[(]-?[0-9]{1,60}"),
        line("_|#t|#f|[$]-1|[*]-1|[*~%>]0"),
        bytes().prop_map(|bytes| bulk('$', &bytes)),
        "[A-Z]{0,9} [a-z\r\n]{0,20}".prop_map(|text| bulk('!', text.as_bytes())),
        "(txt|mkd):[a-z\r\n]{0,20}".prop_map(|text| bulk('=', text.as_bytes())),
        message(),
    ];
    single.prop_recursive(4, 30, 6, |inner| {
        let pairs = vec((inner.clone(), inner.clone()), 0..3);
        let pairs = pairs.prop_map(|pairs| {
            pairs.into_iter().map(|(key, value)| [key, value].concat()).collect::<Vec<_>>()
        });
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|values| aggregate('*', values.len(), &values)),
            vec(inner.clone(), 0..6).prop_map(|values| aggregate('~', values.len(), &values)),
            pairs.clone().prop_map(|pairs| aggregate('%', pairs.len(), &pairs)),
            (pairs, inner.clone()).prop_map(|(pairs, value)| {
                [aggregate('|', pairs.len(), &pairs), value].concat()
            }),
            ("[a-z]{0,12}", vec(inner, 0..4)).prop_map(|(kind, mut values)| {
                values.insert(0, bulk('$', kind.as_bytes()));
                aggregate('>', values.len(), &values)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn it_sorts_as_the_crate_reads(
        frames in vec(prop_oneof![message(), value()], 0..12),
        lengths in prop_oneof![vec(1..50_usize, 1..5), vec(1..200_000_usize, 1..5)],
        room in prop_oneof![1..20_usize, 1..20_000_usize],
    ) {
        let stream = frames.concat();
        let (out, error) = read(Pieces::cut(&stream, &lengths), room);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(out, expected(&stream));
    }
}

/// Polls until there is something to say.
fn poll<S: AsyncRead + Unpin, D: FnMut(Vec<Event>) + Unpin>(
    tap: &mut Tap<S, D>,
) -> Poll<io::Result<Vec<u8>>> {
    let mut memory = [0; 8 * 1024];
    let mut out = ReadBuf::new(&mut memory);
    let mut context = Context::from_waker(Waker::noop());
    let polled = Pin::new(tap).poll_read(&mut context, &mut out);
    polled.map_ok(|()| out.filled().to_vec())
}

/// Nothing but what a wrong server sends. It is refused at once, and costs no memory.
fn refused(bytes: &[u8]) -> String {
    let mut reasons = Vec::new();
    for length in [1, 7, 1000, usize::MAX] {
        let mut tap = Tap::new(Pieces::cut(bytes, &[length]), |_| ());
        let error = loop {
            match poll(&mut tap) {
                Poll::Ready(Err(error)) => break error,
                Poll::Ready(Ok(passed)) => assert!(!passed.is_empty(), "it waits for more"),
                Poll::Pending => {}
            }
            assert!(tap.buffer.capacity() <= 2 * READ);
            assert!(tap.frame.memory() <= 2 * READ);
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        reasons.push(error.to_string());
    }
    reasons.dedup();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0)
}

#[test]
fn what_no_redis_sends_is_refused() {
    let not_redis = "it does not answer as Redis does";
    let too_large = "it announced more than 512 MB";
    let too_many = "it announced a list of more than 1,000,000 values";
    let too_deep = "it sent more than 100 lists in each other";
    let long_line = "it sent a line of more than 64 KiB";
    for (bytes, reason) in [
        (&b"\x15\x03\x03\x00\x02\x02\x50"[..], not_redis), // an alert of TLS
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", not_redis),
        (b"220 mail.example.com ESMTP\r\n", not_redis),
        (b"+OK\r\n\r\n", not_redis),
        (b"=-1\r\n", not_redis),
        (b"!-1\r\n", not_redis),
        (b"%-1\r\n", not_redis),
        (b"$-2\r\n", not_redis),
        (b"$\r\n", not_redis),
        (b"*many\r\n", not_redis),
        (b"$536870913\r\n", too_large),
        (b"$9223372036854775807\r\n", too_large),
        (b"=18446744073709551616\r\n", too_large),
        (b"*9223372036854775807\r\n", too_many),
        (b"%9223372036854775807\r\n", too_many),
        (b"|18446744073709551616\r\n", too_many),
        (b">1000001\r\n", too_many),
        (&b"*1\r\n".repeat(100), too_deep),
        (&b"*1\r\n".repeat(10_000), too_deep),
        (&b"*1\r\n".repeat(1_000_000), too_deep),
        (&b"|1\r\n".repeat(10_000), too_deep),
        (&b"+endless".repeat(10_000), long_line),
        (&b"$1".repeat(50_000), long_line),
        (b">3\r\n$7\r\nmessage\r\n$-1\r\n$2\r\nhi\r\n", not_redis),
        (b">3\r\n$7\r\nmessage\r\n:1\r\n$2\r\nhi\r\n", not_redis),
        (b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi!\n", not_redis),
        (b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870913\r\n", too_large),
        (b">3\r\n$7\r\nmessage\r\n$9223372036854775807\r\n", too_large),
        (b">4\r\n$8\r\npmessage\r\n$000000000000000000000000000000000000", not_redis),
    ] {
        let shown = bytes[..bytes.len().min(60)].to_vec();
        assert_eq!(refused(bytes), reason, "{}", escaped(&shown));
        // A message before it is delivered.
        let bytes = [b">3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$2\r\nhi\r\n", bytes].concat();
        let (out, error) = read(Pieces::whole(&bytes), 1000);
        assert_eq!(out.len(), 1);
        assert_eq!(error.unwrap().to_string(), reason, "{}", escaped(&shown));
    }
}

#[test]
fn what_the_crate_still_reads_is_not_refused() {
    let deep = [b"*1\r\n".repeat(98), b"*2\r\n:1\r\n*0\r\n".to_vec()].concat();
    let line = [b"+".to_vec(), vec![b'x'; MAX_LINE - 3], b"\r\n".to_vec()].concat();
    for bytes in [deep, line] {
        let (out, error) = read(Pieces::cut(&bytes, &[READ]), READ);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(out, expected(&bytes));
        assert_eq!(out.len(), 1);
    }
    assert_eq!(Frame::default().follow(b"*1000000\r\n"), Ok(10));
    assert_eq!(Frame::default().follow(b"$536870912\r\n"), Ok(12));
}

#[test]
fn a_list_of_many_large_values_is_refused() {
    let mut frame = Frame::default();
    let million = bulk('$', &vec![b'x'; 1_000_000]);
    frame.follow(b"*1000\r\n").unwrap();
    let refused = (0..1000).position(|_| frame.follow(&million).is_err());
    assert_eq!(refused, Some(536));
}

/// The memory that a tap takes, and where what it has not dealt with begins.
fn memory<S, D>(tap: &Tap<S, D>) -> (usize, *const u8) {
    (tap.buffer.capacity(), tap.buffer.as_ptr())
}

#[test]
fn a_large_message_is_copied_once_at_most_and_leaves_no_large_buffer() {
    const LENGTH: usize = 100 * 1024 * 1024;
    let head = [MESSAGE, format!("$1\r\na\r\n${LENGTH}\r\n").as_bytes()].concat();
    let payload = vec![b'x'; LENGTH];
    let small = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let after = small.repeat(READ / 4);
    let stream = [&head, &payload, &b"\r\n"[..], &small, b"+PONG\r\n", &after].concat();

    let events = RefCell::new(Vec::new());
    let mut tap = Tap::new(OneAtATime::new(Pieces::cut(&stream, &[READ])), |batch: Vec<Event>| {
        events.borrow_mut().extend(batch);
    });
    let (mut copied, mut grown) = (0, 0);
    let mut before = memory(&tap);
    while events.borrow().is_empty() {
        let arrived = tap.buffer.len();
        assert!(poll(&mut tap).is_pending());
        let now = memory(&tap);
        if now != before && events.borrow().is_empty() {
            copied += arrived;
            grown += 1;
            assert!(now.0 <= 4 * (arrived + READ), "{} for {arrived}", now.0);
        }
        before = if events.borrow().is_empty() { now } else { before };
    }
    assert!(copied <= LENGTH / 2 + READ, "{copied} bytes copied");
    assert!(grown <= 12, "grown {grown} times");
    assert_eq!(tap.stream.pieces.reads, LENGTH.div_ceil(READ) + 1);
    let batch = events.take();
    let [Event::Message { payload: taken, .. }, Event::Message { payload: last, .. }] = &batch[..]
    else {
        panic!("{} events", batch.len())
    };
    assert!(taken == &payload[..]);
    assert_eq!(taken.as_ptr(), before.1.wrapping_add(head.len()), "it is the buffer itself");
    assert_eq!(last, "hi");
    drop(batch);
    while !tap.stream.pieces.bytes.is_empty() {
        let _ = poll(&mut tap);
        assert!(tap.buffer.capacity() <= 2 * READ);
    }
}

/// A stream that has nothing more for now after each piece.
struct OneAtATime<'a> {
    pieces: Pieces<'a>,
    pending: bool,
}

impl<'a> OneAtATime<'a> {
    fn new(pieces: Pieces<'a>) -> OneAtATime<'a> {
        OneAtATime { pieces, pending: false }
    }
}

impl AsyncRead for OneAtATime<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pending = !self.pending;
        if !self.pending {
            return Poll::Pending;
        }
        Pin::new(&mut self.pieces).poll_read(context, out)
    }
}

#[test]
fn what_a_message_says_of_its_length_takes_no_memory() {
    let head = [MESSAGE, b"$1\r\na\r\n$536870912\r\nx"].concat();
    let mut tap = Tap::new(OneAtATime::new(Pieces::whole(&head)), |_| ());
    assert!(poll(&mut tap).is_pending());
    assert!(tap.buffer.capacity() <= 2 * READ);
    // At the end of the stream it was no message.
    assert!(matches!(poll(&mut tap), Poll::Ready(Ok(end)) if end.is_empty()));
}

#[test]
fn a_message_does_not_overtake_a_confirmation() {
    let confirmation = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    let message = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let stream = [confirmation, &message[..], b"+PONG\r\n+PONG\r\n", &message, &message].concat();
    let events = RefCell::new(Vec::new());
    let mut tap = Tap::new(Pieces::whole(&stream), |batch: Vec<Event>| {
        events.borrow_mut().push(batch.len());
    });
    let passed = |polled| match polled {
        Poll::Ready(Ok(bytes)) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(passed(poll(&mut tap)).as_bytes(), confirmation);
    assert_eq!(*events.borrow(), []);
    assert!(poll(&mut tap).is_pending());
    assert_eq!(*events.borrow(), [1]);
    assert_eq!(passed(poll(&mut tap)), "+PONG\r\n+PONG\r\n");
    assert_eq!(*events.borrow(), [1]);
    assert!(poll(&mut tap).is_pending());
    assert_eq!(*events.borrow(), [1, 2]);
    assert_eq!(passed(poll(&mut tap)), "");
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn after_each_read_with_messages_others_have_their_turn() {
    let message = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let stream = message.repeat(100);
    let (wakes, batches) = (Arc::new(Wakes::default()), RefCell::new(Vec::new()));
    let pieces = Pieces::cut(&stream, &[message.len() * 25]);
    let mut tap = Tap::new(pieces, |batch: Vec<Event>| batches.borrow_mut().push(batch.len()));
    let waker = wakes.clone().into();
    let mut context = Context::from_waker(&waker);
    let mut memory = [0; 100];
    for turn in 1..=4 {
        let mut out = ReadBuf::new(&mut memory);
        assert!(Pin::new(&mut tap).poll_read(&mut context, &mut out).is_pending());
        assert_eq!(*batches.borrow(), vec![25; turn]);
        assert_eq!(wakes.0.load(Ordering::Relaxed), turn);
    }
}

#[test]
fn what_is_kept_keeps_little() {
    let message = |length| [MESSAGE, b"$1\r\na\r\n", &bulk('$', &vec![b'x'; length])].concat();
    for (length, most) in [(2, BLOCK), (2000, BLOCK), (5000, 5000), (40_000, 2 * READ)] {
        let stream = message(length).repeat(600);
        for keep_name in [true, false] {
            let (mut count, mut kept) = (0, Vec::new());
            let mut tap = Tap::new(Pieces::whole(&stream), |batch: Vec<Event>| {
                for event in batch {
                    let Event::Message { channel, payload } = event else { panic!("{event:?}") };
                    if count % 200 == 50 {
                        kept.push(bytes::Bytes::from(if keep_name { channel } else { payload }));
                    }
                    count += 1;
                }
            });
            while !matches!(poll(&mut tap), Poll::Ready(Ok(bytes)) if bytes.is_empty()) {}
            drop(tap);
            assert_eq!((count, kept.len()), (600, 3));
            for bytes in kept {
                // Nothing else uses this memory any more: so it is handed over as it is.
                assert!(bytes.is_unique());
                let memory = BytesMut::from(bytes).capacity();
                assert!(memory <= if keep_name { BLOCK } else { most }, "{memory} for {length}");
            }
        }
    }
}
