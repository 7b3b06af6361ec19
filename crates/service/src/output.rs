//! Printing to stdout without ever waiting for whoever reads it.
//!
//! A service runs on one thread, which also answers signals and sends the heartbeat. A write to
//! a pipe that nobody reads would stop all of that, so a thread of its own does the writing.
//! What it gets is what has been printed since the last time: line by line when it is quiet,
//! in pieces of 64 KiB and more under load, where a write for each line would cost more than all
//! the rest.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::yield_now;

/// At this size the lines are handed over, if the thread has taken the last ones.
const CHUNK: usize = 64 * 1024;
/// While it has not, so much more is printed before printing waits. On a busy machine a thread
/// gets its turn late; with little to do in each turn it would be slower than Redis.
const MOST: usize = 1024 * 1024;

/// The service's stdout.
#[derive(Clone)]
pub struct Output(Arc<Shared>);

struct Shared {
    printed: Mutex<Vec<u8>>,
    not_empty: Notify,
    thread: mpsc::Sender<Job>,
    /// Why the thread has ended, for everybody who asks.
    error: Mutex<Option<(io::ErrorKind, String)>>,
}

enum Job {
    Write(Vec<u8>),
    Finish(oneshot::Sender<()>),
}

impl Output {
    pub(crate) fn new() -> Output {
        let (thread, jobs) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            printed: Mutex::new(Vec::new()),
            not_empty: Notify::new(),
            thread,
            error: Mutex::new(None),
        });
        std::thread::spawn({
            let shared = shared.clone();
            move || {
                let mut jobs = jobs;
                if let Err(error) = write_all(&mut jobs) {
                    *lock(&shared.error) = Some((error.kind(), error.to_string()));
                }
                // Dropped only now: who finds the thread gone also finds the reason.
                drop(jobs);
            }
        });
        // On a runtime of one thread this task gets its turn when the service has nothing more
        // to print and waits: then what it has printed goes out, however little it is.
        tokio::spawn({
            let output = Output(shared.clone());
            async move {
                loop {
                    output.0.not_empty.notified().await;
                    // Whoever prints goes on first with what has arrived meanwhile: under load one
                    // write for a thousand lines instead of ten writes for a hundred each.
                    let mut size = 0;
                    while size != output.size() {
                        size = output.size();
                        yield_now().await;
                    }
                    if output.hand_over().await.is_err() {
                        return;
                    }
                }
            }
        });
        Output(shared)
    }

    /// Prints one line. Waits only while stdout does not take what was printed before.
    ///
    /// # Errors
    ///
    /// When stdout could not be written to; the service has nothing to do then but to end.
    pub async fn line(&self, line: impl Display) -> io::Result<()> {
        self.print(|printed| writeln!(printed, "{line}")).await
    }

    /// Prints what `write` adds to what was printed before: whole lines, or nothing. Otherwise as
    /// [`line`](Self::line).
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub async fn print(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let size = {
            let mut printed = lock(&self.0.printed);
            if printed.is_empty() {
                self.0.not_empty.notify_one();
            }
            write(&mut printed)?;
            printed.len()
        };
        if size >= MOST || (size >= CHUNK && self.0.thread.capacity() > 0) {
            self.hand_over().await?;
            // With a fast reader this never waits, and a service with much to print would keep
            // the connection and the signals waiting until it has printed all.
            yield_now().await;
        }
        Ok(())
    }

    /// Waits until everything has been written.
    pub(crate) async fn finish(&self) -> io::Result<()> {
        self.hand_over().await?;
        let (finished, done) = oneshot::channel();
        let sent = self.0.thread.send(Job::Finish(finished)).await;
        match (sent, done.await) {
            (Ok(()), Ok(())) => Ok(()),
            _ => Err(self.error()),
        }
    }

    fn size(&self) -> usize {
        lock(&self.0.printed).len()
    }

    async fn hand_over(&self) -> io::Result<()> {
        let Ok(place) = self.0.thread.reserve().await else {
            return Err(self.error());
        };
        let mut printed = lock(&self.0.printed);
        if !printed.is_empty() {
            // There is about as much to print the next time: no growing from nothing again.
            let next = Vec::with_capacity(printed.len().min(CHUNK));
            place.send(Job::Write(std::mem::replace(&mut printed, next)));
        }
        Ok(())
    }

    /// Returns when stdout can't be written to, and why.
    pub(crate) async fn failed(&self) -> io::Error {
        self.0.thread.closed().await;
        self.error()
    }

    /// Whether stdout has not taken yet what was printed.
    pub(crate) fn is_behind(&self) -> bool {
        self.0.thread.capacity() == 0 || !lock(&self.0.printed).is_empty()
    }

    fn error(&self) -> io::Error {
        match &*lock(&self.0.error) {
            Some((kind, error)) => {
                io::Error::new(*kind, format!("cannot write to stdout: {error}"))
            }
            None => io::Error::other("cannot write to stdout any more"),
        }
    }
}

fn write_all(jobs: &mut mpsc::Receiver<Job>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Write(lines) => {
                stdout.write_all(&lines)?;
                stdout.flush()?;
            }
            // The service may have stopped waiting.
            Job::Finish(finished) => drop(finished.send(())),
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves when stdout is a pipe and its reader has gone, as after `subscriber | head -1`. A
/// write would tell as well, but the next message may be hours away.
pub(crate) async fn reader_gone() {
    // Only watched, never written to: so it may stay in blocking mode, which it shares with
    // every other process that has this pipe. A file can't be watched, and needs no reader.
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    if let Ok(stdout) = stdout.and_then(pipe::Sender::from_owned_fd_unchecked)
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
