use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The task behind a [`PubSub`](crate::PubSub) or a [`Publisher`](crate::Publisher): how to end
/// it, and how to know that it has ended.
pub(crate) struct Task {
    closing: Arc<watch::Sender<bool>>,
    abort: AbortHandle,
}

/// The task's side.
#[derive(Clone)]
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Returns when the task is to end.
    pub(crate) async fn begins(&mut self) {
        // An error would mean that the handle is gone, which aborts the task.
        let _ = self.0.wait_for(|&closing| closing).await;
    }
}

impl Task {
    pub(crate) fn spawn<Running>(run: impl FnOnce(Closing) -> Running) -> Task
    where
        Running: Future<Output = ()> + Send + 'static,
    {
        let (closing, begins) = watch::channel(false);
        let running = run(Closing(begins.clone()));
        let task = async move {
            // Dropped last: then the connection is gone, too.
            let _ended = begins;
            running.await;
        };
        let abort = tokio::spawn(task).abort_handle();
        Task { closing: Arc::new(closing), abort }
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow() || self.closing.is_closed()
    }

    /// Tells the task to end, and returns when it has ended.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        self.closing.closed().await;
    }

    /// Tells the task to end when `signal` comes. Does not keep the task alive.
    pub(crate) fn close_when(&self, signal: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = signal => drop(closing.send_replace(true)),
                () = closing.closed() => {}
            }
        });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
