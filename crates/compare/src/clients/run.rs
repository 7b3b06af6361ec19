//! One client, one fault.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_redis::Leashed;
use tokio::sync::Mutex;
use tokio::time::sleep;

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
    let mut client = servers.connect(client);
    let output = Output::default();
    let (printed, logged) = (output.clone(), output.clone());
    let mut process = Leashed::spawn_and_read(
        &mut client,
        move |line| printed.blocking_lock().0.extend(Heard::parse(&line).map(now)),
        move |line| {
            let (heard, log) = &mut *logged.blocking_lock();
            heard.push(now(Heard::Lost(Level::Log, None)));
            *log += &format!("{line}\n");
        },
    )?;
    let start = Instant::now();
    while last_message(&output).await.is_none() {
        // Each of the two threads that read has the output, too.
        let starts = Arc::strong_count(&output) > 1 && start.elapsed() < PATIENCE;
        ensure!(starts, "it does not subscribe: {}", output.lock().await.1);
        publisher.publish(SILENT / 8, &mut servers).await;
    }
    // The messages before its first one came too early for it.
    let first = messages(&output.lock().await.0).map(|(_, number)| number).next();
    publisher.published.retain(|number| Some(*number) >= first);
    publisher.publish(SILENT, &mut servers).await;

    servers.set(fault, true)?;
    let lasts = Duration::from_secs(fault.seconds);
    let mut peak_memory = None;
    if fault.key == "stall" {
        let unread = output.lock().await;
        publisher.flood().await?;
        sleep(lasts).await;
        peak_memory = process.peak_memory();
        drop(unread);
        drain(&output).await;
    } else {
        publisher.publish(lasts, &mut servers).await;
    }
    servers.set(fault, false)?;
    let (repaired, next) = (Instant::now(), publisher.next);
    publisher.publish(watch, &mut servers).await;

    let is_alive = last_message(&output).await.is_some_and(|last| last.elapsed() < SILENT);
    publisher.read_answers();
    drain(&output).await;
    let (heard, _) = &mut *output.lock().await;
    let back = messages(heard).find(|(_, number)| *number >= next);
    let subscribers = format!(" (subscribers: {})", publisher.receivers);
    let (again, at_the_end) = match (process.child.try_wait()?, back) {
        (Some(status), _) => {
            heard.push(now(Heard::Lost(Level::End, None)));
            ("never".to_owned(), format!("ended, {status}").replace("exit status:", "status"))
        }
        (None, Some((when, _))) if is_alive => {
            let unexpected = if publisher.receivers == 1 { "" } else { &subscribers };
            let again = format!("{:.1} s", (when - repaired).as_secs_f64());
            (again, format!("alive{unexpected}"))
        }
        (None, _) => (format!("not in {} s", watch.as_secs()), format!("**deaf**{subscribers}")),
    };
    let tally = Tally::of(&publisher.published, heard);
    let mut cells = [tally.published, tally.received, tally.missing].map(grouped).to_vec();
    cells.extend([tally.announced(), again, tally.false_alarms.to_string(), at_the_end]);
    cells.extend(peak_memory.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)));
    Ok(cells)
}

/// What a client has said on stdout, and the lines of its stderr. While this is locked, nobody
/// reads its output.
type Output = Arc<Mutex<(Vec<(Instant, Heard)>, String)>>;

fn now(heard: Heard) -> (Instant, Heard) {
    (Instant::now(), heard)
}

async fn last_message(output: &Output) -> Option<Instant> {
    messages(&output.lock().await.0).next_back().map(|(when, _)| when)
}

/// Waits until no message has come for a while.
async fn drain(output: &Output) {
    let mut before = None;
    while last_message(output).await != before {
        before = last_message(output).await;
        sleep(SILENT / 2).await;
    }
}
