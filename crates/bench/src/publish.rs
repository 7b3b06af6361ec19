//! Publish rate: messages per second, many at a time and one at a time.

use std::io::{Seek, read_to_string};
use std::time::Instant;

use anyhow::ensure;
use local_redis::LocalRedis;

use crate::messages::{CHANNEL, payload};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, Program, cpu, file, itself, on_path};
use crate::raw;
use crate::report::{Report, factor, grouped, micros};

/// Messages in a pipeline of redis-benchmark and of Python. Each run publishes whole pipelines, as
/// redis-benchmark does.
const DEPTH: u64 = 1024;
const SIZE: usize = 64;

const HEADER: [&str; 6] =
    ["", "messages a second", "× raw", "× `redis-benchmark`", "CPU a message", "× raw"];
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/publish.py");

/// All writers: first the raw writer and redis-benchmark, which the others are compared with. The
/// slow ones get fewer messages; the figures are per message.
fn writers(bench: &Bench) -> Vec<Program> {
    let payload = payload(0, SIZE);
    let (channel, size) = (CHANNEL.channel, SIZE.to_string());
    let benchmark =
        &["-p", "PORT", "-c", "1", "-P", "1024", "-n", "COUNT", "PUBLISH", channel, &payload];
    let flood = &[channel, "--count", "COUNT", "--size", &size];
    let publisher = &["--interval", "0s", "--count", "COUNT", "--message", &payload];
    let many = &[SCRIPT, "PORT", "COUNT", "1024", &payload];
    let one = &[SCRIPT, "PORT", "COUNT", "1", &payload];
    let service = bench.services.command("publisher");
    vec![
        Program::new("raw writer", 1, itself(), &[raw::ROLE, "PORT", &size, "COUNT"]),
        Program::new("`redis-benchmark -c 1 -P 1024`", 1, on_path("redis-benchmark"), benchmark),
        Program::new("`flood`", 1, bench.examples.command("flood"), flood),
        Program::new("Python: `pipeline`", 10, bench.python(), many),
        Program::new("one at a time: `publisher --interval 0s`", 50, service, publisher),
        Program::new("one at a time: Python, `publish`", 50, bench.python(), one),
    ]
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let redis = LocalRedis::start()?;
    let count = DEPTH * bench.pick(1000, 5);
    let runs = in_turn("Publish rate", bench.pick(7, 1), writers(bench), |writer| {
        let count = (count / writer.share).next_multiple_of(DEPTH).max(2 * DEPTH);
        // The difference between a long and a short run excludes the start of the process.
        let (short_wall, short_cpu) = run(&redis, writer, DEPTH)?;
        let (wall, cpu) = run(&redis, writer, count)?;
        let each = |long: f64, short: f64| (long - short).max(0.0) / (count - DEPTH) as f64;
        Ok((each(wall, short_wall), each(cpu, short_cpu)))
    })?;

    let mut rows = Vec::new();
    for (writer, each) in &runs {
        let rate = |(wall, _): &(f64, f64)| 1.0 / wall;
        let beside_benchmark = ratio(each, &runs[1].1, rate);
        rows.push(writer.row(vec![
            writer.name.clone(),
            thousands(median(each.iter().map(rate))),
            factor(ratio(each, &runs[0].1, rate)),
            factor(beside_benchmark),
            micros(median(each.iter().map(|(_, cpu)| *cpu))),
            factor(ratio(each, &runs[0].1, |(_, cpu)| *cpu)),
        ]));
        if writer.name == "`flood`" {
            let what = format!("publish rate, {}", writer.name);
            report.target(what, beside_benchmark, ("at least", 0.8, "× `redis-benchmark`"));
        }
    }
    let title = format!("Publish rate: {} messages of {SIZE} bytes", grouped(count));
    report.table("publish", &title, &HEADER, rows);
    Ok(())
}

/// `1,234,000`: the other digits differ in each run.
fn thousands(rate: Option<f64>) -> String {
    let Some(rate) = rate.filter(|rate| rate.is_finite()) else { return "–".to_owned() };
    grouped((rate / 1e3).round() as u64 * 1000)
}

/// The wall time and the CPU time of a writer, in seconds.
fn run(redis: &LocalRedis, writer: &Program, count: u64) -> anyhow::Result<(f64, f64)> {
    let mut output = file()?;
    let mut process = writer.start(redis, count, output.try_clone()?)?;
    let started = Instant::now();
    let cpu = cpu(&mut process)?;
    let wall = started.elapsed().as_secs_f64();
    output.rewind()?;
    let lines = read_to_string(output)?;
    // `publisher` prints a line for each message; the others print how many they published.
    let published = lines.matches("(0 receivers)").count() as u64 == count
        || lines.contains(&format!("{count} "));
    ensure!(published, "it did not publish {count} messages: {lines}");
    Ok((wall, cpu))
}
