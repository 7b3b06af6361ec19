//! One client, one fault.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use demo::Process;
use serde::Serialize;

use super::client::{Client, Programs};
use super::fault::{Fault, Stage};
use super::heard::{Heard, Level, Tally, longest_silence};
use super::publisher::{flood, publish};

/// What was seen from outside.
#[derive(Serialize)]
pub(super) struct Seen {
    #[serde(flatten)]
    pub tally: Tally,
    /// From the end of the cause to the first message after the longest silence, in seconds;
    /// `None` if no more came.
    pub again: Option<f64>,
    pub state: State,
    /// How many subscribers Redis counts at the end.
    pub subscribers: u64,
    pub peak_memory: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Alive,
    /// It runs, and gets no messages.
    Deaf,
    Ended {
        code: Option<i32>,
    },
}

/// For a client to start and to subscribe.
const PATIENCE: Duration = Duration::from_secs(30);
/// At the steady rate that is forty messages.
const SILENT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

const FLOOD: u64 = 500_000;
/// The first number after those that come before the flood.
const FIRST: u64 = 1_000_000;

/// After the cause is gone, the client is watched for this long.
pub(super) fn run(
    client: &Client,
    fault: Fault,
    programs: &Programs,
    watch: Duration,
) -> anyhow::Result<Seen> {
    let stage = Stage::build(fault)?;
    let mut command = programs.command(client, fault)?;
    command.env("REDIS_URL", stage.url(fault));
    if let Some(network) = stage.network() {
        command = network.enter(&command);
    }
    let mut watched = Watched::start(command)?;
    let deadline = Instant::now() + PATIENCE;
    while stage.subscribers()? == 0 {
        if Instant::now() > deadline || watched.ended()?.is_some() {
            bail!("it does not subscribe: {}", watched.log());
        }
        sleep(POLL);
    }

    let mut published = steady(&stage, 1, || {
        sleep(SILENT);
        Ok(())
    })?;
    let mut peak_memory = None;
    let begun = Instant::now();
    let mut repaired = begun;
    if fault == Fault::Stall {
        let (port, _) = stage.target()?.context("no server")?;
        let stalled = lock(&watched.gate);
        published.extend(flood(port, FIRST, FLOOD)?);
        sleep(Duration::from_secs(3));
        peak_memory = memory(watched.process.leashed().id());
        drop(stalled);
        watched.drain();
        repaired = Instant::now();
    }
    published.extend(steady(&stage, 2 * FIRST, || {
        sleep(SILENT / 4);
        stage.strike(fault)?;
        if fault != Fault::Stall {
            repaired = Instant::now();
        }
        watched.watch(watch)
    })?);
    let subscribers = stage.subscribers()?;
    watched.drain();

    let heard = lock(&watched.heard).clone();
    let silence = longest_silence(&heard, begun..repaired + SILENT);
    // Between two messages there always is one.
    let missed = silence.end - silence.start > SILENT / 4;
    let back = if missed { silence.end } else { repaired };
    let flowing = watched.flowing;
    let state = match watched.ended()? {
        Some(status) => State::Ended { code: status.code() },
        None if flowing => State::Alive,
        None => State::Deaf,
    };
    Ok(Seen {
        tally: Tally::of(&published, &heard),
        again: flowing.then(|| back.saturating_duration_since(repaired).as_secs_f64()),
        state,
        subscribers,
        peak_memory,
    })
}

/// Publishes at the steady rate meanwhile.
fn steady(
    stage: &Stage,
    first: u64,
    meanwhile: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u64>> {
    let stop = AtomicBool::new(false);
    scope(|scope| {
        let publishing = scope.spawn(|| publish(stage, first, &stop));
        let result = meanwhile();
        stop.store(true, Ordering::Relaxed);
        let published = publishing.join().unwrap_or_default();
        result.map(|()| published)
    })
}

/// A client that runs, and what it has said.
struct Watched {
    process: Process,
    heard: Arc<Mutex<Vec<(Instant, Heard)>>>,
    logged: Arc<Mutex<Vec<String>>>,
    /// Whoever holds it keeps its output from being read.
    gate: Arc<Mutex<()>>,
    status: Option<ExitStatus>,
    /// Whether messages came until the end of the watch.
    flowing: bool,
}

impl Watched {
    fn start(mut command: std::process::Command) -> anyhow::Result<Watched> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let logged = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Mutex::new(()));
        let stdout = (gate.clone(), heard.clone());
        let stderr = (logged.clone(), heard.clone());
        let process = Process::start(
            &mut command,
            move |line| {
                drop(lock(&stdout.0));
                if let Some(said) = Heard::parse(&line) {
                    lock(&stdout.1).push((Instant::now(), said));
                }
            },
            move |line| {
                lock(&stderr.0).push(line);
                lock(&stderr.1).push((Instant::now(), Heard::Lost(Level::Log, None)));
            },
        )?;
        Ok(Watched { process, heard, logged, gate, status: None, flowing: false })
    }

    fn log(&self) -> String {
        lock(&self.logged).join("\n")
    }

    fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.process.leashed().child().try_wait()?;
            if self.status.is_some() {
                lock(&self.heard).push((Instant::now(), Heard::Lost(Level::End, None)));
            }
        }
        Ok(self.status)
    }

    fn last_message(&self) -> Option<Instant> {
        let heard = lock(&self.heard);
        let is_message = |(_, heard): &&(Instant, Heard)| matches!(heard, Heard::Message(_));
        heard.iter().rev().find(is_message).map(|(when, _)| *when)
    }

    /// Looks on for the same time with every client, so that the counts can be compared.
    fn watch(&mut self, time: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.ended()?;
            sleep(POLL);
        }
        let last = self.last_message();
        self.flowing = self.status.is_none() && last.is_some_and(|last| last.elapsed() < SILENT);
        Ok(())
    }

    /// Until nothing has come for a while.
    fn drain(&self) {
        let start = Instant::now();
        loop {
            let quiet = self.last_message().unwrap_or(start).max(start).elapsed();
            if quiet > SILENT / 2 || start.elapsed() > PATIENCE {
                return;
            }
            sleep(POLL);
        }
    }
}

/// The most that it ever had, in bytes; nothing where there is no `/proc`.
fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
