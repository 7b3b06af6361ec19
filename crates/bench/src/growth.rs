//! Growth: what a line costs with more channels, and with more subscribers.

use crate::contestants::{Bench, Reader};
use crate::drain::{Drain, Drained};
use crate::messages::Kind;
use crate::paired::{in_turn, median};
use crate::plot::{Growth, Line};
use crate::report::{Report, Table, grouped, micros};

const READERS: [Reader; 3] = [Reader::Floor, Reader::Text, Reader::Json];
const SIZE: usize = 64;

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let lines = bench.pick(300_000, 1000);
    let channels = bench.pick([1, 100, 1000], [1, 2, 3]);
    let title = format!("{} messages of {SIZE} bytes, on so many channels in turn", grouped(lines));
    grow(bench, report, &title, "channels", channels, |channels| (channels, 1, lines))?;
    let lines = bench.pick(600_000, 1200);
    let subscribers = bench.pick([1, 10, 50], [1, 2, 3]);
    let title = format!("{} lines in all, printed by so many subscribers", grouped(lines));
    grow(bench, report, &title, "subscribers", subscribers, |subscribers| {
        (1, subscribers, lines / subscribers as u64)
    })
}

/// `drain` says how many channels, subscribers and messages belong to a step.
fn grow(
    bench: &Bench,
    report: &mut Report,
    title: &str,
    what: &'static str,
    steps: [usize; 3],
    drain: impl Fn(usize) -> (usize, usize, u64),
) -> anyhow::Result<()> {
    let contestants: Vec<_> =
        READERS.iter().flat_map(|&reader| steps.map(|step| (reader, step))).collect();
    let runs = in_turn(title, bench.pick(3, 1), &contestants, |&(reader, step)| {
        let (channels, readers, count) = drain(step);
        // All of one length, however many there are.
        let channels: Vec<_> = (0..channels).map(|n| format!("channel-{n:05}")).collect();
        let kind = Kind::Channel;
        Drain { reader, kind, channels: &channels, readers, count, size: SIZE }.run(bench)
    })?;

    let header = steps.map(|step| grouped(step as u64));
    let first = format!("a line, by number of {what}");
    let mut table = Table::new(&[&first, &header[0], &header[1], &header[2]]);
    let mut plot = Growth { what, lines: Vec::new() };
    for (reader, runs) in READERS.into_iter().zip(runs.chunks(steps.len())) {
        let name = reader.name(Kind::Channel);
        for (figure, each) in
            [("wall", Drained::wall_each as fn(&Drained) -> f64), ("CPU", Drained::cpu_each)]
        {
            let mut cells = vec![format!("{name}: {figure}")];
            let mut points = Vec::new();
            for (step, runs) in steps.into_iter().zip(runs) {
                let runs: Vec<_> = runs.iter().flatten().collect();
                let lost: u64 = runs.iter().map(|run| run.lost).sum();
                let each = median(runs.into_iter().map(each)).filter(|_| lost == 0);
                cells.push(if lost > 0 { format!("{} lost", grouped(lost)) } else { micros(each) });
                points.extend(each.map(|each| (step as f64, each * 1e6)));
            }
            table.row(cells);
            if figure == "CPU" {
                plot.lines.push(Line { name: name.replace('`', ""), points });
            }
        }
    }
    report.table("growth", title, table);
    report.plot.growth.push(plot);
    Ok(())
}
