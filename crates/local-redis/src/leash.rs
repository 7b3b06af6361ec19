//! A process that ends with its owner, also when the owner is killed and can't clean up.
//!
//! A destructor does not run in a process that gets SIGKILL, and a parent-death signal follows
//! the thread that spawned, not the process. So a watchdog stands beside: a shell that waits on a
//! pipe whose other end only the owner holds. When the owner ends, in whatever way, the system
//! closes the pipe, and the watchdog kills what it was told to.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

/// Reads a process id, then waits: a second line says that all is well, the end of the pipe that
/// the owner is gone. KILL, as a stopped process would not hear anything gentler; the whole
/// group, with whatever the process has started itself.
const WATCHDOG: &str = "read -r pid && { read -r done || kill -s KILL -- \"-$pid\"; }";

/// A child process on a leash.
pub struct Leashed {
    child: Child,
    watchdog: Child,
    pipe: ChildStdin,
}

impl Leashed {
    /// Starts the command in a process group of its own, so that a Ctrl+C in the terminal does
    /// not reach it: its owner decides in which order things end.
    ///
    /// # Errors
    ///
    /// When there is no such program, or no shell.
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
        let mut pipe = watchdog.stdin.take().context("sh has no stdin")?;
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        writeln!(pipe, "{}", child.id()).context("cannot tell sh whom to watch")?;
        Ok(Leashed { child, watchdog, pipe })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal to the process and what it has started, as Ctrl+C in a terminal does. One
    /// that has ended already is no error.
    pub fn signal(&mut self, signal: Signal) {
        // Once it was waited for, the process id may be somebody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// Waits for the end of the process, at most this long.
    ///
    /// # Errors
    ///
    /// When it is still running then.
    pub fn wait(&mut self, at_most: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.call_off();
                return Ok(status);
            }
            // The standard library can wait for a process for ever or not at all.
            anyhow::ensure!(Instant::now() < deadline, "still running after {at_most:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The process id may be somebody else's now: nobody must be killed by it any more.
    fn call_off(&mut self) {
        // An error means that the watchdog has been called off before.
        let _ = writeln!(self.pipe, "done");
        let _ = self.watchdog.wait();
    }
}

/// Undoes an inherited "ignore SIGINT" for the programs that are started from here.
///
/// A shell starts `cargo test &` with SIGINT ignored, and a program passes that on to all it
/// starts: those without a handler of their own would never end by Ctrl+C. Handlers are not
/// passed on. So with a handler here, even one that does nothing, children get the default.
fn let_children_end_by_ctrl_c() {
    // A shell that sends itself SIGINT survives only if it is ignored. In its own group, as the
    // rest of this one is none of its business.
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
