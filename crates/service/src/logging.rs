//! Logs go to stderr, written by a thread of their own: a stderr that nobody reads must not stop
//! the service. Lines that find no room are dropped and counted.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The most lines that can wait.
const LINES: usize = 1024;
/// How long the end of the process waits for a stderr that nobody reads.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Lines that found no room since this was last reported.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The lines for the thread. Both come into being with the first line: most services start without
/// one, and start sooner then.
static WRITER: OnceLock<SyncSender<Job>> = OnceLock::new();

enum Job {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// `RUST_LOG` says how much is logged: a level, or several `target=level` with commas between them.
pub(crate) fn start() {
    let filter = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = filter.and_then(|filter| filter.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(wants_colour && io::stderr().is_terminal())
        .with_writer(|| Logs);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

fn write_all(jobs: &Receiver<Job>) {
    // There is no place where an error of stderr could be reported.
    let mut stderr = io::stderr();
    for job in jobs {
        match job {
            Job::Line(line) => drop(stderr.write_all(&line)),
            Job::Flush(done) => drop(done.send(())),
        }
        match DROPPED.swap(0, Ordering::Relaxed) {
            0 => {}
            count => drop(writeln!(stderr, "{count} lines of the log were dropped")),
        }
    }
}

/// Waits until all lines are written, but not for ever.
pub(crate) fn finish() {
    let Some(writer) = WRITER.get() else { return };
    let (done, finished) = sync_channel(1);
    // Sending may have to wait for room, and so may stderr: on another thread, for a while.
    let _ = thread::Builder::new().spawn(move || writer.send(Job::Flush(done)));
    let _ = finished.recv_timeout(LAST_LINES);
}

pub(crate) struct Logs;

impl Write for Logs {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let writer = WRITER.get_or_init(|| {
            let (writer, jobs) = sync_channel(LINES);
            // A service that gets no thread goes on: its lines are dropped.
            let _ = thread::Builder::new().spawn(move || write_all(&jobs));
            writer
        });
        if writer.try_send(Job::Line(line.to_owned())).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
