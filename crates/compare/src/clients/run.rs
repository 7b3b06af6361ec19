//! One client, one fault.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use demo::Process;
use futures_util::future::join;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{sleep, timeout};

use super::fault::{Fault, Servers};
use super::heard::{Heard, Level, Tally, messages};
use super::publisher::Publisher;
use crate::table::grouped;

/// How long a client may take to start and to subscribe.
const PATIENCE: Duration = Duration::from_secs(30);
/// A client without a message for so long gets none: forty are published in this time.
const SILENT: Duration = Duration::from_secs(2);

/// Runs the client beside servers of its own, watches it for so long after the fault, and returns
/// the cells of its row.
///
/// What blocks (servers that start, the flood) blocks the thread of this client only.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(
    client: Command,
    fault: &Fault,
    watch: Duration,
) -> anyhow::Result<Vec<String>> {
    let mut servers = Servers::start(fault)?;
    let mut publisher = Publisher::default();
    let mut client = Running::start(servers.connect(client))?;
    let start = Instant::now();
    while client.last_message().is_none() {
        let starts = !client.has_ended && start.elapsed() < PATIENCE;
        ensure!(starts, "it does not subscribe: {}", client.log);
        both(SILENT / 8, publisher.publish(&mut servers), client.listen()).await;
    }
    // The messages before its first one came too early for it.
    let first = messages(&client.heard).map(|(_, number)| number).next();
    publisher.published.retain(|number| Some(*number) >= first);
    both(SILENT, publisher.publish(&mut servers), client.listen()).await;

    servers.set(fault, true)?;
    let lasts = Duration::from_secs(fault.seconds);
    let mut peak_memory = None;
    if fault.is_stall() {
        publisher.flood().await?;
        sleep(lasts).await;
        peak_memory = client.process.leashed().peak_memory();
        client.drain().await;
    } else {
        both(lasts, publisher.publish(&mut servers), client.listen()).await;
    }
    servers.set(fault, false)?;
    let (repaired, next) = (Instant::now(), publisher.next);
    both(watch, publisher.publish(&mut servers), client.listen()).await;

    let is_alive = client.last_message().is_some_and(|last| last.elapsed() < SILENT);
    publisher.read_answers();
    client.drain().await;
    let back = messages(&client.heard).find(|(_, number)| *number >= next);
    let subscribers = format!(" (subscribers: {})", publisher.receivers);
    let (again, at_the_end) = match (client.process.leashed().child().try_wait()?, back) {
        (Some(status), _) => {
            ("never".to_owned(), format!("ended, {status}").replace("exit status:", "status"))
        }
        (None, Some((when, _))) if is_alive => {
            let unexpected = if publisher.receivers == 1 { "" } else { &subscribers };
            let again = format!("{:.1} s", (when - repaired).as_secs_f64());
            (again, format!("alive{unexpected}"))
        }
        (None, _) => (format!("not in {} s", watch.as_secs()), format!("**deaf**{subscribers}")),
    };
    let tally = Tally::of(&publisher.published, &client.heard);
    let mut cells = [tally.published, tally.received, tally.missing].map(grouped).to_vec();
    cells.extend([tally.announced(), again, tally.false_alarms.to_string(), at_the_end]);
    cells.extend(peak_memory.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)));
    Ok(cells)
}

/// Publishes at the steady rate, and reads what the client prints.
async fn both(time: Duration, publishing: impl Future, listening: impl Future) {
    let _ = timeout(time, join(publishing, listening)).await;
}

/// A client, and what it has said. Its output is read only while `listen` runs.
struct Running {
    process: Process,
    /// The lines of stdout, and as errors those of stderr.
    lines: Receiver<Result<String, String>>,
    heard: Vec<(Instant, Heard)>,
    log: String,
    has_ended: bool,
}

impl Running {
    fn start(mut client: Command) -> anyhow::Result<Running> {
        // Bounded: when it is full, the threads that read the output wait.
        let (heard, lines) = channel(64);
        let logged = heard.clone();
        let process = Process::start(
            &mut client,
            move |line| drop(heard.blocking_send(Ok(line))),
            move |line| drop(logged.blocking_send(Err(line))),
        )?;
        Ok(Running { process, lines, heard: Vec::new(), log: String::new(), has_ended: false })
    }

    async fn listen(&mut self) {
        while let Some(line) = self.lines.recv().await {
            let heard = match line {
                Ok(line) => Heard::parse(&line),
                Err(line) => {
                    self.log += &format!("{line}\n");
                    Some(Heard::Lost(Level::Log, None))
                }
            };
            self.heard.extend(heard.map(|heard| (Instant::now(), heard)));
        }
        if !self.has_ended {
            self.has_ended = true;
            self.heard.push((Instant::now(), Heard::Lost(Level::End, None)));
        }
    }

    fn last_message(&self) -> Option<Instant> {
        messages(&self.heard).next_back().map(|(when, _)| when)
    }

    /// Reads until no message has come for a while.
    async fn drain(&mut self) {
        let mut before = None;
        while self.last_message() != before {
            before = self.last_message();
            let _ = timeout(SILENT / 2, self.listen()).await;
        }
    }
}
