//! Start: from the start of a process until Redis counts it as subscribed.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use acceptance::connection;
use anyhow::ensure;
use local_redis::PATIENCE;
use redis::Connection;

use crate::messages::{CHANNEL, Kind, PATTERN};
use crate::paired::{in_turn, median, ratio};
use crate::process::Measured;
use crate::programs::{Bench, Format};
use crate::report::{Limit, Report, Table, factor, shown};

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rounds = bench.pick(20, 2);
    let title = format!("Start until subscribed: median of {rounds}");
    let mut table = Table::new(&["", "until subscribed", "× raw"]);
    let readers = table.without_missing(bench.readers(CHANNEL)?);
    let mut readers: Vec<_> = readers.into_iter().map(|reader| (reader, CHANNEL)).collect();
    readers.insert(2, (bench.readers(PATTERN)?.swap_remove(1), PATTERN));
    let runs = in_turn(&title, rounds, readers, |(reader, kind)| {
        let redis = bench.redis()?;
        let mut connection = connection(&redis);
        let process = Measured::start(reader.command(&redis, 0)?, Stdio::null())?;
        wait_until_subscribed(&mut connection, *kind)?;
        let took = process.started.elapsed();
        process.kill()?;
        Ok(took.as_secs_f64() * 1e3)
    })?;

    for ((reader, _), millis) in &runs {
        let ratio = ratio(millis, &runs[0].1, |run| *run);
        let median = shown(median(millis.iter().copied()), 1, " ms");
        table.row([reader.name.clone(), median, factor(ratio)]);
        if reader.format == Some(Format::Text) {
            let what = format!("start until subscribed, {}", reader.name);
            report.target(what, Limit::AtMost(1.7), "× raw reader", ratio);
        }
    }
    report.table("start", &title, table);
    Ok(())
}

/// Waits until Redis counts one subscriber.
pub(crate) fn wait_until_subscribed(redis: &mut Connection, kind: Kind) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut question = redis::cmd("PUBSUB");
    match kind {
        PATTERN => question.arg("NUMPAT"),
        _ => question.arg("NUMSUB").arg(kind.name),
    };
    // NUMSUB returns the name too, NUMPAT only the number.
    let is_one = |answer| match answer {
        redis::Value::Array(elements) => elements.last() == Some(&redis::Value::Int(1)),
        number => number == redis::Value::Int(1),
    };
    while !is_one(question.query(redis)?) {
        ensure!(Instant::now() < deadline, "no subscription to '{}'", kind.name);
        sleep(Duration::from_micros(100));
    }
    Ok(())
}
