//! Publishes as fast as Redis takes it, on one pipelined connection.

use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};

use crate::messages::{DIGITS, payload};
use crate::resp::{Integers, command, connect};

/// How much is handed to the kernel at once.
const CHUNK: usize = 64 * 1024;

/// Publishes messages with the numbers from 0 on, on these channels in turn (their names must be
/// of one length). Returns when the first byte went out and how many receivers Redis counted.
pub fn blast(
    port: u16,
    channels: &[String],
    count: u64,
    size: usize,
) -> anyhow::Result<(Instant, u64)> {
    let mut stream = connect(port)?;
    let mut answers_stream = stream.try_clone()?;
    // Redis stops reading from a client that does not read its answers.
    let answers = thread::spawn(move || -> anyhow::Result<u64> {
        let mut answers = Integers::default();
        let mut bytes = vec![0; CHUNK];
        while answers.answers < count {
            match answers_stream.read(&mut bytes)? {
                0 => bail!("Redis has closed the connection"),
                read => answers.read(&bytes[..read], |_| ())?,
            }
        }
        Ok(answers.sum)
    });

    // Made once: formatting each message would take a good part of the machine.
    let mut commands = Vec::new();
    for channel in channels {
        let mut one = Vec::new();
        command(&mut one, &[b"PUBLISH", channel.as_bytes(), payload(0, size).as_bytes()]);
        commands.push(one);
    }
    let first = commands.first().context("no channel")?;
    let number_at = first.len() - 2 - size;
    ensure!(size >= DIGITS, "no room for a number in {size} bytes");

    let mut chunk = Vec::with_capacity(CHUNK + first.len());
    let mut digits = [b'0'; DIGITS];
    let mut next = commands.iter().cycle();
    let start = Instant::now();
    for _ in 0..count {
        let Some(one) = next.next() else { break };
        let at = chunk.len() + number_at;
        chunk.extend_from_slice(one);
        chunk[at..at + DIGITS].copy_from_slice(&digits);
        increment(&mut digits);
        if chunk.len() >= CHUNK {
            stream.write_all(&chunk)?;
            chunk.clear();
        }
    }
    stream.write_all(&chunk)?;
    let receivers = answers.join().map_err(|_| anyhow!("the reader of answers panicked"))??;
    Ok((start, receivers))
}

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
    fn numbers_go_up_by_one() {
        let mut digits = *b"0000000998";
        for expected in [b"0000000999", b"0000001000", b"0000001001"] {
            increment(&mut digits);
            assert_eq!(&digits, expected);
        }
        assert_eq!(payload(1001, 16), "0000001001xxxxxx");
    }
}
