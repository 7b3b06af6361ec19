//! Start: from the start of the process until Redis counts it as subscribed.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_redis::PATIENCE;

use crate::contestants::{Bench, Reader};
use crate::messages::Kind;
use crate::paired::{in_turn, median, ratio};
use crate::process::Measured;
use crate::report::{Limit, Report, Table, factor, millis};
use crate::resp::Client;

const READERS: [(Reader, Kind); 6] = [
    (Reader::Floor, Kind::Channel),
    (Reader::Text, Kind::Channel),
    (Reader::Text, Kind::Pattern),
    (Reader::RedisCrate, Kind::Channel),
    (Reader::RedisCli, Kind::Channel),
    (Reader::Python, Kind::Channel),
];

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rounds = bench.pick(20, 2);
    let title = format!("Start until subscribed: median of {rounds}");
    let runs = in_turn(&title, rounds, &READERS, |&(reader, kind)| {
        let redis = bench.redis()?;
        let mut client = Client::connect(redis.port())?;
        let mut command = match bench.reader(reader, kind, &redis, &[kind.name()])? {
            Ok(command) => command,
            Err(missing) => return Ok(Err(missing)),
        };
        let process = Measured::start(&mut command, Stdio::null())?;
        wait_until_subscribed(&mut client, kind, kind.channel(), 1)?;
        let subscribed = Instant::now();
        let took = subscribed - process.started();
        process.kill()?;
        Ok(Ok(took.as_secs_f64()))
    })?;

    let mut table = Table::new(&["", "until subscribed", "× floor"]);
    let mut floor = Vec::new();
    for ((reader, kind), runs) in READERS.into_iter().zip(runs) {
        let name = reader.name(kind);
        let runs: Vec<f64> = match runs.into_iter().collect::<Result<_, _>>() {
            Ok(runs) => runs,
            Err(missing) => {
                table.missing(name, &missing);
                continue;
            }
        };
        if reader == Reader::Floor {
            floor = runs.clone();
        }
        let took = median(runs.iter().copied());
        table.row([name.to_owned(), millis(took), factor(ratio(&runs, &floor, |run| *run))]);
        if reader == Reader::Text
            && let Some(floor) = median(floor.iter().copied())
        {
            let limit = Limit::AtMost(1.5 * floor * 1e3 + 5.0);
            let what = format!("start until subscribed, {name}");
            let unit = "ms (1.5 × floor + 5 ms)";
            report.target(what, took.map(|took| took * 1e3), unit, limit);
        }
    }
    report.table("start", title, table);
    Ok(())
}

/// Waits until Redis counts this many.
pub fn wait_until_subscribed(
    client: &mut Client,
    kind: Kind,
    channel: &str,
    readers: u64,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    // Of patterns Redis counts how many different ones there are.
    let (question, expected) = match kind {
        Kind::Channel => (vec!["PUBSUB", "NUMSUB", channel], readers),
        Kind::Pattern => (vec!["PUBSUB", "NUMPAT"], readers.min(1)),
    };
    while client.last_number(&question)? != expected {
        ensure!(Instant::now() < deadline, "nobody subscribed to '{}'", kind.name());
        sleep(Duration::from_micros(100));
    }
    Ok(())
}
