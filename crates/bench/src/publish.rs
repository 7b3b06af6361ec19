//! Publish rate: messages per second, many at a time and one at a time.

use std::io::Read;

use anyhow::{Context, ensure};
use local_redis::LocalRedis;

use crate::messages::{CHANNEL, payload};
use crate::paired::{in_turn, median, ratio};
use crate::process::{Cost, Measured};
use crate::raw;
use crate::readers::{Bench, connect_to, on_path, redis_tool};
use crate::report::{Limit, Report, Table, factor, grouped, micros};

/// Messages in a pipeline of redis-benchmark and of Python.
const DEPTH: u64 = 1024;
const SIZE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Raw,
    RedisBenchmark,
    Flood,
    PythonPipeline,
    Publisher,
    Python,
}

impl Writer {
    const ALL: [Writer; 6] = [
        Writer::Raw,
        Writer::RedisBenchmark,
        Writer::Flood,
        Writer::PythonPipeline,
        Writer::Publisher,
        Writer::Python,
    ];

    fn name(self) -> &'static str {
        match self {
            Writer::Raw => "raw writer",
            Writer::RedisBenchmark => "`redis-benchmark -c 1 -P 1024`",
            Writer::Flood => "`flood`",
            Writer::PythonPipeline => "Python: `pipeline`",
            Writer::Publisher => "one at a time: `publisher --interval 0s`",
            Writer::Python => "one at a time: Python, `publish`",
        }
    }

    /// The slow ones get fewer messages; the figures are per message.
    fn share_of(self, count: u64) -> u64 {
        let share = match self {
            Writer::Publisher | Writer::Python => count / 50,
            Writer::PythonPipeline => count / 10,
            _ => count,
        };
        // redis-benchmark publishes whole pipelines only.
        share.next_multiple_of(DEPTH).max(2 * DEPTH)
    }
}

/// Seconds per message.
struct Published {
    wall: f64,
    cpu: f64,
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let redis = bench.redis()?;
    let count = DEPTH * bench.pick(1000, 5);
    let benchmark = on_path("redis-benchmark");
    let missing = |writer| match writer {
        Writer::RedisBenchmark => benchmark.as_ref().err(),
        Writer::Python | Writer::PythonPipeline => bench.python.as_ref().err(),
        _ => None,
    };
    let writers: Vec<_> = Writer::ALL.into_iter().filter(|it| missing(*it).is_none()).collect();
    let runs = in_turn("Publish rate", bench.pick(7, 1), &writers, |&writer| {
        // The difference between a long and a short run excludes the start of the process.
        let count = writer.share_of(count);
        let short = run(bench, &redis, writer, DEPTH)?;
        let long = run(bench, &redis, writer, count)?;
        let more = (count - DEPTH) as f64;
        Ok(Published {
            wall: long.wall.saturating_sub(short.wall).as_secs_f64() / more,
            cpu: long.cpu.saturating_sub(short.cpu).as_secs_f64() / more,
        })
    })?;

    let header =
        ["", "messages a second", "× raw", "× `redis-benchmark`", "CPU a message", "× raw"];
    let mut table = Table::new(&header);
    let of = |writer| runs.iter().find(|(it, _)| *it == writer).map(|(_, runs)| &runs[..]);
    for (writer, each) in &runs {
        let rate = |of: Option<&[Published]>| ratio(each, of?, |run| 1.0 / run.wall);
        let to_benchmark = rate(of(Writer::RedisBenchmark));
        table.row([
            writer.name().to_owned(),
            thousands(median(each.iter().map(|run| 1.0 / run.wall))),
            factor(rate(of(Writer::Raw))),
            factor(to_benchmark),
            micros(median(each.iter().map(|run| run.cpu))),
            factor(ratio(each, &runs[0].1, |run| run.cpu)),
        ]);
        if *writer == Writer::Flood {
            let what = format!("publish rate, {}", writer.name());
            report.target(what, Limit::AtLeast(0.8), "× `redis-benchmark`", to_benchmark);
        }
    }
    for writer in Writer::ALL {
        if let Some(why) = missing(writer) {
            table.missing(writer.name(), why);
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

fn run(bench: &Bench, redis: &LocalRedis, writer: Writer, count: u64) -> anyhow::Result<Cost> {
    let payload = payload(0, SIZE);
    let mut command = match writer {
        Writer::Raw => raw::writer(redis.port(), count, SIZE)?,
        Writer::RedisBenchmark => redis_tool("redis-benchmark", redis),
        Writer::Flood => bench.examples.command("flood")?,
        Writer::Publisher => bench.services.command("publisher")?,
        Writer::PythonPipeline | Writer::Python => bench.python()?.command(),
    };
    let (depth, n) = (DEPTH.to_string(), count.to_string());
    match writer {
        Writer::Raw => {}
        Writer::RedisBenchmark => {
            command.args(["-c", "1", "-P", &depth, "-n", &n, "-q", "PUBLISH", CHANNEL, &payload]);
        }
        Writer::Flood => {
            command.args([CHANNEL, "--count", &n, "--size", &SIZE.to_string()]);
        }
        Writer::Publisher => {
            command.args(["--interval", "0s", "--count", &n, "--message", &payload]);
        }
        Writer::PythonPipeline | Writer::Python => {
            let depth = if writer == Writer::Python { "1" } else { &depth };
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/publish.py"));
            command.args([&redis.port().to_string(), &n, depth, &payload]);
        }
    }
    connect_to(redis, &mut command);
    let (file, mut printed) = bench.file()?;
    let cost = Measured::start(&mut command, file)?.wait().with_context(|| writer.name())?;
    ensure!(cost.status.success(), "{}: {}", writer.name(), cost.status);
    let mut lines = String::new();
    printed.read_to_string(&mut lines)?;
    let published = match writer {
        // It fails if an answer is missing, but prints only the rate.
        Writer::RedisBenchmark => true,
        Writer::Publisher => lines.matches("(0 receivers)").count() as u64 == count,
        _ => lines.replace(',', "").contains(&n),
    };
    ensure!(published, "{} did not publish {n} messages: {lines}", writer.name());
    Ok(cost)
}
