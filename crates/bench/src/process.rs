//! What a process needs: the time until it is subscribed, and memory.

use std::process::Stdio;

use local_redis::LocalRedis;

use crate::drain::{drain, wait_for};
use crate::messages::{CHANNEL, PATTERN};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, Program, file};
use crate::report::{Report, factor, grouped, shown};

/// From the start of a process until Redis counts it as subscribed.
pub(crate) fn start(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rounds = bench.pick(60, 2);
    let title = format!("Start until subscribed: median of {rounds}");
    let mut readers = bench.readers(CHANNEL);
    readers.insert(2, bench.readers(PATTERN).swap_remove(1));
    let runs = in_turn(&title, rounds, readers, |reader| {
        let took = bench.subscribe(reader, Stdio::null())?.took;
        Ok(took.as_secs_f64() * 1e3)
    })?;
    let mut rows = Vec::new();
    for (reader, millis) in &runs {
        let ratio = ratio(millis, &runs[0].1, |run| *run);
        let median = shown(median(millis.iter().copied()), 1, " ms");
        rows.push(reader.row(vec![reader.name.clone(), median, factor(ratio)]));
        if reader.json == Some(false) {
            let what = format!("start until subscribed, {}", reader.name);
            report.target(what, ratio, ("at most", 1.7, "× raw reader"));
        }
    }
    report.table("start", &title, &["", "until subscribed", "× raw"], rows);
    Ok(())
}

const MEMORY: [&str; 4] =
    ["", "idle", "flood of 300,000 × 64 bytes", "flood of 100,000 × 1024 bytes"];
/// Messages and bytes of each column.
const LOADS: [(u64, usize); 3] = [(1, 64), (300_000, 64), (100_000, 1024)];

/// The most resident memory that a process ever had, after one message and in a flood.
pub(crate) fn memory(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let title = "Resident memory";
    let runs = in_turn(title, 1, bench.readers(CHANNEL), |reader| {
        let run = |(count, size)| drain(bench, reader, (CHANNEL, count / bench.pick(1, 100), size));
        LOADS.into_iter().map(run).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let cell = |bytes: Option<u64>| shown(bytes.map(mebibytes), 1, " MiB");
    let mut rows = Vec::new();
    for (reader, each) in &runs {
        let each: Vec<_> = each.iter().flatten().collect();
        let mut row = vec![reader.name_with_share()];
        row.extend(each.iter().map(|run| match run.lost {
            0 => cell(run.peak_memory),
            lost => format!("{}, {} lost", cell(run.peak_memory), grouped(lost)),
        }));
        rows.push(reader.row(row));
        if let (Some(_), [idle, floods @ ..]) = (reader.json, &each[..]) {
            let (name, idle) = (&reader.name, idle.peak_memory.map(mebibytes));
            let most = floods.iter().filter_map(|run| run.peak_memory).max().map(mebibytes);
            report.target(format!("{name}, idle"), idle, ("at most", 4.0, "MiB"));
            report.target(format!("{name}, in a flood"), most, ("at most", 64.0, "MiB"));
        }
    }

    // A publisher that has published one message and waits.
    let command = bench.services.command("publisher");
    let publisher = Program::new("`publisher`", 1, command, &["--interval", "1h"]);
    let (redis, output) = (LocalRedis::start()?, file()?);
    let process = publisher.start(&redis, 1, output.try_clone()?)?;
    wait_for(&output, "(0 receivers)", || true)?;
    rows.push(vec![publisher.name, cell(process.peak_memory())]);
    report.table("memory", title, &MEMORY, rows);
    Ok(())
}
