//! Start: from the start of a process until Redis counts it as subscribed.

use std::process::Stdio;

use crate::messages::{CHANNEL, PATTERN};
use crate::paired::{in_turn, median, ratio};
use crate::programs::{Bench, Format};
use crate::report::{Limit, Report, Table, factor, shown};

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rounds = bench.pick(20, 2);
    let title = format!("Start until subscribed: median of {rounds}");
    let mut table = Table::new(&["", "until subscribed", "× raw"]);
    let mut readers = table.without_missing(bench.readers(CHANNEL)?);
    readers.insert(2, bench.readers(PATTERN)?.swap_remove(1));
    let runs = in_turn(&title, rounds, readers, |reader| {
        let took = bench.subscribe(reader, Stdio::null())?.took;
        Ok(took.as_secs_f64() * 1e3)
    })?;
    for (reader, millis) in &runs {
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
