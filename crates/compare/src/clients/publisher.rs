//! Publishes numbered messages, and knows which of them Redis took.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

use super::CHANNEL;
use super::fault::Stage;

/// Between two messages at the steady rate.
const INTERVAL: Duration = Duration::from_millis(50);
/// What a number is filled up to in the flood.
const LENGTH: usize = 100;

/// Publishes until told to stop, over a new connection whenever the old one breaks, and never
/// waits for an answer. Returns the numbers of the messages that Redis took.
pub(super) fn publish(stage: &Stage, first: u64, stop: &AtomicBool) -> Vec<u64> {
    let mut published = Vec::new();
    let mut next = first;
    while !stop.load(Ordering::Relaxed) {
        let connected = || {
            let (port, command) = stage.target().ok()??;
            Some((TcpStream::connect(("127.0.0.1", port)).ok()?, command))
        };
        let Some((mut stream, command)) = connected() else {
            sleep(Duration::from_millis(20));
            continue;
        };
        let Ok(answers) = stream.try_clone() else { continue };
        let _ = stream.set_nodelay(true);
        std::thread::scope(|scope| {
            let taken = read(scope, answers, next);
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) && !taken.is_finished() {
                if write!(stream, "{command} {CHANNEL} {next}\r\n").is_err() {
                    break;
                }
                next += 1;
                due += INTERVAL;
                sleep(due.saturating_duration_since(Instant::now()));
            }
            end(&mut stream);
            published.extend(taken.join().unwrap_or_default());
        });
    }
    published
}

/// Publishes so many messages as fast as Redis takes them.
pub(super) fn flood(port: u16, first: u64, count: u64) -> std::io::Result<Vec<u64>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    let answers = stream.try_clone()?;
    std::thread::scope(|scope| {
        let taken = read(scope, answers, first);
        let mut writer = std::io::BufWriter::with_capacity(1 << 16, stream);
        for number in first..first + count {
            write!(writer, "PUBLISH {CHANNEL} {number:.<LENGTH$}\r\n")?;
        }
        writer.flush()?;
        end(writer.get_mut());
        Ok(taken.join().unwrap_or_default())
    })
}

/// Reads an answer for each message. After an error (in a cluster: the slot has moved) and at the
/// end of the connection it stops.
fn read<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    answers: TcpStream,
    first: u64,
) -> ScopedJoinHandle<'scope, Vec<u64>> {
    scope.spawn(move || {
        let lines = BufReader::new(answers).lines().map_while(Result::ok);
        let taken = lines.take_while(|line| line.starts_with(':')).zip(first..);
        taken.map(|(_, number)| number).collect()
    })
}

/// Redis closes the connection after the last answer; a Redis that hangs or is gone does not.
fn end(stream: &mut TcpStream) {
    if stream.write_all(b"QUIT\r\n").is_err() {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
