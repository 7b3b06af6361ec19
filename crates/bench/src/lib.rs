//! Measures the services beside other programs: the cost of a message, the time it takes, and what
//! a process needs. `cargo bench` runs it.

mod chart;
mod drain;
mod latency;
mod machine;
mod memory;
mod messages;
mod paired;
mod programs;
mod publish;
mod raw;
mod report;
mod start;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use local_redis::exit_status;
use programs::Bench;
use report::Report;

/// Measures the services beside other programs, and prints tables
#[derive(Parser)]
#[command(bin_name = "cargo bench --", version)]
struct Args {
    /// What to measure [default: everything]
    #[arg(value_name = "WHAT")]
    what: Vec<Section>,

    /// Measure only a few messages, to see that everything runs; the figures mean nothing
    #[arg(long)]
    quick: bool,

    /// Also write the results to docs/performance.md and docs/performance.svg
    #[arg(long, conflicts_with_all = ["what", "quick"])]
    save: bool,

    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Section {
    /// Many messages at once: until the last line is printed
    Drain,
    /// Messages published per second
    Publish,
    /// One message at a time: from publishing it to its line
    Latency,
    /// From the start of a process until it is subscribed
    Start,
    /// Idle, and in a flood
    Memory,
}

/// Runs the benchmark. `target_tmpdir` is the folder that cargo gives to benchmarks.
pub fn main(target_tmpdir: &str) -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    exit_status(match &arguments[..] {
        [_, role, rest @ ..] if role == raw::ROLE => raw::main(rest),
        _ => run(&Args::parse(), target_tmpdir),
    })
}

fn run(args: &Args, target_tmpdir: &str) -> anyhow::Result<()> {
    let bench = Bench::prepare(target_tmpdir, args.quick)?;
    let mut report = Report::default();
    machine::describe(&bench.server, &mut report);
    for section in Section::value_variants() {
        if !args.what.is_empty() && !args.what.contains(section) {
            continue;
        }
        let measure = match section {
            Section::Drain => drain::measure,
            Section::Publish => publish::measure,
            Section::Latency => latency::measure,
            Section::Start => start::measure,
            Section::Memory => memory::measure,
        };
        measure(&bench, &mut report)?;
    }
    report.targets();
    if args.what.is_empty() {
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance");
        let (page, picture) = (format!("{files}.md"), format!("{files}.svg"));
        let text = std::fs::read_to_string(&page).with_context(|| format!("cannot read {page}"))?;
        // Both are also made without --save, so that a quick run finds mistakes in them.
        for (path, text) in [(page, report.fill(&text)?), (picture, chart::svg(&report.dots))] {
            if args.save {
                std::fs::write(&path, text).with_context(|| format!("cannot write {path}"))?;
                eprintln!("Written: {path}");
            }
        }
    }
    Ok(())
}
