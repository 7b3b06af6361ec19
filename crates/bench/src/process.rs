//! A process that is measured.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use local_redis::{Leashed, Signal};
use wait4::Wait4;

pub(crate) struct Measured {
    pub process: Leashed,
    pub started: Instant,
}

/// The cost of a process, from its start to its end.
pub(crate) struct Cost {
    pub wall: Duration,
    /// In user mode and in the kernel.
    pub cpu: Duration,
    pub status: ExitStatus,
}

impl Measured {
    pub(crate) fn start(
        command: &mut Command,
        stdout: impl Into<Stdio>,
    ) -> anyhow::Result<Measured> {
        command.stdout(stdout).stderr(Stdio::null());
        let process = Leashed::spawn(command)?;
        Ok(Measured { process, started: Instant::now() })
    }

    pub(crate) fn wait(mut self) -> anyhow::Result<Cost> {
        let used = self.process.child().wait4().context("cannot wait for a process")?;
        let cpu = used.rusage.utime + used.rusage.stime;
        Ok(Cost { wall: self.started.elapsed(), cpu, status: used.status })
    }

    /// Kills it, so that its shutdown costs nothing.
    pub(crate) fn kill(mut self) -> anyhow::Result<Cost> {
        self.process.signal(Signal::KILL);
        self.wait()
    }

    /// The most memory that it ever had, in bytes; `None` without `/proc`. (The figure of `wait4`
    /// includes that of the process which started it.)
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }
}
