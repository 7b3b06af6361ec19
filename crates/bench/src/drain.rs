//! Drain: publishes many messages at once, as fast as Redis takes them, until a reader has printed
//! the last one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use local_redis::{Leashed, Signal};

use crate::messages::{self, CHANNEL, Load, PATTERN, payload};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, Program, Subscribed, cpu, file, rivals};
use crate::raw;
use crate::report::{Report, factor, grouped, micros};

const HEADER: [&str; 6] = ["", "wall a message", "× raw", "CPU a message", "× raw", "lost"];

/// All messages of a drain fit into the memory of a small machine.
const DRAINS: [Load; 6] = [
    (CHANNEL, 300_000, 64),
    (CHANNEL, 300_000, 16),
    (CHANNEL, 100_000, 1024),
    (CHANNEL, 500_000, 1024),
    (PATTERN, 300_000, 64),
    (PATTERN, 300_000, 16),
];

pub(crate) struct Drained {
    /// From the first byte published to the last line printed, in seconds per message.
    wall: f64,
    /// Of the reader, without its start, in seconds per message.
    cpu: f64,
    /// In bytes, where it is known.
    pub peak_memory: Option<u64>,
    /// The reader's share of the messages.
    count: u64,
    pub lost: u64,
}

/// Drains with one reader, which gets its share of the messages.
pub(crate) fn drain(bench: &Bench, reader: &Program, load: Load) -> anyhow::Result<Drained> {
    let (kind, count, size) = load;
    let count = (count / reader.share).max(1);
    let start_cpu = kill(bench.subscribe(reader, file()?.into())?.process)?;

    let mut output = file()?;
    let Subscribed { redis, process, .. } = bench.subscribe(reader, output.try_clone()?.into())?;
    let port = redis.port();
    let published = spawn(move || raw::publish(port, (kind, count, size)));
    let end = wait_for(&output, &payload(count - 1, size), || published.is_finished())?;
    let (start, receivers) = published.join().map_err(|_| anyhow!("the publisher panicked"))??;
    ensure!(receivers == count, "Redis counted {receivers} receivers instead of {count}");

    let peak_memory = process.peak_memory();
    let cpu = (kill(process)? - start_cpu).max(0.0) / count as f64;
    let wall = (end - start).as_secs_f64() / count as f64;
    output.rewind()?;
    let lost = count - count_messages(output, size)?;
    Ok(Drained { wall, cpu, peak_memory, count, lost })
}

/// Kills a process, so that its shutdown costs nothing, and returns its CPU time.
fn kill(mut process: Leashed) -> anyhow::Result<f64> {
    process.signal(Signal::KILL);
    cpu(&mut process)
}

/// Returns the time at which the last line contains this text. If all messages were published
/// (`done`), and nothing was printed for 5 s, the rest is lost: returns the time of the last output.
pub(crate) fn wait_for(output: &File, last: &str, done: impl Fn() -> bool) -> io::Result<Instant> {
    // Has room for the end of a line of JSON.
    let mut tail = vec![0; last.len() + 64];
    let (mut size, mut grown) = (0, Instant::now());
    while !done() || grown.elapsed() < Duration::from_secs(5) {
        let now = Instant::now();
        let size_now = output.metadata()?.len();
        if size_now > size {
            (size, grown) = (size_now, now);
            let start = size.saturating_sub(tail.len() as u64);
            let read = output.read_at(&mut tail, start)?;
            let tail = String::from_utf8_lossy(&tail[..read]);
            if tail.contains(last) && tail.ends_with('\n') {
                break;
            }
        }
        sleep(Duration::from_micros(500));
    }
    Ok(grown)
}

/// Counts the messages that were printed whole, and checks their order.
fn count_messages(output: impl Read, size: usize) -> anyhow::Result<u64> {
    let (mut next, mut count) = (0, 0);
    for line in BufReader::with_capacity(1 << 20, output).split(b'\n') {
        // Readers print other lines too, such as confirmations.
        let Some(number) = messages::number(&line?, size) else { continue };
        ensure!(number >= next, "message {number} was printed after message {}", next - 1);
        (next, count) = (number + 1, count + 1);
    }
    Ok(count)
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    for (kind, count, size) in DRAINS {
        let mut readers = bench.readers(kind);
        if count > 300_000 {
            // Only the raw reader and the services: the others would take too long.
            readers.truncate(3);
        } else if kind == CHANNEL {
            readers.extend(rivals());
        }
        let count = count / bench.pick(1, 300);
        let rounds = bench.pick(if size == 64 { 7 } else { 5 }, 1);
        let title = format!("Drain: {} messages of {size} bytes, {}", grouped(count), kind.name);
        let run = |reader: &Program| drain(bench, reader, (kind, count, size));
        let runs = in_turn(&title, rounds, readers, run)?;
        let (mut rows, mut bars) = (Vec::new(), String::new());
        for (reader, each) in &runs {
            let all: u64 = each.iter().map(|run| run.count).sum();
            let lost: u64 = each.iter().map(|run| run.lost).sum();
            // A time without all messages is not comparable.
            let complete = |figure: Option<f64>| figure.filter(|_| lost == 0);
            let wall = complete(ratio(each, &runs[0].1, |run| run.wall));
            let cpu = complete(ratio(each, &runs[0].1, |run| run.cpu));
            rows.push(reader.row(vec![
                reader.name_with_share(),
                micros(complete(median(each.iter().map(|run| run.wall)))),
                factor(wall),
                micros(complete(median(each.iter().map(|run| run.cpu)))),
                factor(cpu),
                match lost {
                    0 => "0".to_owned(),
                    _ => format!("{} of {}", grouped(lost), grouped(all)),
                },
            ]));
            let limits: &[_] = match (reader.json, size) {
                (None, _) => &[],
                (Some(false), 64) => &[("wall", wall, 1.15), ("CPU", cpu, 2.5)],
                (Some(true), 64) => &[("wall", wall, 1.15), ("CPU", cpu, 3.0)],
                (_, 16) => &[("CPU", cpu, 4.0)],
                _ => &[("wall", wall, 1.15)],
            };
            for (figure, ratio, limit) in limits {
                let messages = format!("{} × {size} bytes", grouped(count));
                let what = format!("drain, {messages}, {}: {figure}", reader.name);
                let measured = if lost == 0 { *ratio } else { Some(f64::INFINITY) };
                report.target(what, measured, ("at most", *limit, "× raw reader"));
            }
            if (kind, size) == (CHANNEL, 64) && reader.template.is_ok() {
                let (name, blocks) = (reader.name.replace('`', ""), cpu.unwrap_or_default());
                let blocks = "█".repeat(blocks.round() as usize);
                bars += &format!("{name:40} {blocks} {}\n", factor(cpu));
            }
        }
        if !bars.is_empty() {
            let title = "CPU time for each 64-byte message, in multiples of the raw reader \
                (–: messages were lost):";
            report.add("bars", &format!("{title}\n\n```text\n{bars}```"));
        }
        report.table("drain", &title, &HEADER, rows);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn printed(numbers: &[u64]) -> anyhow::Result<u64> {
        let lines = numbers.iter().map(|it| format!("Received: {}\n", payload(*it, 16)));
        let text = "Subscribed successfully to 'a'.\n".to_owned() + &lines.collect::<String>();
        count_messages(Cursor::new(text), 16)
    }

    #[test]
    fn a_missing_message_is_not_counted() {
        assert_eq!(printed(&[0, 1, 2]).unwrap(), 3);
        assert_eq!(printed(&[0, 2]).unwrap(), 2);
        assert_eq!(printed(&[]).unwrap(), 0);
    }

    #[test]
    fn another_order_or_a_repeated_message_is_an_error() {
        assert!(printed(&[1, 0]).is_err());
        assert!(printed(&[0, 0]).is_err());
    }
}
