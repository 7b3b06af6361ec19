use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::Waker;

use redis::{PushKind, Value, ValueCodec};
use tokio_util::codec::Decoder;

use super::*;

/// What comes out of a tap, in order.
#[derive(Debug, Clone, PartialEq)]
enum Out {
    Event(Event),
    Value(Value),
}

/// A stream that brings one of these pieces with each read.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    /// How often the tap's memory has moved, by the address it reads to.
    reads: usize,
    most_room: usize,
}

impl Pieces {
    fn new<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Pieces {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec);
        Pieces { pieces: pieces.collect(), ..Pieces::default() }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads += 1;
        self.most_room = self.most_room.max(out.remaining());
        if let Some(piece) = self.pieces.front_mut() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(piece);
            *piece = rest;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads to the end, `room` bytes at a time. Returns what came out, and the error that ended it.
fn read(pieces: Pieces, room: usize) -> (Vec<Out>, Option<io::Error>) {
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
    assert!(bytes.is_empty(), "{}", crate::escape::escaped(&bytes));
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
    for cut in 0..=STREAM.len() {
        let (a, b) = STREAM.split_at(cut);
        for room in [1, 1000] {
            let (out, error) = read(Pieces::new([a, b]), room);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(out, all, "cut at {cut}");
        }
    }
    let bytes = STREAM.chunks(1);
    assert_eq!(read(Pieces::new(bytes), 1).0, all);
}
