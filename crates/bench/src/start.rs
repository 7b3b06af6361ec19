//! Start: from the start of a process until Redis counts it as subscribed.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_redis::PATIENCE;

use crate::messages::Kind;
use crate::paired::{in_turn, median, ratio};
use crate::process::Measured;
use crate::readers::{Bench, Reader};
use crate::report::{Limit, Report, Table, factor, millis};
use crate::resp::Client;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rounds = bench.pick(20, 2);
    let title = format!("Start until subscribed: median of {rounds}");
    let mut readers: Vec<_> =
        bench.readers(Kind::Channel).into_iter().map(|it| (it, Kind::Channel)).collect();
    readers.insert(2, (Reader::Text(Kind::Pattern), Kind::Pattern));
    let runs = in_turn(&title, rounds, &readers, |(reader, kind)| {
        let redis = bench.redis()?;
        let mut client = Client::connect(redis.port())?;
        let mut command = bench.command(reader, *kind, &redis)?;
        let process = Measured::start(&mut command, Stdio::null())?;
        wait_until_subscribed(&mut client, *kind)?;
        let took = process.started.elapsed();
        process.kill()?;
        Ok(took.as_secs_f64())
    })?;

    let mut table = Table::new(&["", "until subscribed", "× raw"]);
    for ((reader, _), each) in &runs {
        let ratio = ratio(each, &runs[0].1, |run| *run);
        table.row([reader.to_string(), millis(median(each.iter().copied())), factor(ratio)]);
        if let Reader::Text(_) = reader {
            let what = format!("start until subscribed, {reader}");
            report.target(what, Limit::AtMost(1.7), "× raw reader", ratio);
        }
    }
    bench.list_missing(&mut table);
    report.table("start", &title, table);
    Ok(())
}

/// Waits until Redis counts one subscriber.
pub(crate) fn wait_until_subscribed(client: &mut Client, kind: Kind) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let question = match kind {
        Kind::Channel => vec!["PUBSUB", "NUMSUB", kind.name()],
        Kind::Pattern => vec!["PUBSUB", "NUMPAT"],
    };
    while client.last_number(&question)? != 1 {
        ensure!(Instant::now() < deadline, "no subscription to '{}'", kind.name());
        sleep(Duration::from_micros(100));
    }
    Ok(())
}
