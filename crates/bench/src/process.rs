//! A process that is measured.

use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::Context;
use local_redis::{Leashed, Signal};
use wait4::Wait4;

pub(crate) struct Measured {
    pub process: Leashed,
    pub started: Instant,
}

/// The cost of a process from its start to its end.
pub(crate) struct Cost {
    /// In seconds.
    pub wall: f64,
    /// In user mode and in the kernel, in seconds.
    pub cpu: f64,
    pub status: ExitStatus,
}

impl Measured {
    pub(crate) fn start(mut command: Command, stdout: impl Into<Stdio>) -> anyhow::Result<Self> {
        let process = Leashed::spawn(command.stdout(stdout).stderr(Stdio::null()))?;
        Ok(Measured { process, started: Instant::now() })
    }

    pub(crate) fn wait(mut self) -> anyhow::Result<Cost> {
        let used = self.process.child().wait4().context("cannot wait for a process")?;
        let wall = self.started.elapsed().as_secs_f64();
        let cpu = (used.rusage.utime + used.rusage.stime).as_secs_f64();
        Ok(Cost { wall, cpu, status: used.status })
    }

    /// Kills it, so that its shutdown costs nothing.
    pub(crate) fn kill(mut self) -> anyhow::Result<Cost> {
        self.process.signal(Signal::KILL);
        self.wait()
    }

    /// The most memory that it ever had, in MiB; `None` without `/proc`. (The figure of `wait4`
    /// includes that of the process which started it.)
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(peak.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
    }
}
