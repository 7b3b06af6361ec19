//! Latency: from publishing a message until its line was read from the reader's stdout. This process
//! takes both times, so they come from the same clock.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
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

/// Between two messages: 1,000 a second.
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
    let (printed, lines) = mpsc::channel();
    // The thread ends with the process at the latest.
    spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let _ = printed.send((Instant::now(), messages::number(&line, SIZE)));
        }
    });
    let published = publish(&mut subscribed.connection, count)?;
    let mut latencies = Vec::new();
    while latencies.len() < published.len() {
        let (printed, number) = lines
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} did not print all messages", reader.name))?;
        // Readers print other lines too, such as confirmations.
        let Some(number) = number else { continue };
        let expected = latencies.len();
        ensure!(number == expected as u64, "message {number} was printed instead of {expected}");
        latencies.push((printed - published[expected]).as_secs_f64());
    }
    Ok(latencies)
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
        // The earlier answer is read only now: waking up for it would disturb the reader.
        if number > 0 {
            redis.recv_response()?;
        }
        published.push(Instant::now());
        redis.send_packed_command(&bytes)?;
    }
    Ok(published)
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
