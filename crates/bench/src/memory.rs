//! Memory: the most that a process had after one message, and in a flood that it reads.

use std::io::Read;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_redis::PATIENCE;

use crate::contestants::{Bench, Reader, beside};
use crate::drain::Drain;
use crate::messages::{CHANNEL, Kind};
use crate::process::Measured;
use crate::report::{Limit, Report, Table, grouped, mebibytes};

const KIND: Kind = Kind::Channel;

/// What a flood is: messages and their size.
const FLOODS: [(u64, usize); 2] = [(300_000, 64), (100_000, 1024)];

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let title = "Resident memory";
    eprintln!("{title} ...");
    let header = FLOODS.map(|(count, size)| format!("flood of {} × {size} bytes", grouped(count)));
    let mut table = Table::new(&["", "idle", &header[0], &header[1]]);
    for &reader in Reader::all(KIND) {
        let name = reader.name(KIND);
        let channels = [CHANNEL.to_owned()];
        let drain = |count, size| {
            Drain { reader, kind: KIND, channels: &channels, readers: 1, count, size }.run(bench)
        };
        let idle = match drain(1, 64)? {
            Ok(drained) => drained.peak,
            Err(missing) => {
                table.missing(name, &missing);
                continue;
            }
        };
        let mut cells = vec![reader.name_with_share(KIND), mebibytes(idle)];
        let mut flood = None;
        for (count, size) in FLOODS {
            let Ok(drained) = drain(bench.pick(reader.share_of(count), 1000), size)? else {
                continue;
            };
            let lost = match drained.lost {
                0 => String::new(),
                lost => format!(", {} lost", grouped(lost)),
            };
            cells.push(format!("{}{lost}", mebibytes(drained.peak)));
            flood = flood.max(drained.peak);
        }
        table.row(cells);
        if matches!(reader, Reader::Text | Reader::Json) {
            let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / f64::from(1 << 20));
            report.target(format!("{name}, idle"), mib(idle), "MiB", Limit::Under(6.0));
            report.target(format!("{name}, in a flood"), mib(flood), "MiB", Limit::Under(64.0));
        }
    }
    let publisher = idle_publisher(bench)?;
    table.row(["`publisher`".to_owned(), mebibytes(publisher), String::new(), String::new()]);
    report.table("memory", title, table);
    Ok(())
}

/// The memory of one that has published, and waits.
fn idle_publisher(bench: &Bench) -> anyhow::Result<Option<u64>> {
    let (file, mut printed) = bench.file()?;
    let mut command = bench.services.command("publisher")?;
    let redis = bench.redis()?;
    beside(&mut command, &redis).args(["--interval", "1h"]);
    let process = Measured::start(&mut command, file)?;
    let deadline = Instant::now() + PATIENCE;
    let mut lines = String::new();
    while !lines.contains("Published: ") {
        ensure!(Instant::now() < deadline, "the publisher publishes nothing");
        sleep(Duration::from_millis(1));
        printed.read_to_string(&mut lines)?;
    }
    let memory = process.peak_memory();
    process.kill()?;
    Ok(memory)
}
