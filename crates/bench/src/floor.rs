//! The floor: what a reader and a writer cost that do nothing but the work itself, blocking,
//! without a runtime, a queue, a reconnect or an error message. Each is a process of its own, this
//! executable started again, so that it is measured as the others are.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Command;

use anyhow::{Context, bail};

use crate::messages::{self, Kind};
use crate::resp::{Elements, Integers, command, connect, push};

/// The hidden first argument.
pub const ROLE: &str = "--floor";

/// What one read takes, and about what one write does.
const BUFFER: usize = 64 * 1024;

pub fn reader(kind: Kind, port: u16, names: &[&str]) -> anyhow::Result<Command> {
    let mut command = itself(port)?;
    command.arg(kind.subscribe()).args(names);
    Ok(command)
}

pub fn writer(port: u16, count: u64, size: usize, depth: u64) -> anyhow::Result<Command> {
    let mut command = itself(port)?;
    command.args(["PUBLISH", &count.to_string(), &size.to_string(), &depth.to_string()]);
    Ok(command)
}

fn itself(port: u16) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.args([ROLE, &port.to_string()]);
    Ok(command)
}

/// What the process does that was started with these arguments.
pub fn main(arguments: &[String]) -> anyhow::Result<()> {
    let [port, what, rest @ ..] = arguments else { bail!("no port") };
    let port = port.parse()?;
    match (what.as_str(), rest) {
        ("PUBLISH", [count, size, depth]) => {
            write(port, count.parse()?, size.parse()?, depth.parse()?)
        }
        (subscribe, names) => read(port, subscribe, names),
    }
}

/// Subscribes, and prints every message.
fn read(port: u16, subscribe: &str, names: &[String]) -> anyhow::Result<()> {
    let mut stdout = stdout()?;
    let mut stream = connect(port)?;
    let mut words = vec![subscribe.as_bytes()];
    words.extend(names.iter().map(|name| name.as_bytes()));
    let mut sent = Vec::new();
    command(&mut sent, &words);
    stream.write_all(&sent)?;

    let mut bytes = vec![0; BUFFER];
    let mut filled = 0;
    let mut lines = Vec::with_capacity(2 * BUFFER);
    loop {
        if filled == bytes.len() {
            bytes.resize(2 * filled, 0);
        }
        let read = stream.read(&mut bytes[filled..])?;
        if read == 0 {
            bail!("Redis has closed the connection");
        }
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

/// The line that the services print.
fn line(lines: &mut Vec<u8>, elements: Elements) {
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

/// Publishes, with at most this many messages on their way, and prints how many receivers each
/// one had.
fn write(port: u16, count: u64, size: usize, depth: u64) -> anyhow::Result<()> {
    let mut stdout = stdout()?;
    let mut stream = connect(port)?;
    let payload = messages::filler(size);
    let mut one = Vec::new();
    command(&mut one, &[b"PUBLISH", messages::CHANNEL.as_bytes(), payload.as_bytes()]);

    let mut answers = Integers::default();
    let mut published = 0;
    let mut sent = Vec::new();
    let mut bytes = vec![0; BUFFER];
    let mut lines = Vec::with_capacity(2 * BUFFER);
    while answers.answers < count {
        sent.clear();
        while published < count && published - answers.answers < depth {
            sent.extend_from_slice(&one);
            published += 1;
        }
        stream.write_all(&sent)?;
        let read = stream.read(&mut bytes)?;
        if read == 0 {
            bail!("Redis has closed the connection");
        }
        answers.read(&bytes[..read], |receivers| {
            // Writing to a Vec never fails.
            let _ = writeln!(lines, "Published: {payload} ({receivers} receivers)");
        })?;
        if lines.len() >= BUFFER {
            stdout.write_all(&lines)?;
            lines.clear();
        }
    }
    stdout.write_all(&lines)?;
    Ok(())
}

/// Rust's own stdout looks for the end of the last line in whatever it is given.
fn stdout() -> anyhow::Result<File> {
    Ok(File::from(std::io::stdout().as_fd().try_clone_to_owned()?))
}
