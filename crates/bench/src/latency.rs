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
use crate::report::{Report, factor, grouped, micros};

const SIZE: usize = 64;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let (rounds, count) = bench.pick((5, 2000), (1, 100));
    let title = format!(
        "Latency from publishing to the printed line: {} messages of {SIZE} bytes, 1,000 a second",
        grouped(rounds as u64 * count)
    );
    let runs = in_turn(&title, rounds, bench.readers(CHANNEL), |reader| run(bench, reader, count))?;
    let mut rows = Vec::new();
    for (reader, each) in &runs {
        let all = each.concat();
        let mut row = vec![reader.name.clone()];
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let ratio = ratio(each, &runs[0].1, |run| quantile(run, part).unwrap_or_default());
            row.extend([micros(quantile(&all, part)), factor(ratio)]);
            if reader.json.is_some() {
                let what = format!("latency, {}: {name}", reader.name);
                report.target(what, ratio, ("at most", 1.3, "× raw reader"));
            }
        }
        row.push(micros(quantile(&all, 0.999)));
        rows.push(reader.row(row));
    }
    report.table("latency", &title, &["", "p50", "× raw", "p99", "× raw", "p99.9"], rows);
    Ok(())
}

/// The value below which this part of the values lies, or `None` if there are no values.
fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() as f64 * part) as usize).copied()
}

/// The latencies of one reader in seconds.
fn run(bench: &Bench, reader: &Program, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut subscribed = bench.subscribe(reader, Stdio::piped())?;
    let stdout = subscribed.process.child.stdout.take().context("no stdout")?;
    let (printed, lines) = mpsc::channel();
    // The thread ends with the process at the latest.
    spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let now = Instant::now();
            // Readers print other lines too, such as confirmations.
            if let Some(number) = messages::number(&line, SIZE) {
                let _ = printed.send((now, number));
            }
        }
    });
    let published = publish(&mut subscribed.connection, count)?;
    let latency = |(expected, published): (u64, Instant)| {
        let (printed, number) = lines.recv_timeout(PATIENCE).context("not all were printed")?;
        ensure!(number == expected, "message {number} was printed instead of {expected}");
        Ok((printed - published).as_secs_f64())
    };
    (0..).zip(published).map(latency).collect()
}

/// Publishes 1,000 messages a second, and returns the time of each.
fn publish(redis: &mut Connection, count: u64) -> anyhow::Result<Vec<Instant>> {
    let mut published = Vec::new();
    let mut due = Instant::now();
    for number in 0..count {
        let command = redis::Cmd::publish(CHANNEL.channel, payload(number, SIZE));
        let bytes = command.get_packed_command();
        sleep(due.saturating_duration_since(Instant::now()));
        // The earlier answer is read only now: waking up for it would disturb the reader.
        if number > 0 {
            redis.recv_response()?;
        }
        published.push(Instant::now());
        redis.send_packed_command(&bytes)?;
        due += Duration::from_millis(1);
    }
    Ok(published)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let values: Vec<_> = (0..1000).rev().map(f64::from).collect();
        assert_eq!(
            [0.5, 0.99, 0.999].map(|part| quantile(&values, part)),
            [500.0, 990.0, 999.0].map(Some)
        );
        assert_eq!(quantile(&[1.0], 0.999), Some(1.0));
        assert_eq!(quantile(&[], 0.999), None);
    }
}
