//! Takes the messages out of the stream between the socket and the redis crate.
//!
//! The crate is made for answers to commands: it builds a tree of values for each message, and shows
//! a message only when it is complete. So messages are taken out here, and the crate gets every
//! other byte unchanged: logins, confirmations, answers.
//!
//! The order stays. Messages are delivered before anything that came after them is passed on. What
//! came after something that was passed on waits until the crate asks for more: by then it has dealt
//! with what it got. So a message never overtakes the confirmation before it.

use std::io;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::yield_now;
use tokio_util::io::poll_read_buf;

use crate::frame::{Frame, NOT_REDIS, Reason, string_length};
use crate::{ByteString, Event};

/// How much one read takes, and how large the buffer is without a large message.
const READ: usize = 64 * 1024;
/// A message up to this length shares a block of this size with its neighbours, so one that is kept
/// keeps 4 KiB at most. Measured with 64 bytes, dropped by another thread, in CPU for each message:
/// 92 to 184 ns with a copy of each string, 72 to 106 ns with blocks (of whole messages, headers
/// included), and 68 to 85 ns with parts of the read buffer, of which one kept message would keep
/// 64 KiB.
pub(crate) const BLOCK: usize = 4 * 1024;
/// A message longer than this takes the read buffer with it, and what came after it is copied to a
/// new one: that is the smaller part. (Of messages in between, each string is copied.)
const LARGE: usize = READ / 2;

/// Any length fits in a line of so many bytes: `$`, a number of 64 bits, a line break.
const MAX_LENGTH_LINE: usize = 23;

/// How messages begin: of a channel, of a pattern, of a shard channel.
const MESSAGE: &[u8] = b">3\r\n$7\r\nmessage\r\n";
const PMESSAGE: &[u8] = b">4\r\n$8\r\npmessage\r\n";
const SMESSAGE: &[u8] = b">3\r\n$8\r\nsmessage\r\n";

/// Nothing is read before it has ended.
pub(crate) type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A stream without its messages.
pub(crate) struct Tap<S, D> {
    stream: S,
    deliver: D,
    /// What has arrived, and was neither delivered nor passed on.
    buffer: BytesMut,
    /// How many bytes at its start are for the crate.
    passing: usize,
    /// The frame that those bytes end in.
    frame: Frame,
    /// How many bytes the message at its start has at least.
    needed: usize,
    /// Where small messages are copied to.
    block: BytesMut,
    /// Whether messages were delivered since the last read.
    delivered: bool,
    /// To be taken before the next read.
    pause: Option<Pause>,
    /// Whether there was a pause since the stream was last empty. A second one would be too much:
    /// Redis would collect the messages and cut the connection. Readers that are still too slow miss
    /// messages instead, and these are counted.
    has_paused: bool,
    broken: Arc<OnceLock<Reason>>,
}

impl<S, D> Tap<S, D>
where
    S: AsyncRead + Unpin,
    D: FnMut(Vec<Event>) -> Option<Pause> + Unpin,
{
    /// The messages of one read go to `deliver` together. It runs on the task that reads from the
    /// stream, so it must not block; but it can return a pause.
    pub(crate) fn new(stream: S, deliver: D) -> Tap<S, D> {
        Tap {
            stream,
            deliver,
            buffer: BytesMut::with_capacity(READ),
            passing: 0,
            frame: Frame::default(),
            needed: 0,
            block: BytesMut::new(),
            delivered: false,
            pause: None,
            has_paused: false,
            broken: Arc::default(),
        }
    }

    /// Where the reason will be if the stream makes no sense any more. The redis crate reports only
    /// that it has ended.
    pub(crate) fn broken(&self) -> Arc<OnceLock<Reason>> {
        self.broken.clone()
    }

    /// Takes the messages at the start of the buffer.
    fn take_messages(&mut self) -> Result<Vec<Event>, Reason> {
        let mut messages = Vec::new();
        self.needed = 0;
        if !self.frame.is_new() {
            return Ok(messages);
        }
        let mut at = 0;
        loop {
            match Message::find(&self.buffer[at..]) {
                Ok(message) if message.length > LARGE => {
                    self.buffer.advance(at);
                    at = 0;
                    let filled = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(READ));
                    self.buffer.extend_from_slice(&filled[message.length..]);
                    let filled = filled.freeze();
                    messages.push(message.event(|part| {
                        if part.len() > LARGE / 2 {
                            filled.slice(part).into()
                        } else {
                            filled[part].into()
                        }
                    }));
                }
                Ok(message) => {
                    let bytes = &self.buffer[at..];
                    at += message.length;
                    messages.push(message.copied(bytes, &mut self.block));
                }
                Err(Otherwise::Incomplete(needed)) => {
                    self.needed = needed;
                    break;
                }
                // What came before is delivered first. This is found again at the next call.
                Err(Otherwise::Broken(reason)) if messages.is_empty() => return Err(reason),
                Err(_) => break,
            }
        }
        self.buffer.advance(at);
        Ok(messages)
    }

    /// Finds out how much is for the crate: all up to the next message.
    fn pass_on(&mut self) -> Result<(), Reason> {
        while let rest = &self.buffer[self.passing..]
            && !rest.is_empty()
            && !(self.frame.is_new() && may_be_message(rest))
        {
            self.passing += self.frame.follow(rest)?;
        }
        Ok(())
    }

    /// For a large message the buffer grows to an eighth of it, a quarter, a half, and so on, never
    /// to much more than four times what has arrived: a message can claim any length. In all, growing
    /// copies half of the message at most.
    fn make_room(&mut self) {
        let arrived = self.buffer.len();
        let mut size = self.needed + READ / 4;
        while size > 4 * arrived {
            size /= 2;
        }
        // Moves what is left to the front, if that is enough.
        self.buffer.reserve(size.saturating_sub(arrived).max(READ / 4));
    }
}

impl<S, D> AsyncRead for Tap<S, D>
where
    S: AsyncRead + Unpin,
    D: FnMut(Vec<Event>) -> Option<Pause> + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let set_broken = tap.broken.clone();
        let broken = |reason| {
            let _ = set_broken.set(reason);
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        loop {
            if tap.passing > 0 {
                let length = tap.passing.min(out.remaining());
                out.put_slice(&tap.buffer[..length]);
                tap.buffer.advance(length);
                tap.passing -= length;
                return Poll::Ready(Ok(()));
            }
            let messages = tap.take_messages().map_err(broken)?;
            if !messages.is_empty() {
                tap.pause = (tap.deliver)(messages).filter(|_| !tap.has_paused);
                tap.delivered = true;
                continue;
            }
            tap.pass_on().map_err(broken)?;
            if tap.passing > 0 {
                continue;
            }
            if let Some(pause) = &mut tap.pause {
                ready!(pause.as_mut().poll(context));
                tap.pause = None;
                tap.has_paused = true;
            }
            tap.make_room();
            let stream = Pin::new(&mut tap.stream);
            let read = poll_read_buf(stream, context, &mut tap.buffer);
            let delivered = std::mem::take(&mut tap.delivered);
            tap.has_paused &= read.is_ready();
            if ready!(read)? == 0 {
                return Poll::Ready(Ok(()));
            }
            if delivered {
                // In a flood there is always more to read, and the reader of the messages needs a
                // turn before the next ones. A plain wake would get this task up to 61 turns more
                // before a reader that is the main future of a runtime with one thread.
                let _ = pin!(yield_now()).poll(context);
                return Poll::Pending;
            }
        }
    }
}

/// Where the parts of a message are, and how long it is with all its line breaks.
struct Message {
    pattern: Option<Range<usize>>,
    channel: Range<usize>,
    payload: Range<usize>,
    length: usize,
}

/// Why there is no whole message.
enum Otherwise {
    /// It takes at least so many bytes to say.
    Incomplete(usize),
    Other,
    Broken(Reason),
}

impl Message {
    /// Finds the message that these bytes begin with.
    fn find(bytes: &[u8]) -> Result<Message, Otherwise> {
        let (is_pattern, mut at) = match bytes {
            _ if bytes.starts_with(MESSAGE) => (false, MESSAGE.len()),
            _ if bytes.starts_with(PMESSAGE) => (true, PMESSAGE.len()),
            _ if bytes.starts_with(SMESSAGE) => (false, SMESSAGE.len()),
            _ if may_be_message(bytes) => return Err(Otherwise::Incomplete(bytes.len() + 1)),
            _ => return Err(Otherwise::Other),
        };
        let pattern = if is_pattern { Some(string(bytes, &mut at)?) } else { None };
        let channel = string(bytes, &mut at)?;
        let payload = string(bytes, &mut at)?;
        Ok(Message { pattern, channel, payload, length: at })
    }

    fn copied(self, bytes: &[u8], block: &mut BytesMut) -> Event {
        if self.length > BLOCK {
            return self.event(|part| bytes[part].into());
        }
        // What was split off counts no longer: this is the room that is left.
        if block.capacity() < self.length {
            *block = BytesMut::with_capacity(BLOCK);
        }
        self.event(|part| {
            block.extend_from_slice(&bytes[part]);
            block.split().freeze().into()
        })
    }

    fn event(self, mut part: impl FnMut(Range<usize>) -> ByteString) -> Event {
        let (channel, payload) = (part(self.channel), part(self.payload));
        match self.pattern {
            Some(pattern) => Event::PMessage { pattern: part(pattern), channel, payload },
            None => Event::Message { channel, payload },
        }
    }
}

/// Whether a message begins like this, or with this.
fn may_be_message(bytes: &[u8]) -> bool {
    let begins = |head: &[u8]| bytes.iter().zip(head).all(|(a, b)| a == b);
    [MESSAGE, PMESSAGE, SMESSAGE].into_iter().any(begins)
}

/// Finds the string that is written from `at` on, and moves `at` behind it.
fn string(bytes: &[u8], at: &mut usize) -> Result<Range<usize>, Otherwise> {
    let rest = &bytes[*at..];
    let line = &rest[..rest.len().min(MAX_LENGTH_LINE)];
    let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
        return Err(match line.len() {
            MAX_LENGTH_LINE => Otherwise::Broken(NOT_REDIS),
            _ => Otherwise::Incomplete(bytes.len() + 1),
        });
    };
    let [b'$', length @ .., b'\r', b'\n'] = &line[..=end] else {
        return Err(Otherwise::Broken(NOT_REDIS));
    };
    let start = *at + end + 1;
    let end = start + string_length(length).map_err(Otherwise::Broken)?;
    *at = end + 2;
    match bytes.get(end..*at) {
        Some(b"\r\n") => Ok(start..end),
        Some(_) => Err(Otherwise::Broken(NOT_REDIS)),
        None => Err(Otherwise::Incomplete(*at)),
    }
}

#[cfg(test)]
mod tests;
