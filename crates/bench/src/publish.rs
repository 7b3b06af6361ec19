//! Publish rate: as many messages as Redis takes, with as many on their way as `publisher` has.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, ensure};
use local_redis::LocalRedis;

use crate::contestants::{Bench, beside, tool};
use crate::floor;
use crate::messages::{CHANNEL, filler};
use crate::paired::{in_turn, median, ratio};
use crate::process::{Cost, Measured};
use crate::report::{Limit, Report, Table, factor, grouped, micros};

/// How many messages `publisher` has on their way at most.
const DEPTH: u64 = 1024;
const SIZE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Floor,
    Publisher,
    RedisBenchmark,
    RedisCli,
    Python { depth: u64 },
}

use Writer::{Floor, Publisher, Python, RedisBenchmark, RedisCli};

const ALL: [Writer; 6] =
    [RedisBenchmark, Floor, Publisher, Python { depth: DEPTH }, RedisCli, Python { depth: 1 }];

impl Writer {
    fn name(self) -> String {
        match self {
            Floor => "floor: a raw writer".to_owned(),
            Publisher => "`publisher --interval 0s`".to_owned(),
            RedisBenchmark => format!("`redis-benchmark -c 1 -P {DEPTH}`"),
            RedisCli => "`redis-cli`, one at a time".to_owned(),
            Python { depth: 1 } => "Python: `publish`, one at a time".to_owned(),
            Python { .. } => "Python: `pipeline`".to_owned(),
        }
    }

    /// Whether each message waits for the answer to the one before.
    fn one_at_a_time(self) -> bool {
        matches!(self, RedisCli | Python { depth: 1 })
    }

    /// What it prints for a message that nobody receives.
    fn line(self) -> String {
        let payload = filler(SIZE);
        match self {
            RedisCli => "0".to_owned(),
            // It reads the counts, and shows none.
            RedisBenchmark => String::new(),
            _ => format!("Published: {payload} (0 receivers)"),
        }
    }
}

/// A run of a writer, less what a run with only one batch takes.
struct Published {
    wall: f64,
    cpu: f64,
}

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let redis = bench.redis()?;
    // In whole batches of redis-benchmark's.
    let count = DEPTH * bench.pick(1000, 5);
    let runs = in_turn("Publish rate", bench.pick(7, 1), &ALL, |&writer| {
        // The slow ones get less: their figures are for each message, too.
        let count = match writer {
            Python { depth: DEPTH } => count / 10,
            _ if writer.one_at_a_time() => count / 50,
            _ => count,
        };
        let count = count.next_multiple_of(DEPTH).max(2 * DEPTH);
        let more = (count - DEPTH) as f64;
        Ok(match run(bench, &redis, writer, DEPTH)? {
            Err(missing) => Err(missing),
            Ok(start) => run(bench, &redis, writer, count)?.map(|all| Published {
                wall: all.wall.saturating_sub(start.wall).as_secs_f64() / more,
                cpu: all.cpu.saturating_sub(start.cpu).as_secs_f64() / more,
            }),
        })
    })?;
    let runs: Vec<Result<Vec<Published>, String>> =
        runs.into_iter().map(|runs| runs.into_iter().collect()).collect();

    let mut table = Table::new(&[
        "",
        "messages a second",
        "× `redis-benchmark`",
        "× floor",
        "CPU a message",
        "× floor",
    ]);
    let (benchmark, floor) = (runs[0].as_ref().ok(), runs[1].as_ref().ok());
    for (writer, runs) in ALL.into_iter().zip(&runs) {
        let runs = match runs {
            Ok(runs) => runs,
            Err(missing) => {
                table.missing(&writer.name(), missing);
                continue;
            }
        };
        let rate = |of: Option<&Vec<_>>| ratio(runs, of?, |run: &Published| 1.0 / run.wall);
        let rate_of_benchmark = rate(benchmark);
        table.row([
            writer.name(),
            thousands(median(runs.iter().map(|run| 1.0 / run.wall))),
            factor(rate_of_benchmark),
            factor(rate(floor)),
            micros(median(runs.iter().map(|run| run.cpu))),
            factor(floor.and_then(|floor| ratio(runs, floor, |run| run.cpu))),
        ]);
        if writer == Publisher {
            let what = format!("publish rate of {}", writer.name());
            report.target(what, rate_of_benchmark, "× `redis-benchmark`", Limit::AtLeast(0.8));
        }
    }
    let title = format!(
        "Publish rate: {} messages of {SIZE} bytes, {} on their way",
        grouped(count),
        grouped(DEPTH)
    );
    report.figure("publish_depth", grouped(DEPTH));
    report.table("publish", title, table);
    Ok(())
}

/// `1,234,000`: more digits would say more than is known.
fn thousands(rate: Option<f64>) -> String {
    let Some(rate) = rate.filter(|rate| rate.is_finite()) else { return "–".to_owned() };
    grouped((rate / 1e3).round() as u64 * 1000)
}

/// `Err` within says why there is no such writer.
fn run(
    bench: &Bench,
    redis: &LocalRedis,
    writer: Writer,
    count: u64,
) -> anyhow::Result<Result<Cost, String>> {
    let payload = filler(SIZE);
    let mut command = match writer {
        Floor => floor::writer(redis.port(), count, SIZE, DEPTH)?,
        Publisher => bench.services.command("publisher")?,
        RedisBenchmark | RedisCli => {
            let name = if writer == RedisCli { "redis-cli" } else { "redis-benchmark" };
            match tool(name, redis) {
                Ok(command) => command,
                Err(missing) => return Ok(Err(missing)),
            }
        }
        Python { .. } => match &bench.python {
            Ok(python) => python.command(),
            Err(missing) => return Ok(Err(missing.clone())),
        },
    };
    beside(&mut command, redis);
    match writer {
        Floor => {}
        Publisher => {
            command.args(["--interval", "0s", "--message", &payload]);
            command.args(["--count", &count.to_string()]);
        }
        RedisBenchmark => {
            command.args(["-c", "1", "-P", &DEPTH.to_string(), "-n", &count.to_string(), "-q"]);
            command.args(["PUBLISH", CHANNEL, &payload]);
        }
        RedisCli => drop(command.stdin(commands(bench, count, &payload)?)),
        Python { depth } => {
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/publish.py"));
            command.args([redis.port().to_string(), count.to_string(), depth.to_string(), payload]);
        }
    }
    let (file, printed) = bench.file()?;
    let cost = Measured::start(&mut command, file)?.wait().with_context(|| writer.name())?;
    ensure!(cost.status.success(), "{}: {}", writer.name(), cost.status);
    let line = writer.line();
    if !line.is_empty() {
        let answered = lines(printed, &line)?;
        ensure!(answered == count, "{} read {answered} of {count} answers", writer.name());
    }
    Ok(Ok(cost))
}

/// What redis-cli reads as if it were typed.
fn commands(bench: &Bench, count: u64, payload: &str) -> anyhow::Result<File> {
    let (mut file, commands) = bench.file()?;
    let command = format!("PUBLISH {CHANNEL} {payload}\n");
    file.write_all(command.repeat(count as usize).as_bytes())?;
    Ok(commands)
}

/// How often this line stands in the file.
fn lines(printed: File, line: &str) -> anyhow::Result<u64> {
    let mut count = 0;
    for printed in BufReader::new(printed).lines() {
        if printed? == line {
            count += 1;
        }
    }
    Ok(count)
}
