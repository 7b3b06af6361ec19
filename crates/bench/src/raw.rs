//! The raw reader and the raw writer, which the other programs are compared with. They use blocking
//! sockets, without a runtime, a queue or a reconnect. To measure them like the others, the
//! benchmark starts its own executable again.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};

use crate::messages::{CHANNEL, DIGITS, Kind, payload};
use crate::resp::{Elements, Integers, command, connect, push};

/// The hidden first argument.
pub(crate) const ROLE: &str = "--raw";

/// Bytes in one read, and about as many in one write.
const BUFFER: usize = 64 * 1024;

pub(crate) fn reader(kind: Kind, port: u16) -> anyhow::Result<Command> {
    itself(port, &[kind.subscribe(), kind.name()])
}

pub(crate) fn writer(port: u16, count: u64, size: usize) -> anyhow::Result<Command> {
    itself(port, &["PUBLISH", &count.to_string(), &size.to_string()])
}

fn itself(port: u16, arguments: &[&str]) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot find the benchmark's executable")?;
    let mut command = Command::new(program);
    command.args([ROLE, &port.to_string()]).args(arguments);
    Ok(command)
}

/// Runs the raw reader or the raw writer, with the arguments from above.
pub(crate) fn main(arguments: &[String]) -> anyhow::Result<()> {
    match arguments {
        [port, publish, count, size] if publish == "PUBLISH" => {
            let count = count.parse()?;
            self::publish(port.parse()?, CHANNEL, count, size.parse()?)?;
            println!("Published {count} messages.");
            Ok(())
        }
        [port, subscribe, name] => read(port.parse()?, subscribe, name),
        _ => bail!("wrong arguments: {arguments:?}"),
    }
}

/// Subscribes, and prints each message.
fn read(port: u16, subscribe: &str, name: &str) -> anyhow::Result<()> {
    // Rust's own stdout searches everything it writes for the end of the last line.
    let mut stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let mut stream = connect(port)?;
    let mut sent = Vec::new();
    command(&mut sent, &[subscribe.as_bytes(), name.as_bytes()]);
    stream.write_all(&sent)?;

    let mut bytes = vec![0; BUFFER];
    let mut filled = 0;
    let mut lines = Vec::with_capacity(2 * BUFFER);
    loop {
        if filled == bytes.len() {
            bytes.resize(2 * filled, 0);
        }
        let read = stream.read(&mut bytes[filled..])?;
        ensure!(read > 0, "Redis closed the connection");
        filled += read;
        let mut at = 0;
        while let Some((elements, length)) = push(&bytes[at..filled])? {
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
fn line(lines: &mut Vec<u8>, elements: Elements<'_>) {
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

/// Publishes numbered messages as fast as Redis takes them. Returns the time of the first write,
/// and the sum of the receivers that Redis reported.
pub(crate) fn publish(
    port: u16,
    channel: &str,
    count: u64,
    size: usize,
) -> anyhow::Result<(Instant, u64)> {
    let mut stream = connect(port)?;
    let mut answers_stream = stream.try_clone()?;
    // Redis stops reading from a client that does not read its answers.
    let answers = thread::spawn(move || -> anyhow::Result<u64> {
        let mut answers = Integers::default();
        let mut bytes = vec![0; BUFFER];
        while answers.count < count {
            let read = answers_stream.read(&mut bytes)?;
            ensure!(read > 0, "Redis closed the connection");
            answers.read(&bytes[..read])?;
        }
        Ok(answers.sum)
    });

    ensure!(size >= DIGITS, "no room for a number in {size} bytes");
    let mut one = Vec::new();
    command(&mut one, &[b"PUBLISH", channel.as_bytes(), payload(0, size).as_bytes()]);
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
    let receivers = answers.join().map_err(|_| anyhow!("the reader of answers panicked"))??;
    Ok((start, receivers))
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
}
