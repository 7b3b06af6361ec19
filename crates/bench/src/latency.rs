//! Latency: from the moment at which a message is published until its line has been read from the
//! reader's stdout. Both moments are taken by this process, so by the same clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use local_redis::{LocalRedis, PATIENCE};

use crate::contestants::{Bench, Reader};
use crate::messages::{DIGITS, Kind, payload};
use crate::paired::{in_turn, ratio};
use crate::process::Measured;
use crate::report::{Limit, Report, Table, factor, grouped};
use crate::resp::{Client, Integers, command, connect};
use crate::start::wait_until_subscribed;

/// A thousand a second.
const EVERY: Duration = Duration::from_millis(1);
const SIZE: usize = 64;
const KIND: Kind = Kind::Channel;

/// Nanoseconds.
type Latencies = Histogram<u64>;

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let (rounds, count) = bench.pick((5, 2000), (1, 100_u64));
    let title = format!(
        "Latency from publishing to the printed line: {} messages of {SIZE} bytes, 1,000 a second",
        grouped(rounds as u64 * count)
    );
    let runs = in_turn(&title, rounds, Reader::all(KIND), |&reader| run(bench, reader, count))?;

    let header = ["", "p50", "× floor", "p99", "× floor", "p99.9"];
    let mut table = Table::new(&header);
    let mut floor: Vec<Latencies> = Vec::new();
    for (&reader, runs) in Reader::all(KIND).iter().zip(runs) {
        let name = reader.name(KIND);
        let runs: Vec<_> = match runs.into_iter().collect::<Result<_, _>>() {
            Ok(runs) => runs,
            Err(missing) => {
                table.missing(name, &missing);
                continue;
            }
        };
        let mut all = new_histogram()?;
        for run in &runs {
            all.add(run)?;
        }
        let of = if reader == Reader::Floor { &runs } else { &floor };
        let at = |quantile| move |run: &Latencies| run.value_at_quantile(quantile) as f64;
        let (p50, p99) = (ratio(&runs, of, at(0.5)), ratio(&runs, of, at(0.99)));
        let shown = |quantile| format!("{:.0} µs", at(quantile)(&all) / 1e3);
        let name = name.to_owned();
        table.row([name.clone(), shown(0.5), factor(p50), shown(0.99), factor(p99), shown(0.999)]);
        if matches!(reader, Reader::Text | Reader::Json) {
            report.target(format!("latency, {name}: p50"), p50, "× floor", Limit::AtMost(1.3));
            report.target(format!("latency, {name}: p99"), p99, "× floor", Limit::AtMost(1.5));
        }
        if reader == Reader::Floor {
            floor = runs;
        }
    }
    report.table("latency", title, table);
    Ok(())
}

/// To three digits, up to a minute.
fn new_histogram() -> anyhow::Result<Latencies> {
    Ok(Histogram::new_with_max(60_000_000_000, 3)?)
}

/// `Err` within says why there is no such reader.
fn run(bench: &Bench, reader: Reader, count: u64) -> anyhow::Result<Result<Latencies, String>> {
    let redis = bench.redis()?;
    let mut client = Client::connect(redis.port())?;
    let mut command = match bench.reader(reader, KIND, &redis, &[KIND.name()])? {
        Ok(command) => command,
        Err(missing) => return Ok(Err(missing)),
    };
    let mut process = Measured::start(&mut command, Stdio::piped())?;
    let stdout = process.process().child().stdout.take().context("no stdout")?;
    wait_until_subscribed(&mut client, KIND, KIND.channel(), 1)?;

    let (before, _) = reader.around(KIND, KIND.channel());
    let (finished, printed) = mpsc::channel();
    // It ends with the process at the latest.
    spawn(move || drop(finished.send(read(stdout, &before, count))));
    let published = publish(&redis, count)?;
    let printed = printed
        .recv_timeout(PATIENCE)
        .with_context(|| format!("{} did not print all messages", reader.name(KIND)))??;
    process.kill()?;

    let mut latencies = new_histogram()?;
    for (published, printed) in published.into_iter().zip(printed) {
        latencies.record(printed.duration_since(published).as_nanos().try_into()?)?;
    }
    Ok(Ok(latencies))
}

/// Publishes numbered messages at their times, and returns when each went out.
fn publish(redis: &LocalRedis, count: u64) -> anyhow::Result<Vec<Instant>> {
    let mut stream = connect(redis.port())?;
    let mut answers = Integers::default();
    let mut published = Vec::with_capacity(count as usize);
    let mut bytes = Vec::new();
    let mut answer = [0; 64];
    let start = Instant::now();
    for number in 0..count {
        bytes.clear();
        let payload = payload(number, SIZE);
        command(&mut bytes, &[b"PUBLISH", KIND.channel().as_bytes(), payload.as_bytes()]);
        let due = start + EVERY * u32::try_from(number)?;
        sleep(due.saturating_duration_since(Instant::now()));
        // Read only now: this process would wake up for it while the reader is at work.
        while answers.answers < number {
            let read = stream.read(&mut answer)?;
            ensure!(read > 0, "Redis has closed the connection");
            answers.read(&answer[..read], |_| ())?;
        }
        published.push(Instant::now());
        stream.write_all(&bytes)?;
    }
    Ok(published)
}

/// Reads the lines of numbered messages, and returns when each came.
fn read(stdout: ChildStdout, before: &str, count: u64) -> anyhow::Result<Vec<Instant>> {
    let mut stdout = BufReader::new(stdout);
    let mut printed = Vec::with_capacity(count as usize);
    let mut line = Vec::new();
    while (printed.len() as u64) < count {
        line.clear();
        ensure!(stdout.read_until(b'\n', &mut line)? > 0, "the reader has ended");
        let now = Instant::now();
        // Before the messages stands what else a reader has to say.
        let Some(payload) = line.strip_prefix(before.as_bytes()) else { continue };
        let expected = format!("{:0DIGITS$}", printed.len());
        let number = String::from_utf8_lossy(&payload[..DIGITS.min(payload.len())]);
        ensure!(number == expected, "message {number} was printed instead of {expected}");
        printed.push(now);
    }
    Ok(printed)
}
