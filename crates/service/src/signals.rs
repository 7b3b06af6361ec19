use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells when to end: at Ctrl+C (SIGINT), or when the process is asked to (SIGTERM, as
/// `docker stop` sends it).
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<u32>);

impl Shutdown {
    /// To be called first of all: from then on the signals no longer end the process by
    /// themselves. (As process 1 of a container they would not even do that: the kernel ignores
    /// SIGTERM there unless it is asked for.)
    pub(crate) fn listen() -> io::Result<Shutdown> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (count, signals) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Shutdown(signals))
    }

    /// Waits for the first signal. Boxed, so that it fits `take_until` as it is.
    pub fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let signals = self.clone();
        Box::pin(async move { signals.wait_for(1).await })
    }

    /// Whether a signal came.
    pub fn came(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until that many have come.
    pub(crate) async fn wait_for(&self, count: u32) {
        let mut signals = self.0.clone();
        // An error would mean that the task above is gone, which runs as long as the runtime.
        let _ = signals.wait_for(|&came| came >= count).await;
    }
}
