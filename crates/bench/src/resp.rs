//! The part of Redis's protocol that the raw clients need, written by hand so that it costs little.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, bail};

/// Appends a command.
pub(crate) fn command(buffer: &mut Vec<u8>, words: &[&[u8]]) {
    // Writing to a Vec never fails.
    let _ = write!(buffer, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(buffer, "${}\r\n", word.len());
        buffer.extend_from_slice(word);
        buffer.extend_from_slice(b"\r\n");
    }
}

pub(crate) fn connect(port: u16) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect to Redis")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Counts and adds up the numbers that Redis answers, one per command.
#[derive(Default)]
pub(crate) struct Integers {
    /// The digits so far of a number whose line is not complete.
    part: u64,
    pub count: u64,
    pub sum: u64,
}

impl Integers {
    pub(crate) fn read(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        for &byte in bytes {
            match byte {
                b'0'..=b'9' => self.part = self.part * 10 + u64::from(byte - b'0'),
                b'\n' => {
                    self.sum += self.part;
                    self.count += 1;
                    self.part = 0;
                }
                b':' | b'\r' => {}
                _ => bail!("Redis answers: {}", String::from_utf8_lossy(bytes)),
            }
        }
        Ok(())
    }
}

/// A push to a subscriber: `subscribe` and `message` have three elements, `pmessage` has four.
pub(crate) type Elements<'a> = [&'a [u8]; 4];

/// The elements of a push and its length in bytes, or `None` if it is not complete.
pub(crate) fn push(bytes: &[u8]) -> anyhow::Result<Option<(Elements<'_>, usize)>> {
    let mut elements: Elements<'_> = [b""; 4];
    let Some((count, mut at)) = number(bytes, 0, b"*>")? else { return Ok(None) };
    for element in elements.get_mut(..count).context("a push of more than four elements")? {
        let Some((length, start)) = number(bytes, at, b"$:")? else { return Ok(None) };
        if bytes[at] == b':' {
            *element = &bytes[at + 1..start - 2];
            at = start;
            continue;
        }
        let Some(word) = bytes.get(start..start + length) else { return Ok(None) };
        *element = word;
        at = start + length + 2;
    }
    Ok((at <= bytes.len()).then_some((elements, at)))
}

/// The number after one of these marks, and the position after its line.
fn number(bytes: &[u8], at: usize, marks: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(&mark) = bytes.get(at) else { return Ok(None) };
    if !marks.contains(&mark) {
        bail!("Redis sends: {}", String::from_utf8_lossy(&bytes[at..]));
    }
    let mut number = 0;
    for (position, &byte) in bytes.iter().enumerate().skip(at + 1) {
        match byte {
            b'\r' => {
                let end = position + 2;
                return Ok((end <= bytes.len()).then_some((number, end)));
            }
            _ => number = number * 10 + usize::from(byte.wrapping_sub(b'0')),
        }
    }
    Ok(None)
}

/// A connection for one question at a time.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(port: u16) -> anyhow::Result<Client> {
        Ok(Client(connect(port)?))
    }

    /// Returns the number at the end of the answer to `PUBSUB NUMSUB channel` or `PUBSUB NUMPAT`.
    pub(crate) fn last_number(&mut self, words: &[&str]) -> anyhow::Result<u64> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        let mut sent = Vec::new();
        command(&mut sent, &words);
        self.0.write_all(&sent)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self.0.read(&mut buffer)?;
            answer.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&answer);
            if read == 0 || text.starts_with('-') {
                bail!("Redis answers: {text}");
            }
            if let Some((_, number)) = text.rsplit_once(':')
                && let Some(number) = number.strip_suffix("\r\n")
            {
                return number.parse().with_context(|| format!("Redis answers: {text}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_read_when_it_is_complete() {
        let whole = b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n";
        for end in 0..whole.len() {
            assert_eq!(push(&whole[..end]).unwrap(), None, "{end}");
        }
        let elements: Elements<'_> = [b"pmessage", b"*", b"c", b"a\r\nb"];
        assert_eq!(push(whole).unwrap(), Some((elements, whole.len())));
        let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3";
        let elements: Elements<'_> = [b"subscribe", b"c", b"1", b""];
        assert_eq!(push(subscribed).unwrap(), Some((elements, subscribed.len() - 2)));
        assert!(push(b"-NOPERM\r\n").is_err());
    }

    #[test]
    fn numbers_are_counted_across_reads() {
        let mut integers = Integers::default();
        for piece in [&b":1\r\n:1"[..], b"2\r", b"\n:0\r\n"] {
            integers.read(piece).unwrap();
        }
        assert_eq!((integers.count, integers.sum), (3, 13));
        assert!(integers.read(b"-ERR no\r\n").is_err());
    }

    #[test]
    fn a_command() {
        let mut buffer = Vec::new();
        command(&mut buffer, &[b"PUBLISH", b"c", b"hi"]);
        assert_eq!(buffer, b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nhi\r\n");
    }
}
