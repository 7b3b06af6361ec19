//! Drain: publishes many messages at once, as fast as Redis takes them, until a reader has printed
//! the last one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use crate::messages::{self, CHANNEL, Kind, PATTERN, payload};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, Format, Program, Subscribed, file, rivals};
use crate::raw;
use crate::report::{Limit, Report, Table, factor, grouped, micros};

/// If a reader prints nothing for this long after the last message was published, the rest is lost.
const GIVE_UP: Duration = Duration::from_secs(5);

/// The pause between two looks at the output.
const CHECK: Duration = Duration::from_micros(500);

/// A kind of subscription, messages, and bytes in each message.
pub(crate) type Load = (Kind, u64, usize);

/// All messages of a drain fit into the memory of a small machine.
const DRAINS: [Load; 6] = [
    (CHANNEL, 300_000, 64),
    (CHANNEL, 300_000, 16),
    (CHANNEL, 100_000, 1024),
    (CHANNEL, LARGEST, 1024),
    (PATTERN, 300_000, 64),
    (PATTERN, 300_000, 16),
];

/// Only the raw reader and the services drain so many: the others would take too long.
const LARGEST: u64 = 500_000;

pub(crate) struct Drained {
    /// From the first byte published to the last line printed, in seconds per message.
    pub wall: f64,
    /// Of the reader, without its start, in seconds per message.
    pub cpu: f64,
    /// In MiB, where it is known.
    pub peak_memory: Option<f64>,
    /// The reader's share of the messages.
    pub count: u64,
    pub lost: u64,
}

/// Drains with one reader, which gets its share of the messages.
pub(crate) fn drain(bench: &Bench, reader: &Program, load: Load) -> anyhow::Result<Drained> {
    let (kind, count, size) = load;
    let count = (count / reader.share).max(1);
    let idle = bench.subscribe(reader, file()?.0)?;
    let start_cpu = idle.running.kill()?.cpu;
    drop(idle.redis);

    let (file, printed) = file()?;
    let Subscribed { redis, running, .. } = bench.subscribe(reader, file)?;
    let port = redis.port();
    let published = spawn(move || raw::publish(port, kind.channel, count, size));
    let end = wait_for(&printed, &payload(count - 1, size), || published.is_finished())?;
    let (start, receivers) = published.join().map_err(|_| anyhow!("the publisher panicked"))??;
    ensure!(receivers == count, "Redis counted {receivers} receivers instead of {count}");

    let peak_memory = running.peak_memory();
    let cpu = (running.kill()?.cpu - start_cpu).max(0.0);
    Ok(Drained {
        wall: (end - start).as_secs_f64() / count as f64,
        cpu: cpu / count as f64,
        peak_memory,
        count,
        lost: count - count_messages(printed, size)?,
    })
}

/// Returns the time at which the last line has this payload, or at which the output stopped.
fn wait_for(
    output: &File,
    last: &str,
    all_published: impl Fn() -> bool,
) -> anyhow::Result<Instant> {
    // Has room for the end of a line of JSON.
    let mut tail = vec![0; last.len() + 64];
    let (mut size, mut grown) = (0, Instant::now());
    loop {
        let now = Instant::now();
        let size_now = output.metadata()?.len();
        if size_now > size {
            (size, grown) = (size_now, now);
            let start = size.saturating_sub(tail.len() as u64);
            let read = output.read_at(&mut tail, start)?;
            let tail = &tail[..read];
            let is_there = tail.windows(last.len()).any(|bytes| bytes == last.as_bytes());
            if is_there && tail.ends_with(b"\n") {
                return Ok(now);
            }
        }
        if all_published() && grown.elapsed() > GIVE_UP {
            return Ok(grown);
        }
        sleep(CHECK);
    }
}

/// Counts the messages that were printed whole, and checks their order.
fn count_messages(output: impl Read, size: usize) -> anyhow::Result<u64> {
    let mut output = BufReader::with_capacity(1 << 20, output);
    let mut line = Vec::new();
    let (mut next, mut count) = (0, 0);
    while output.read_until(b'\n', &mut line)? > 0 {
        // Readers print other lines too, such as confirmations.
        if let Some(number) = messages::number(&line, size) {
            ensure!(number >= next, "message {number} was printed after message {}", next - 1);
            next = number + 1;
            count += 1;
        }
        line.clear();
    }
    Ok(count)
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    for (kind, count, size) in DRAINS {
        let mut readers = bench.readers(kind)?;
        match count {
            LARGEST => readers.truncate(3),
            _ if kind == CHANNEL => readers.extend(rivals()),
            _ => {}
        }
        let count = count / bench.pick(1, 300);
        let rounds = bench.pick(if size == 64 { 7 } else { 5 }, 1);
        let title = format!("Drain: {} messages of {size} bytes, {}", grouped(count), kind.name);
        let header = ["", "wall a message", "× raw", "CPU a message", "× raw", "lost"];
        let mut table = Table::new(&header);
        let readers = table.without_missing(readers);
        let run = |reader: &Program| drain(bench, reader, (kind, count, size));
        let runs = in_turn(&title, rounds, readers, run)?;
        for (reader, each) in &runs {
            let all: u64 = each.iter().map(|run| run.count).sum();
            let lost: u64 = each.iter().map(|run| run.lost).sum();
            // A time without all messages is not comparable.
            let complete = |figure: Option<f64>| figure.filter(|_| lost == 0);
            let wall = complete(ratio(each, &runs[0].1, |run| run.wall));
            let cpu = complete(ratio(each, &runs[0].1, |run| run.cpu));
            table.row([
                reader.name_with_share(),
                micros(complete(median(each.iter().map(|run| run.wall)))),
                factor(wall),
                micros(complete(median(each.iter().map(|run| run.cpu)))),
                factor(cpu),
                match lost {
                    0 => "0".to_owned(),
                    _ => format!("{} of {}", grouped(lost), grouped(all)),
                },
            ]);
            let [wall_limit, cpu_limit] = limits(reader, size);
            for (figure, ratio, limit) in [("wall", wall, wall_limit), ("CPU", cpu, cpu_limit)] {
                let Some(limit) = limit else { continue };
                let messages = format!("{} × {size} bytes", grouped(count));
                let what = format!("drain, {messages}, {}: {figure}", reader.name);
                let measured = if lost == 0 { ratio } else { Some(f64::INFINITY) };
                report.target(what, Limit::AtMost(limit), "× raw reader", measured);
            }
            if (kind, size) == (CHANNEL, 64) {
                report.dots.push((reader.name.replace('`', ""), wall.zip(cpu)));
            }
        }
        report.table("drain", &title, table);
    }
    Ok(())
}

/// The targets for wall time and CPU, as multiples of those of the raw reader.
fn limits(reader: &Program, size: usize) -> [Option<f64>; 2] {
    match (reader.format, size) {
        (None, _) => [None, None],
        (Some(Format::Text), 64) => [Some(1.15), Some(2.5)],
        (Some(Format::Json), 64) => [Some(1.15), Some(3.0)],
        (_, 16) => [None, Some(4.0)],
        _ => [Some(1.15), None],
    }
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
