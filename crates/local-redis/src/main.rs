//! `cargo redis`: a Redis in the foreground until Ctrl+C, the "terminal 0" of the lessons.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clap::Parser;
use local_redis::{LocalRedis, Signal};
use rustix::process::{Pid, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut redis = LocalRedis::start_on(args.port)?;
    println!(
        "{} is ready on 127.0.0.1:{}. Press Ctrl+C to stop it.",
        redis.server().name(),
        redis.port()
    );

    // Redis has a process group of its own: the Ctrl+C of the terminal is handed on to it here.
    let stopping = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let server = Pid::from_child(redis.process().child());
    std::thread::spawn({
        let stopping = stopping.clone();
        move || {
            for _ in &mut signals {
                stopping.store(true, Ordering::Relaxed);
                // It may have ended meanwhile.
                let _ = kill_process(server, Signal::TERM);
            }
        }
    });

    let status = redis.process().child().wait()?;
    if !stopping.load(Ordering::Relaxed) {
        bail!("{} ended by itself: {status}", redis.server().name());
    }
    println!("Stopped.");
    Ok(())
}
