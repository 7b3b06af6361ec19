//! Measures the services beside other programs: the cost of a message, the time it takes, and what
//! a process needs. `cargo bench` runs it.

mod drain;
mod latency;
mod messages;
mod paired;
mod process;
mod programs;
mod publish;
mod raw;
mod report;

use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use local_redis::{Server, exit_status};
use programs::Bench;
use report::Report;

/// Prints the cores, the processor, the system, and the versions of the server `$0` and of Rust.
const MACHINE: &str = r#"
cpu=$(sysctl -n machdep.cpu.brand_string 2> /dev/null ||
    sed -n '/^model name/{s/.*: //p;q;}' /proc/cpuinfo)
echo "Measured on $(getconf _NPROCESSORS_ONLN) cores of ${cpu:-an unknown processor}, $(uname -srm)," \
    "$("$0" --version | sed 's/ sha=.*//'), $(rustc --version)."
"#;

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

    /// Also write the results to docs/performance.md
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
    let (Server::Real(server) | Server::StandIn(server)) = Server::find()?;
    let machine = Command::new("sh").args(["-c", MACHINE]).arg(server).output()?.stdout;
    report.add("machine", String::from_utf8(machine)?.trim_end());
    for section in Section::value_variants() {
        if args.what.is_empty() || args.what.contains(section) {
            let measure = match section {
                Section::Drain => drain::measure,
                Section::Publish => publish::measure,
                Section::Latency => latency::measure,
                Section::Start => process::start,
                Section::Memory => process::memory,
            };
            measure(&bench, &mut report)?;
        }
    }
    report.targets();
    if args.what.is_empty() {
        // Also made without --save, so that a quick run finds mistakes in it.
        let page = report.fill(include_str!("../../../docs/performance.md"))?;
        if args.save {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");
            std::fs::write(path, page).with_context(|| format!("cannot write {path}"))?;
            eprintln!("Written: {path}");
        }
    }
    Ok(())
}
