//! The raw reader and the raw writer, which the other programs are compared with. They use blocking
//! sockets, without a runtime, a queue or a reconnect, and handle Redis's protocol by hand. To
//! measure them like the others, the benchmark starts its own executable again.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use anyhow::{anyhow, bail, ensure};

use crate::messages::{CHANNEL, DIGITS, Kind, Load, payload};

/// The hidden first argument.
pub(crate) const ROLE: &str = "--raw";

/// Bytes in one read, and approximately in one write.
const BUFFER: usize = 64 * 1024;

/// Runs the raw reader (`PORT NAME`) or the raw writer (`PORT SIZE COUNT`).
pub(crate) fn main(arguments: &[String]) -> anyhow::Result<()> {
    match arguments {
        [port, name] => read(port.parse()?, name),
        [port, size, count] => {
            publish(port.parse()?, (CHANNEL, count.parse()?, size.parse()?))?;
            println!("Published {count} messages.");
            Ok(())
        }
        _ => bail!("wrong arguments: {arguments:?}"),
    }
}

/// Subscribes to a channel or a pattern, and prints each message.
fn read(port: u16, name: &str) -> anyhow::Result<()> {
    // Rust's own stdout searches everything it writes for the end of the last line.
    let mut stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let subscribe = if name.contains('*') { "PSUBSCRIBE" } else { "SUBSCRIBE" };
    stream.write_all(format!("{subscribe} {name}\r\n").as_bytes())?;

    let mut bytes = vec![0; BUFFER];
    let mut filled = 0;
    let mut lines = Vec::with_capacity(2 * BUFFER);
    loop {
        let read = stream.read(&mut bytes[filled..])?;
        ensure!(read > 0, "Redis closed the connection");
        filled += read;
        let mut at = 0;
        while let Some((elements, length)) = push(&bytes[at..filled]) {
            line(&mut lines, elements);
            at += length;
        }
        bytes.copy_within(at..filled, 0);
        filled -= at;
        stdout.write_all(&lines)?;
        lines.clear();
    }
}

/// Appends the line that the services print.
fn line(lines: &mut Vec<u8>, elements: [&[u8]; 4]) {
    let pieces: &[&[u8]] = match elements {
        [b"message", channel, payload, _] => {
            &[b"Received on channel '", channel, b"': ", payload, b"\n"]
        }
        [b"pmessage", pattern, channel, payload] => {
            &[b"Pattern '", pattern, b"' matched channel '", channel, b"': ", payload, b"\n"]
        }
        [_, name, _, _] => &[b"Subscribed to '", name, b"'\n"],
    };
    for piece in pieces {
        lines.extend_from_slice(piece);
    }
}

/// The elements of a push and its length in bytes, or `None` if it is no push or not complete.
/// (`subscribe` and `message` have three elements, `pmessage` has four.)
fn push(bytes: &[u8]) -> Option<([&[u8]; 4], usize)> {
    bytes.first().filter(|kind| matches!(kind, b'*' | b'>'))?;
    let mut elements = [&b""[..]; 4];
    let (count, mut at) = number(bytes, 0)?;
    for element in elements.iter_mut().take(count) {
        let (length, start) = number(bytes, at)?;
        (*element, at) = match bytes[at] {
            b':' => (&bytes[at + 1..start - 2], start),
            _ => (bytes.get(start..start + length)?, start + length + 2),
        };
    }
    (at <= bytes.len()).then_some((elements, at))
}

/// The number after the first byte of the line that starts at `at`, and the position after the line.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    for (position, &byte) in bytes.iter().enumerate().skip(at + 1) {
        if byte == b'\r' {
            return (position + 2 <= bytes.len()).then_some((number, position + 2));
        }
        number = number * 10 + usize::from(byte.wrapping_sub(b'0'));
    }
    None
}

/// Publishes numbered messages as fast as Redis takes them. Returns the time of the first write,
/// and the sum of the receivers that Redis reported.
pub(crate) fn publish(port: u16, load: Load) -> anyhow::Result<(Instant, u64)> {
    let (Kind { channel, .. }, count, size) = load;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let answers = stream.try_clone()?;
    // Redis stops reading from a client that does not read its answers.
    let receivers = thread::spawn(move || count_receivers(answers, count));

    let (length, payload) = (channel.len(), payload(0, size));
    let one = format!("*3\r\n$7\r\nPUBLISH\r\n${length}\r\n{channel}\r\n${size}\r\n{payload}\r\n");
    let mut one = one.into_bytes();
    let number_at = one.len() - b"\r\n".len() - size;
    let mut chunk = Vec::with_capacity(BUFFER + one.len());
    let start = Instant::now();
    for _ in 0..count {
        chunk.extend_from_slice(&one);
        increment(&mut one[number_at..number_at + DIGITS]);
        if chunk.len() >= BUFFER {
            stream.write_all(&chunk)?;
            chunk.clear();
        }
    }
    stream.write_all(&chunk)?;
    let receivers = receivers.join().map_err(|_| anyhow!("the reader of answers panicked"))??;
    Ok((start, receivers))
}

/// Reads `count` answers to PUBLISH, each with no receiver or one, and returns the sum.
fn count_receivers(mut answers: impl Read, count: u64) -> anyhow::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let (mut answered, mut receivers) = (0, 0);
    while answered < count {
        let read = answers.read(&mut buffer)?;
        ensure!(read > 0, "Redis closed the connection");
        for &byte in &buffer[..read] {
            match byte {
                b'0'..=b'9' => receivers += u64::from(byte - b'0'),
                b'\n' => answered += 1,
                b':' | b'\r' => {}
                _ => bail!("Redis answers: {}", String::from_utf8_lossy(&buffer[..read])),
            }
        }
    }
    Ok(receivers)
}

/// Adds one to a decimal number in place. Formatting each number would cost too much CPU here.
fn increment(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_increase_by_one() {
        let mut digits = *b"0000000998";
        for expected in [b"0000000999", b"0000001000", b"0000001001"] {
            increment(&mut digits);
            assert_eq!(&digits, expected);
        }
    }

    #[test]
    fn a_push_is_read_when_it_is_complete() {
        let whole = b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n";
        for end in 0..whole.len() {
            assert_eq!(push(&whole[..end]), None, "{end}");
        }
        let elements: [&[u8]; 4] = [b"pmessage", b"*", b"c", b"a\r\nb"];
        assert_eq!(push(whole), Some((elements, whole.len())));
        assert_eq!(push(b"-NOPERM\r\n"), None);
        let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3";
        let elements: [&[u8]; 4] = [b"subscribe", b"c", b"1", b""];
        assert_eq!(push(subscribed), Some((elements, subscribed.len() - 2)));
    }

    #[test]
    fn receivers_are_counted_across_reads() {
        let pieces = (&b":1\r\n:"[..]).chain(&b"1\r"[..]).chain(&b"\n:0\r\n"[..]);
        assert_eq!(count_receivers(pieces, 3).unwrap(), 2);
        for wrong in [&b":1\r\n"[..], b":1\r\n-ERR no\r\n"] {
            assert!(count_receivers(wrong, 2).is_err());
        }
    }
}
