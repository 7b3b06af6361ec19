use std::io;
use std::sync::LazyLock;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many signals to end have come: Ctrl+C (SIGINT), or SIGTERM as `docker stop` sends it.
static SIGNALS: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::Sender::new(0));

/// To be called before the service starts: from then on a signal is counted, and does not end the
/// process by itself. (As process 1 of a container it would not even end: there the kernel ignores
/// SIGTERM, unless the program handles it.)
pub(crate) fn listen() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            SIGNALS.send_modify(|count| *count += 1);
        }
    });
    Ok(())
}

/// Returns when Ctrl+C or SIGTERM has come: at once if it came before.
pub async fn shutdown() {
    wait_for(1).await;
}

/// Whether Ctrl+C or SIGTERM has come.
pub fn is_shutting_down() -> bool {
    *SIGNALS.borrow() > 0
}

/// Waits until that many signals have come.
pub(crate) async fn wait_for(count: u32) {
    // An error would mean that the sender is gone, which is static.
    let _ = SIGNALS.subscribe().wait_for(|&came| came >= count).await;
}
