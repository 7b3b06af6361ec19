//! `cargo redis`: a Redis in the foreground until Ctrl+C, the "terminal 0" of the lessons.

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clap::Parser;
use local_redis::{LocalRedis, Signal, exit_status, on_ctrl_c};
use rustix::process::{Pid, kill_process};

/// Runs a Redis on 127.0.0.1 until Ctrl+C, with nothing written to disk: redis-server or
/// valkey-server if one is installed, else the small stand-in meebis, which it installs once.
#[derive(Parser)]
#[command(name = "cargo redis", version)]
struct Args {
    /// The port to listen on
    #[arg(long, default_value_t = 6379, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

fn main() -> ExitCode {
    exit_status(run(&Args::parse()))
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut redis = LocalRedis::start_on(args.port)?;
    // Redis runs in its own process group, which the terminal's Ctrl+C does not reach.
    static STOPPING: AtomicBool = AtomicBool::new(false);
    let server = Pid::from_child(&redis.process.child);
    on_ctrl_c(move || {
        STOPPING.store(true, Ordering::Relaxed);
        // An error means that it has already ended.
        let _ = kill_process(server, Signal::TERM);
    })?;

    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "{} is ready on 127.0.0.1:{}. Press Ctrl+C to stop it.",
        redis.server.name(),
        redis.port()
    )?;

    let status = redis.process.child.wait()?;
    if !STOPPING.load(Ordering::Relaxed) {
        bail!("{} ended by itself: {status}", redis.server.name());
    }
    writeln!(stdout, "Stopped.")?;
    Ok(())
}
