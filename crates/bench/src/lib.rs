//! The services measured beside others: what a message costs, how long it takes, what a process
//! needs. `cargo bench` runs it.

mod blast;
mod bus;
mod contestants;
mod drain;
mod floor;
mod growth;
mod latency;
mod load;
mod machine;
mod memory;
mod messages;
mod nodes;
mod paired;
mod plot;
mod process;
mod publish;
mod report;
mod resp;
mod size;
mod start;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use contestants::Bench;
use report::Report;

/// Measures the services beside others, and prints tables
#[derive(Parser)]
#[command(bin_name = "cargo bench --", version)]
struct Args {
    /// What to measure; without a name: all of it
    #[arg(value_name = "WHAT")]
    what: Vec<Measurement>,

    /// A few messages of each, to see that everything runs; the figures mean nothing
    #[arg(long)]
    quick: bool,

    /// Write docs/performance.md and docs/performance.svg too
    #[arg(long, conflicts_with_all = ["what", "quick"])]
    save: bool,

    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Measurement {
    /// From many messages at once to the last line
    Drain,
    /// How many messages a second are published
    Publish,
    /// From publishing a message to its line
    Latency,
    /// From the start of a process until it is subscribed
    Start,
    /// When nothing happens, and in a flood
    Memory,
    /// Binaries and image
    Size,
    /// Drain with more channels and more subscribers
    Growth,
    /// What a cluster's nodes send each other for a message
    Bus,
}

/// Runs what `cargo bench` asks for. The folder is cargo's for benchmarks.
pub fn main(target_tmpdir: &str) -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let result = match &arguments[..] {
        [_, role, rest @ ..] if role == floor::ROLE => floor::main(rest),
        _ => run(&Args::parse(), target_tmpdir),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, target_tmpdir: &str) -> anyhow::Result<()> {
    let bench = Bench::prepare(target_tmpdir, args.quick)?;
    let mut report = Report::default();
    machine::name(&bench.server, &mut report);
    for &measurement in Measurement::value_variants() {
        if !args.what.is_empty() && !args.what.contains(&measurement) {
            continue;
        }
        match measurement {
            Measurement::Drain => drain::measure(&bench, &mut report)?,
            Measurement::Publish => publish::measure(&bench, &mut report)?,
            Measurement::Latency => latency::measure(&bench, &mut report)?,
            Measurement::Start => start::measure(&bench, &mut report)?,
            Measurement::Memory => memory::measure(&bench, &mut report)?,
            Measurement::Size => size::measure(&bench, &mut report)?,
            Measurement::Growth => growth::measure(&bench, &mut report)?,
            Measurement::Bus => bus::measure(&bench, &mut report)?,
        }
    }
    report.targets();
    if args.what.is_empty() {
        // Also where they are not saved: so a test sees that both can be made.
        let (page, svg) = (report.page()?, report.plot.svg()?);
        if args.save {
            let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
            for (name, text) in [("performance.md", page), ("performance.svg", svg)] {
                let path = docs.join(name);
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            eprintln!("Written: docs/performance.md and docs/performance.svg");
        }
    }
    Ok(())
}
