//! A process that ends with its owner, even if the owner is killed and cannot clean up.
//!
//! SIGKILL runs no destructors, and a parent-death signal watches the spawning thread, not the
//! process. So each process gets a watchdog: a shell that reads from a pipe whose other end only
//! the owner holds. However the owner ends, the system closes the pipe, and the watchdog kills the
//! process.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

/// Reads a process id, then waits for the end of the pipe, which means that the owner is gone. Only
/// KILL ends a stopped process. It goes to the whole group, to include what the process has started.
const WATCHDOG: &str = "read -r pid && { read -r end; kill -s KILL -- \"-$pid\"; }";

/// A child process on a leash.
pub struct Leashed {
    /// The process itself, for its id and its pipes.
    pub child: Child,
    watchdog: Child,
}

impl Leashed {
    /// Starts the command in its own process group. A Ctrl+C in the terminal does not reach it, so
    /// the owner can end its processes in the right order.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Leashed> {
        static ONCE: Once = Once::new();
        ONCE.call_once(let_children_end_by_ctrl_c);
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let pipe = watchdog.stdin.as_mut().context("sh has no stdin")?;
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        writeln!(pipe, "{}", child.id()).context("cannot tell sh whom to watch")?;
        Ok(Leashed { child, watchdog })
    }

    /// Starts the command without a stdin. `printed` gets each line of stdout and `logged` each line
    /// of stderr, each on its own thread, which drops it at the end of the pipe.
    pub fn spawn_and_read(
        command: &mut Command,
        printed: impl FnMut(String) + Send + 'static,
        logged: impl FnMut(String) + Send + 'static,
    ) -> anyhow::Result<Leashed> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Leashed::spawn(command)?;
        read_lines(process.child.stdout.take().context("no stdout")?, printed);
        read_lines(process.child.stderr.take().context("no stderr")?, logged);
        Ok(process)
    }

    /// The most resident memory that the process ever had, in bytes; `None` without Linux's `/proc`.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// Sends a signal to the process and all it has started, as Ctrl+C in a terminal does. Does
    /// nothing if it has already ended.
    pub fn signal(&mut self, signal: Signal) {
        // Once it was waited for, the system may give its process id to another process.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// Waits until the process ends, at most this long.
    pub fn wait(&mut self, at_most: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.call_off();
                return Ok(status);
            }
            // The standard library has no wait with a timeout.
            anyhow::ensure!(Instant::now() < deadline, "still running after {at_most:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops the watchdog. The system may soon give the process id to another process.
    fn call_off(&mut self) {
        // An error means that the watchdog has been called off before.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

fn read_lines(pipe: impl Read + Send + 'static, line: impl FnMut(String) + Send + 'static) {
    let lines = BufReader::new(pipe).lines().map_while(Result::ok);
    std::thread::spawn(move || lines.for_each(line));
}

/// Undoes an inherited "ignore SIGINT" for the programs that are started from here.
///
/// A script starts `cargo test &` with SIGINT ignored, and children inherit that: programs without
/// a handler would never end by Ctrl+C. Handlers are not inherited. So with a handler here, even
/// one that does nothing, children start with the default.
fn let_children_end_by_ctrl_c() {
    // A shell that sends itself SIGINT survives only if SIGINT is ignored.
    let probe = Command::new("sh").args(["-c", "kill -s INT $$"]).process_group(0).status();
    if probe.is_ok_and(|status| status.signal().is_none()) {
        // An error leaves things as they were.
        let _ = signal_hook::flag::register(Signal::INT.as_raw(), Arc::new(AtomicBool::new(false)));
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // An error means that there is nothing left to wait for.
        let _ = self.child.wait();
        self.call_off();
    }
}
