//! Printing to stdout: at once when there is little to print, in bulk when there is much.
//!
//! A write for each line costs more than everything else that a service does for it. But a line
//! must not wait for the next one either. So lines are collected, and written before the service
//! waits for anything.
//!
//! A stdout that nobody reads blocks the service's own thread only. The connection to Redis has the
//! main thread, where the heartbeat continues and messages wait in the inbox, bounded and counted.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use tokio::io::Interest;
use tokio::net::unix::pipe;

/// As much as a pipe holds.
const SIZE: usize = 64 * 1024;

/// True while something is printed and not yet written.
static BEHIND: AtomicBool = AtomicBool::new(false);

/// The service's stdout, which can be written to with `writeln!`.
pub struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    /// Locks stdout until the process ends. Without the lock, `process::exit` would flush stdout,
    /// and that blocks on a full pipe.
    pub(crate) fn new() -> Output {
        Output(BufWriter::with_capacity(SIZE, io::stdout().lock()))
    }

    /// The next of the events. Writes what was printed before it waits for one.
    ///
    /// # Errors
    ///
    /// When stdout can't be written to; then the service can only end.
    pub async fn next<Event>(
        &mut self,
        events: &mut (impl Stream<Item = Event> + Unpin),
    ) -> io::Result<Option<Event>> {
        if let Some(event) = events.next().now_or_never() {
            return Ok(event);
        }
        self.flush()?;
        Ok(events.next().await)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BEHIND.store(true, Ordering::Relaxed);
        self.0.write(bytes).map_err(cannot_write)
    }

    // The default would check after each of the many small writes how much was written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        BEHIND.store(true, Ordering::Relaxed);
        self.0.write_all(bytes).map_err(cannot_write)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(cannot_write)?;
        BEHIND.store(false, Ordering::Relaxed);
        Ok(())
    }
}

fn cannot_write(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))
}

/// Whether something is printed and not yet written.
pub(crate) fn is_behind() -> bool {
    BEHIND.load(Ordering::Relaxed)
}

/// Returns when stdout is a pipe and its reader has gone, as after `subscriber | head -1`. A write
/// would show it as well, but the next message may be hours away.
pub(crate) async fn reader_gone() {
    // Blocking mode belongs to the pipe, which other processes share. This only watches it, so the
    // mode stays. A file can't be watched, and has no reader.
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    if let Ok(stdout) = stdout.and_then(pipe::Sender::from_owned_fd_unchecked)
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
