//! Publish rate: messages per second, many at a time and one at a time.

use std::io::Read;

use anyhow::ensure;
use local_redis::LocalRedis;

use crate::messages::{CHANNEL, payload};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, Cost, Program, file, itself, on_path};
use crate::raw;
use crate::report::{Limit, Report, Table, factor, grouped, micros};

/// Messages in a pipeline of redis-benchmark and of Python. Each run publishes whole pipelines, as
/// redis-benchmark does.
const DEPTH: u64 = 1024;
const SIZE: usize = 64;

const RAW: &str = "raw writer";
const BENCHMARK: &str = "`redis-benchmark -c 1 -P 1024`";
const FLOOD: &str = "`flood`";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/publish.py");

/// All writers. The slow ones get fewer messages; the figures are per message.
fn writers(bench: &Bench) -> anyhow::Result<Vec<Program>> {
    let payload = payload(0, SIZE);
    let (channel, size) = (CHANNEL.channel, SIZE.to_string());
    let raw = &[raw::ROLE, "PORT", "PUBLISH", &size, "COUNT"];
    let benchmark =
        &["-p", "PORT", "-c", "1", "-P", "1024", "-n", "COUNT", "PUBLISH", channel, &payload];
    let flood = &[channel, "--count", "COUNT", "--size", &size];
    let publisher = &["--interval", "0s", "--count", "COUNT", "--message", &payload];
    let many = &[SCRIPT, "PORT", "COUNT", "1024", &payload];
    let one = &[SCRIPT, "PORT", "COUNT", "1", &payload];
    let service = Ok(bench.services.command("publisher")?);
    Ok(vec![
        Program::new(RAW, 1, itself(), raw),
        Program::new(BENCHMARK, 1, on_path("redis-benchmark"), benchmark),
        Program::new(FLOOD, 1, Ok(bench.examples.command("flood")?), flood),
        Program::new("Python: `pipeline`", 10, bench.python(), many),
        Program::new("one at a time: `publisher --interval 0s`", 50, service, publisher),
        Program::new("one at a time: Python, `publish`", 50, bench.python(), one),
    ])
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let redis = bench.redis()?;
    let count = DEPTH * bench.pick(1000, 5);
    let header =
        ["", "messages a second", "× raw", "× `redis-benchmark`", "CPU a message", "× raw"];
    let mut table = Table::new(&header);
    let writers = table.without_missing(writers(bench)?);
    let runs = in_turn("Publish rate", bench.pick(7, 1), writers, |writer| {
        let count = (count / writer.share).next_multiple_of(DEPTH).max(2 * DEPTH);
        // The difference between a long and a short run excludes the start of the process.
        let short = run(&redis, writer, DEPTH)?;
        let long = run(&redis, writer, count)?;
        let each = |long: f64, short: f64| (long - short).max(0.0) / (count - DEPTH) as f64;
        Ok((each(long.wall, short.wall), each(long.cpu, short.cpu)))
    })?;

    for (writer, each) in &runs {
        let rate_beside = |name| {
            let (_, other) = runs.iter().find(|(writer, _)| writer.name == name)?;
            ratio(each, other, |(wall, _)| 1.0 / wall)
        };
        let beside_benchmark = rate_beside(BENCHMARK);
        table.row([
            writer.name.clone(),
            thousands(median(each.iter().map(|(wall, _)| 1.0 / wall))),
            factor(rate_beside(RAW)),
            factor(beside_benchmark),
            micros(median(each.iter().map(|(_, cpu)| *cpu))),
            factor(ratio(each, &runs[0].1, |(_, cpu)| *cpu)),
        ]);
        if writer.name == FLOOD {
            let what = format!("publish rate, {FLOOD}");
            report.target(what, Limit::AtLeast(0.8), "× `redis-benchmark`", beside_benchmark);
        }
    }
    let title = format!("Publish rate: {} messages of {SIZE} bytes", grouped(count));
    report.table("publish", &title, table);
    Ok(())
}

/// `1,234,000`: the other digits differ in each run.
fn thousands(rate: Option<f64>) -> String {
    let Some(rate) = rate.filter(|rate| rate.is_finite()) else { return "–".to_owned() };
    grouped((rate / 1e3).round() as u64 * 1000)
}

fn run(redis: &LocalRedis, writer: &Program, count: u64) -> anyhow::Result<Cost> {
    let (file, mut printed) = file()?;
    let cost = writer.start(redis, count, file)?.wait()?;
    let mut lines = String::new();
    printed.read_to_string(&mut lines)?;
    // `publisher` prints a line for each message; the others print how many they published.
    let published = lines.matches("(0 receivers)").count() as u64 == count
        || lines.replace(',', "").contains(&format!("{count} "));
    let (name, status) = (&writer.name, cost.status);
    ensure!(
        published && status.success(),
        "{name} did not publish {count} messages ({status}): {lines}"
    );
    Ok(cost)
}
