//! Drain: messages are published at once, as fast as Redis takes them, and each must be printed.
//! The time runs from the first byte that is published until the last line stands in the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_redis::LocalRedis;

use crate::blast::blast;
use crate::contestants::{Bench, Reader};
use crate::messages::{DIGITS, Kind, payload};
use crate::paired::{in_turn, median, ratio};
use crate::plot::Bar;
use crate::process::Measured;
use crate::report::{Limit, Outcome, Report, Table, factor, grouped, micros};
use crate::resp::Client;
use crate::start::wait_until_subscribed;

/// A reader that has printed nothing for so long, after all was published, has lost the rest.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How often the file is looked at: a hundredth of what a drain takes.
const LOOK: Duration = Duration::from_micros(500);

/// What is to be drained.
pub struct Drain<'a> {
    pub reader: Reader,
    pub kind: Kind,
    pub channels: &'a [String],
    pub readers: usize,
    pub count: u64,
    pub size: usize,
}

/// What came of it.
pub struct Drained {
    pub wall: Duration,
    /// Of all readers together, without what it takes to start them.
    pub cpu: Duration,
    /// The most memory that one of them had, in bytes, where it is known.
    pub peak: Option<u64>,
    pub lost: u64,
    /// How many lines should have been printed.
    pub lines: u64,
}

impl Drained {
    /// Seconds for each line.
    pub fn wall_each(&self) -> f64 {
        self.wall.as_secs_f64() / self.lines as f64
    }

    /// Seconds for each line.
    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() / self.lines as f64
    }
}

impl Drain<'_> {
    /// `Err` within says why there is no such reader.
    pub fn run(&self, bench: &Bench) -> anyhow::Result<Result<Drained, String>> {
        let redis = bench.redis()?;
        let idle = match self.start(bench, &redis)? {
            Ok(processes) => processes,
            Err(missing) => return Ok(Err(missing)),
        };
        let mut start_cpu = Duration::ZERO;
        for (process, _) in idle {
            start_cpu += process.kill()?.cpu;
        }
        let redis = bench.redis()?;
        let Ok(processes) = self.start(bench, &redis)? else {
            return Ok(Err("is gone".to_owned()));
        };

        let published = {
            let (port, channels) = (redis.port(), self.channels.to_vec());
            let (count, size) = (self.count, self.size);
            std::thread::spawn(move || blast(port, &channels, count, size))
        };
        let last = self.channels.len() as u64;
        let last = &self.channels[((self.count - 1) % last) as usize];
        let (before, after) = self.reader.around(self.kind, last);
        let last = format!("{before}{}{after}", payload(self.count - 1, self.size));
        let mut end = Instant::now();
        for (_, printed) in &processes {
            end = wait_for_last(printed, &last, || published.is_finished())?.max(end);
        }
        let (start, receivers) =
            published.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
        let lines = self.count * self.readers as u64;
        ensure!(receivers == lines, "Redis counted {receivers} receivers instead of {lines}");

        let mut drained =
            Drained { wall: end - start, cpu: Duration::ZERO, peak: None, lost: 0, lines };
        for (process, printed) in processes {
            drained.peak = drained.peak.max(process.peak_memory());
            drained.cpu += process.kill()?.cpu;
            drained.lost += self.lost(printed)?;
        }
        drained.cpu = drained.cpu.saturating_sub(start_cpu);
        Ok(Ok(drained))
    }

    /// Starts the readers and waits until they are subscribed. The files are what they print.
    fn start(
        &self,
        bench: &Bench,
        redis: &LocalRedis,
    ) -> anyhow::Result<Result<Vec<(Measured, File)>, String>> {
        let names: Vec<&str> = match self.kind {
            Kind::Channel => self.channels.iter().map(String::as_str).collect(),
            Kind::Pattern => vec![self.kind.name()],
        };
        let mut processes = Vec::new();
        for _ in 0..self.readers {
            let mut command = match bench.reader(self.reader, self.kind, redis, &names)? {
                Ok(command) => command,
                Err(missing) => return Ok(Err(missing)),
            };
            let (file, printed) = bench.file()?;
            processes.push((Measured::start(&mut command, file)?, printed));
        }
        // Redis subscribes to several in the order in which they are named.
        let last = &self.channels[self.channels.len() - 1];
        let readers = self.readers as u64;
        wait_until_subscribed(&mut Client::connect(redis.port())?, self.kind, last, readers)?;
        Ok(Ok(processes))
    }

    /// How many of the messages do not stand in the file, in order and whole.
    fn lost(&self, mut printed: impl Read + Seek) -> anyhow::Result<u64> {
        let around: Vec<_> =
            self.channels.iter().map(|channel| self.reader.around(self.kind, channel)).collect();
        // Channels take turns, and their names are of one length.
        let digits_at = around[0].0.len();
        let number = |line: &[u8]| {
            let digits = line.get(digits_at..digits_at + DIGITS)?;
            let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            let (before, after) = &around[(number % around.len() as u64) as usize];
            let payload = line.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes())?;
            let whole = payload.len() == self.size && payload[DIGITS..].iter().all(|&b| b == b'x');
            whole.then_some(number)
        };
        printed.rewind()?;
        let mut printed = BufReader::with_capacity(1 << 20, printed);
        let mut line = Vec::new();
        let (mut next, mut found) = (0, 0);
        loop {
            line.clear();
            if printed.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            // Between the messages stands what else a reader has to say.
            let Some(number) = number(&line) else { continue };
            ensure!(number >= next, "message {number} was printed after message {}", next - 1);
            next = number + 1;
            found += 1;
        }
        Ok(self.count - found)
    }
}

/// When the file ended with this line, or when nothing more came.
fn wait_for_last(
    mut file: &File,
    last: &str,
    all_published: impl Fn() -> bool,
) -> anyhow::Result<Instant> {
    let mut tail = vec![0; last.len()];
    let (mut size, mut grown) = (0, Instant::now());
    loop {
        let now = Instant::now();
        let size_now = file.metadata()?.len();
        if size_now > size {
            (size, grown) = (size_now, now);
            if let Some(start) = size.checked_sub(last.len() as u64) {
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(&mut tail)?;
                if tail == last.as_bytes() {
                    return Ok(now);
                }
            }
        }
        if all_published() && grown.elapsed() > GIVE_UP {
            return Ok(grown);
        }
        sleep(LOOK);
    }
}

/// Readers of a kind, drained of messages of a size.
pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    for kind in [Kind::Channel, Kind::Pattern] {
        for size in [64, 16, 1024] {
            compare(bench, report, kind, size)?;
        }
    }
    Ok(())
}

fn compare(bench: &Bench, report: &mut Report, kind: Kind, size: usize) -> anyhow::Result<()> {
    let channels = [kind.channel().to_owned()];
    let count = match size {
        // The files would be larger than what the system wants to keep in memory.
        1024 => bench.pick(100_000, 1000),
        _ => bench.pick(300_000, 1000),
    };
    // That of the targets has more rounds than the others.
    let rounds = bench.pick(if size == 64 { 7 } else { 5 }, 1);
    let title = format!("Drain: {} messages of {size} bytes, {}", grouped(count), kind.name());
    let runs = in_turn(&title, rounds, Reader::all(kind), |&reader| {
        let count = reader.share_of(count);
        Drain { reader, kind, channels: &channels, readers: 1, count, size }.run(bench)
    })?;

    let header = ["", "wall a message", "× floor", "CPU a message", "× floor", "lost"];
    let mut table = Table::new(&header);
    let mut floor: Vec<Drained> = Vec::new();
    for (&reader, runs) in Reader::all(kind).iter().zip(runs) {
        let name = reader.name(kind);
        let in_page = format!("drain_cpu_{}", reader.key());
        let runs: Vec<_> = match runs.into_iter().collect::<Result<_, _>>() {
            Ok(runs) => runs,
            Err(missing) => {
                table.missing(name, &missing);
                report.figure(in_page, "(not measured)");
                continue;
            }
        };
        let lost: u64 = runs.iter().map(|run| run.lost).sum();
        // Who has lost some has no time to show.
        let if_complete = |figure: Option<f64>| figure.filter(|_| lost == 0);
        let of = if reader == Reader::Floor { &runs } else { &floor };
        let wall = if_complete(ratio(&runs, of, Drained::wall_each));
        let cpu = if_complete(ratio(&runs, of, Drained::cpu_each));
        let wall_each = if_complete(median(runs.iter().map(Drained::wall_each)));
        let cpu_each = if_complete(median(runs.iter().map(Drained::cpu_each)));
        table.row([
            reader.name_with_share(kind),
            micros(wall_each),
            factor(wall),
            micros(cpu_each),
            factor(cpu),
            match lost {
                0 => "0".to_owned(),
                _ => {
                    let all = runs.iter().map(|run| run.lines).sum();
                    format!("{} of {}", grouped(lost), grouped(all))
                }
            },
        ]);
        if matches!(reader, Reader::Text | Reader::Json) && size == 64 {
            let outcome = |ratio: Option<f64>| match lost {
                0 => Outcome::from(ratio),
                _ => Outcome::Lost,
            };
            let target = format!("drain, {name}");
            let (wall, cpu) = (outcome(wall), outcome(cpu));
            report.target(format!("{target}: wall"), wall, "× floor", Limit::AtMost(1.5));
            report.target(format!("{target}: CPU"), cpu, "× floor", Limit::AtMost(6.0));
        }
        if kind == Kind::Channel && size == 64 {
            let figure = if lost == 0 { micros(cpu_each) } else { "(lost messages)".to_owned() };
            report.figure(in_page, figure);
            report.plot.drain.push(Bar { name: name.replace('`', ""), ratios: wall.zip(cpu) });
        }
        if reader == Reader::Floor {
            floor = runs;
        }
    }
    report.table("drain", title, table);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// What is lost of three messages, where this is printed.
    fn lost(printed: &[(u64, &str)]) -> anyhow::Result<u64> {
        let mut text = "Subscribed successfully to 'a'.\n".to_owned();
        for (number, channel) in printed {
            text += &format!("Received on channel '{channel}': {}\n", payload(*number, 16));
        }
        let channels = ["a".to_owned(), "b".to_owned()];
        let (reader, kind) = (Reader::Text, Kind::Channel);
        let drain = Drain { reader, kind, channels: &channels, readers: 1, count: 3, size: 16 };
        drain.lost(Cursor::new(text))
    }

    #[test]
    fn what_was_not_printed_is_lost() {
        assert_eq!(lost(&[(0, "a"), (1, "b"), (2, "a")]).unwrap(), 0);
        assert_eq!(lost(&[(0, "a"), (2, "a")]).unwrap(), 1);
        assert_eq!(lost(&[]).unwrap(), 3);
        // On a channel on which it was not published.
        assert_eq!(lost(&[(0, "a"), (1, "a"), (2, "a")]).unwrap(), 1);
    }

    #[test]
    fn another_order_or_twice_is_an_error() {
        assert!(lost(&[(1, "b"), (0, "a")]).is_err());
        assert!(lost(&[(0, "a"), (0, "a")]).is_err());
    }
}
