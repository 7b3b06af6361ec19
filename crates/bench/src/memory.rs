//! Memory: the most that a process had after one message, and in a flood.

use std::io::Read;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_redis::PATIENCE;

use crate::drain::Drain;
use crate::messages::Kind;
use crate::process::Measured;
use crate::readers::{Bench, Reader, connect_to};
use crate::report::{Limit, Report, Table, grouped, mebibytes};

const KIND: Kind = Kind::Channel;

/// Messages and bytes.
const FLOODS: [(u64, usize); 2] = [(300_000, 64), (100_000, 1024)];

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let title = "Resident memory";
    eprintln!("{title} ...");
    let header = FLOODS.map(|(count, size)| format!("flood of {} × {size} bytes", grouped(count)));
    let mut table = Table::new(&["", "idle", &header[0], &header[1]]);
    for reader in bench.readers(KIND) {
        let idle = Drain { kind: KIND, count: 1, size: 64 }.run(bench, &reader)?.peak_memory;
        let mut cells = vec![reader.name_with_share(), mebibytes(idle)];
        let mut flood = None;
        for (count, size) in FLOODS {
            let count = reader.share_of(count / bench.pick(1, 100));
            let drained = Drain { kind: KIND, count, size }.run(bench, &reader)?;
            cells.push(match drained.lost {
                0 => mebibytes(drained.peak_memory),
                lost => format!("{}, {} lost", mebibytes(drained.peak_memory), grouped(lost)),
            });
            flood = flood.max(drained.peak_memory);
        }
        table.row(cells);
        if let Reader::Text(_) | Reader::Json(_) = reader {
            let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / f64::from(1 << 20));
            report.target(format!("{reader}, idle"), Limit::AtMost(4.0), "MiB", mib(idle));
            report.target(format!("{reader}, in a flood"), Limit::AtMost(64.0), "MiB", mib(flood));
        }
    }
    let publisher = mebibytes(idle_publisher(bench)?);
    table.row(["`publisher`".to_owned(), publisher, String::new(), String::new()]);
    bench.list_missing(&mut table);
    report.table("memory", title, table);
    Ok(())
}

/// The memory of a publisher that has published one message and waits.
fn idle_publisher(bench: &Bench) -> anyhow::Result<Option<u64>> {
    let redis = bench.redis()?;
    let (file, mut printed) = bench.file()?;
    let mut command = bench.services.command("publisher")?;
    connect_to(&redis, command.args(["--interval", "1h"]));
    let process = Measured::start(&mut command, file)?;
    let deadline = Instant::now() + PATIENCE;
    let mut lines = String::new();
    while !lines.contains("Published: ") {
        ensure!(Instant::now() < deadline, "publisher publishes nothing");
        sleep(Duration::from_millis(1));
        printed.read_to_string(&mut lines)?;
    }
    let memory = process.peak_memory();
    process.kill()?;
    Ok(memory)
}
