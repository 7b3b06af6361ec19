//! The services measured beside others: what a message costs, how long it takes, what a process
//! needs. `cargo bench` runs it.

mod blast;
mod contestants;
mod drain;
mod floor;
mod messages;
mod paired;
mod process;
mod publish;
mod report;
mod resp;
mod start;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use contestants::Bench;
use report::Report;

/// Measures the services beside others, and prints tables
#[derive(Parser)]
#[command(name = "cargo bench --", version)]
struct Args {
    /// What to measure; without a name: all of it
    #[arg(value_name = "WHAT")]
    what: Vec<Measurement>,

    /// A few messages of each, to see that everything runs; the figures mean nothing
    #[arg(long)]
    quick: bool,

    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Measurement {
    /// From many messages at once to the last line
    Drain,
    /// How many messages a second a publisher publishes
    Publish,
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
    for &measurement in Measurement::value_variants() {
        if !args.what.is_empty() && !args.what.contains(&measurement) {
            continue;
        }
        match measurement {
            Measurement::Drain => drain::measure(&bench, &mut report)?,
            Measurement::Publish => publish::measure(&bench, &mut report)?,
        }
    }
    report.targets();
    Ok(())
}
