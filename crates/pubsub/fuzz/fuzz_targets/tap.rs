//! Gives any bytes to the tap, cut at any place, and compares with the redis crate's own decoder.
//!
//! Once: `cargo install cargo-fuzz`. Then, in `crates/pubsub`, for ten minutes:
//!
//!     mkdir -p fuzz/corpus/tap
//!     RUSTC_BOOTSTRAP=1 cargo fuzz run tap fuzz/corpus/tap fuzz/seeds -- \
//!         -max_total_time=600 -dict=fuzz/resp3.dict -rss_limit_mb=1024
//!
//! Whatever arrives, the tap must not panic, must not take more memory than has arrived, and must
//! not depend on where the stream was cut. Up to the first error, messages and passed bytes are what
//! the decoder makes of the whole.
#![no_main]

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use redis::{PushKind, Value, ValueCodec};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::Decoder;

// The tap is private to its crate. These files, and the few names that they need, make a small crate
// of their own here.
#[allow(dead_code)]
#[path = "../../src/byte_string.rs"]
mod byte_string;
#[allow(dead_code)]
#[path = "../../src/escape.rs"]
mod escape;
#[path = "../../src/frame.rs"]
mod frame;
#[path = "../../src/tap.rs"]
mod tap;

use byte_string::ByteString;
use tap::Tap;

#[derive(Debug, PartialEq)]
enum Event {
    Message { channel: ByteString, payload: ByteString },
    PMessage { pattern: ByteString, channel: ByteString, payload: ByteString },
}

#[derive(Debug, PartialEq)]
enum Out {
    Event(Event),
    Value(Value),
}

/// A stream that brings `step` bytes with each read.
struct Pieces<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.step.min(out.remaining()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(length);
        out.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

/// What came out, and whether the stream was refused. Reads like the crate: it takes bytes, decodes
/// them as far as it can, and asks for more.
fn read(bytes: &[u8], step: usize, room: usize) -> (Vec<Out>, bool) {
    let out = RefCell::new(Vec::new());
    let mut tap = Tap::new(Pieces { bytes, step }, |events: Vec<Event>| {
        assert!(!events.is_empty());
        out.borrow_mut().extend(events.into_iter().map(Out::Event));
        None
    });
    let mut context = Context::from_waker(Waker::noop());
    let (mut codec, mut passed) = (ValueCodec::default(), BytesMut::new());
    let mut memory = vec![0; room];
    let refused = 'read: loop {
        let mut buffer = ReadBuf::new(&mut memory);
        match Pin::new(&mut tap).poll_read(&mut context, &mut buffer) {
            Poll::Pending => {}
            Poll::Ready(Err(_)) => break true,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => break false,
            Poll::Ready(Ok(())) => {
                passed.extend_from_slice(buffer.filled());
                loop {
                    match codec.decode(&mut passed) {
                        Ok(Some(value)) => out.borrow_mut().push(named(value)),
                        Ok(None) => break,
                        Err(_) => break 'read true,
                    }
                }
            }
        }
    };
    drop(tap);
    (out.into_inner(), refused)
}

/// What the decoder makes of it without a tap.
fn expected(bytes: &[u8]) -> (Vec<Out>, bool) {
    let (mut codec, mut bytes) = (ValueCodec::default(), BytesMut::from(bytes));
    let mut out = Vec::new();
    loop {
        match codec.decode(&mut bytes) {
            Ok(Some(value)) => out.push(named(value)),
            Ok(None) => return (out, false),
            Err(_) => return (out, true),
        }
    }
}

/// A message, wherever it was found: written as Redis does not (`>03`), it is passed on.
fn named(value: Value) -> Out {
    message(&value).map_or(Out::Value(value), Out::Event)
}

fn message(value: &Value) -> Option<Event> {
    let Value::Push { kind, data } = value else { return None };
    match (kind, &data[..]) {
        (
            PushKind::Message | PushKind::SMessage,
            [Value::BulkString(channel), Value::BulkString(payload)],
        ) => Some(Event::Message { channel: channel[..].into(), payload: payload[..].into() }),
        (
            PushKind::PMessage,
            [Value::BulkString(pattern), Value::BulkString(channel), Value::BulkString(payload)],
        ) => Some(Event::PMessage {
            pattern: pattern[..].into(),
            channel: channel[..].into(),
            payload: payload[..].into(),
        }),
        _ => None,
    }
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (step, room, bytes) = input;
    let whole = read(bytes, usize::MAX, 8 * 1024);
    let cut = read(bytes, 1 + usize::from(step), 1 + usize::from(room));
    let expected = expected(bytes);
    // Where the tap refuses, the decoder may go on (it takes `$+5` for `$5`) or wait for ever.
    // Numbers that are no numbers (`,nan`) are not equal to themselves: compare what they show.
    let shown = |out: &[Out]| out.iter().map(|out| format!("{out:?}")).collect::<Vec<_>>();
    let (all, whole_out, cut_out) = (shown(&expected.0), shown(&whole.0), shown(&cut.0));
    assert!(all.starts_with(&cut_out), "{all:?} {cut_out:?}");
    assert!(cut_out.starts_with(&whole_out), "{cut_out:?} {whole_out:?}");
    assert_eq!(whole.1, cut.1);
    // The decoder refuses a wrong line break after a payload at its first byte, the tap at its second.
    if !whole.1 {
        assert_eq!(whole_out, all);
    }
});
