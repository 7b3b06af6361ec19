//! Memory: the most that a process ever had, after one message and in a flood.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use anyhow::ensure;
use local_redis::PATIENCE;

use crate::drain::drain;
use crate::messages::CHANNEL;
use crate::programs::{Bench, Program, file};
use crate::report::{Limit, Report, Table, grouped, shown};

/// Messages and bytes.
const FLOODS: [(u64, usize); 2] = [(300_000, 64), (100_000, 1024)];

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let title = "Resident memory";
    eprintln!("{title} ...");
    let header = FLOODS.map(|(count, size)| format!("flood of {} × {size} bytes", grouped(count)));
    let mut table = Table::new(&["", "idle", &header[0], &header[1]]);
    let mebibytes = |figure| shown(figure, 1, " MiB");
    for reader in table.without_missing(bench.readers(CHANNEL)?) {
        let drain = |count, size| drain(bench, &reader, (CHANNEL, count, size));
        let idle = drain(1, 64)?.peak_memory;
        let mut row = vec![reader.name_with_share(), mebibytes(idle)];
        let mut most = None;
        for (count, size) in FLOODS {
            let drained = drain(count / bench.pick(1, 100), size)?;
            row.push(match drained.lost {
                0 => mebibytes(drained.peak_memory),
                lost => format!("{}, {} lost", mebibytes(drained.peak_memory), grouped(lost)),
            });
            most = drained.peak_memory.map(|peak| peak.max(most.unwrap_or(0.0)));
        }
        table.row(row);
        if reader.format.is_some() {
            let name = &reader.name;
            report.target(format!("{name}, idle"), Limit::AtMost(4.0), "MiB", idle);
            report.target(format!("{name}, in a flood"), Limit::AtMost(64.0), "MiB", most);
        }
    }
    table.row(["`publisher`".to_owned(), mebibytes(idle_publisher(bench)?)]);
    report.table("memory", title, table);
    Ok(())
}

/// The memory of a publisher that has published one message and waits.
fn idle_publisher(bench: &Bench) -> anyhow::Result<Option<f64>> {
    let redis = bench.redis()?;
    let (file, mut printed) = file()?;
    let command = Ok(bench.services.command("publisher")?);
    let publisher = Program::new("publisher", 1, command, &["--interval", "1h"]);
    let running = publisher.start(&redis, 1, file)?;
    let mut lines = String::new();
    while !lines.contains("Published: ") {
        ensure!(running.started.elapsed() < PATIENCE, "publisher does not publish: {lines}");
        sleep(Duration::from_millis(1));
        printed.read_to_string(&mut lines)?;
    }
    let memory = running.peak_memory();
    running.kill()?;
    Ok(memory)
}
