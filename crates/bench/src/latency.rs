//! Latency: from publishing a message until its line was read from the reader's stdout. Both times
//! are taken by this process, so by the same clock.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local_redis::PATIENCE;
use redis::Connection;

use crate::messages::{self, CHANNEL, payload};
use crate::paired::{in_turn, ratio};
use crate::programs::{Bench, Program};
use crate::report::{Limit, Report, Table, factor, grouped, micros};

/// 1,000 messages a second.
const INTERVAL: Duration = Duration::from_millis(1);
const SIZE: usize = 64;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let (rounds, count) = bench.pick((5, 2000), (1, 100));
    let title = format!(
        "Latency from publishing to the printed line: {} messages of {SIZE} bytes, 1,000 a second",
        grouped(rounds as u64 * count)
    );
    let mut table = Table::new(&["", "p50", "× raw", "p99", "× raw", "p99.9"]);
    let readers = table.without_missing(bench.readers(CHANNEL)?);
    let runs = in_turn(&title, rounds, readers, |reader| run(bench, reader, count))?;

    for (reader, each) in &runs {
        let all = each.concat();
        let mut row = vec![reader.name.clone()];
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let ratio = ratio(each, &runs[0].1, |run| quantile(run, part));
            row.extend([micros(Some(quantile(&all, part))), factor(ratio)]);
            if reader.format.is_some() {
                let what = format!("latency, {}: {name}", reader.name);
                report.target(what, Limit::AtMost(1.3), "× raw reader", ratio);
            }
        }
        row.push(micros(Some(quantile(&all, 0.999))));
        table.row(row);
    }
    report.table("latency", &title, table);
    Ok(())
}

/// The value below which this part of the values lies.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() as f64 * part) as usize]
}

/// The latencies of one reader in seconds.
fn run(bench: &Bench, reader: &Program, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut subscribed = bench.subscribe(reader, Stdio::piped())?;
    let stdout = subscribed.running.process.child().stdout.take().context("no stdout")?;
    let (finished, printed) = mpsc::channel();
    // It ends with the process at the latest.
    spawn(move || drop(finished.send(read(stdout, count))));
    let published = publish(&mut subscribed.connection, count)?;
    let printed = printed
        .recv_timeout(PATIENCE)
        .with_context(|| format!("{} did not print all messages", reader.name))??;
    let pairs = published.into_iter().zip(printed);
    Ok(pairs.map(|(published, printed)| (printed - published).as_secs_f64()).collect())
}

/// Publishes messages at a constant rate, and returns the time of each.
fn publish(redis: &mut Connection, count: u64) -> anyhow::Result<Vec<Instant>> {
    let mut published = Vec::new();
    let start = Instant::now();
    for number in 0..count {
        let mut command = redis::cmd("PUBLISH");
        command.arg(CHANNEL.channel).arg(payload(number, SIZE));
        let bytes = command.get_packed_command();
        let due = start + INTERVAL * u32::try_from(number)?;
        sleep(due.saturating_duration_since(Instant::now()));
        // Read the answer before only now: waking up for it would disturb the reader.
        if number > 0 {
            redis.recv_response()?;
        }
        published.push(Instant::now());
        redis.send_packed_command(&bytes)?;
    }
    Ok(published)
}

/// Reads the lines of the messages, and returns the time of each.
fn read(stdout: ChildStdout, count: u64) -> anyhow::Result<Vec<Instant>> {
    let mut stdout = BufReader::new(stdout);
    let mut printed = Vec::new();
    let mut line = Vec::new();
    while (printed.len() as u64) < count {
        line.clear();
        ensure!(stdout.read_until(b'\n', &mut line)? > 0, "the reader ended");
        let now = Instant::now();
        let Some(number) = messages::number(&line, SIZE) else { continue };
        let expected = printed.len() as u64;
        ensure!(number == expected, "message {number} was printed instead of {expected}");
        printed.push(now);
    }
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values: Vec<_> = (0..1000).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.99, 0.999].map(|part| quantile(&values, part)), [500.0, 990.0, 999.0]);
        assert_eq!(quantile(&[1.0], 0.999), 1.0);
    }
}
