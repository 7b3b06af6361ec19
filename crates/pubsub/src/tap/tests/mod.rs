use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use redis::{PushKind, Value, ValueCodec};
use tokio::sync::Notify;
use tokio_util::codec::Decoder;

use super::*;
use crate::escape::escaped;

mod any_stream;
mod hostile;
mod memory;

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
        None
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

/// Polls until there is something to say.
fn poll<S: AsyncRead + Unpin, D: FnMut(Vec<Event>) -> Option<Pause> + Unpin>(
    tap: &mut Tap<S, D>,
) -> Poll<io::Result<Vec<u8>>> {
    let mut memory = [0; 8 * 1024];
    let mut out = ReadBuf::new(&mut memory);
    let mut context = Context::from_waker(Waker::noop());
    let polled = Pin::new(tap).poll_read(&mut context, &mut out);
    polled.map_ok(|()| out.filled().to_vec())
}

#[test]
fn a_message_does_not_overtake_a_confirmation() {
    let confirmation = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    let message = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let stream = [confirmation, &message[..], b"+PONG\r\n+PONG\r\n", &message, &message].concat();
    let events = RefCell::new(Vec::new());
    let mut tap = Tap::new(Pieces::whole(&stream), |batch: Vec<Event>| {
        events.borrow_mut().push(batch.len());
        None
    });
    let passed = |polled| match polled {
        Poll::Ready(Ok(bytes)) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(passed(poll(&mut tap)).as_bytes(), confirmation);
    assert_eq!(*events.borrow(), []);
    assert_eq!(passed(poll(&mut tap)), "+PONG\r\n+PONG\r\n");
    assert_eq!(*events.borrow(), [1]);
    assert_eq!(passed(poll(&mut tap)), "");
    assert_eq!(*events.borrow(), [1, 2]);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The wait for more gives others their turn. Waking itself would only cost.
#[test]
fn when_nothing_more_has_arrived_it_waits() {
    let message = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let stream = message.repeat(5);
    let (wakes, batches) = (Arc::new(Wakes::default()), RefCell::new(Vec::new()));
    let pieces = OneAtATime::new(Pieces::cut(&stream, &[message.len()]));
    let mut tap = Tap::new(pieces, |batch: Vec<Event>| {
        batches.borrow_mut().push(batch.len());
        None
    });
    let waker = wakes.clone().into();
    let mut context = Context::from_waker(&waker);
    for turn in 1..=4 {
        let mut out = ReadBuf::new(&mut []);
        assert!(Pin::new(&mut tap).poll_read(&mut context, &mut out).is_pending());
        assert_eq!(*batches.borrow(), vec![1; turn]);
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
}

#[test]
fn while_there_is_more_to_read_others_have_their_turn() {
    for after in [&b""[..], b"+PONG\r\n"] {
        let message = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
        let piece = [&message.repeat(25), after].concat();
        let stream = piece.repeat(5);
        let (wakes, batches) = (Arc::new(Wakes::default()), RefCell::new(Vec::new()));
        let pieces = Pieces::cut(&stream, &[piece.len()]);
        let mut tap = Tap::new(pieces, |batch: Vec<Event>| {
            batches.borrow_mut().push(batch.len());
            None
        });
        let waker = wakes.clone().into();
        let mut context = Context::from_waker(&waker);
        for turn in 1..=4 {
            let mut memory = [0; 100];
            let mut out = ReadBuf::new(&mut memory);
            let mut polls = 0;
            while Pin::new(&mut tap).poll_read(&mut context, &mut out).is_ready() {
                polls += 1;
                assert!(polls <= 1, "no turn for others");
            }
            assert_eq!(out.filled(), after);
            assert_eq!(*batches.borrow(), vec![25; turn]);
            assert_eq!(wakes.0.load(Ordering::Relaxed), turn);
        }
    }
}

/// Delivers five messages, one with each read, and asks for a pause each time. Returns how many
/// were delivered before anything ended a pause, and then with each end.
fn delivered_between_pauses(stream: impl AsyncRead + Unpin) -> Vec<usize> {
    let (batches, end) = (Cell::new(0), Arc::new(Notify::new()));
    let mut tap = Tap::new(stream, |_| {
        batches.update(|count| count + 1);
        Some(Box::pin(end.clone().notified_owned()) as Pause)
    });
    let mut delivered = Vec::new();
    while batches.get() < 5 {
        for _ in 0..20 {
            let _ = poll(&mut tap);
        }
        delivered.push(batches.get());
        end.notify_waiters();
    }
    delivered
}

#[test]
fn it_reads_nothing_in_a_pause_and_pauses_again_when_it_has_read_everything() {
    let message = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let stream = message.repeat(5);
    let pieces = || Pieces::cut(&stream, &[message.len()]);
    assert_eq!(delivered_between_pauses(pieces()), [1, 5]);
    assert_eq!(delivered_between_pauses(OneAtATime::new(pieces())), [1, 2, 3, 4, 5]);
}
