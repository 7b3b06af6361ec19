use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The task behind a [`PubSub`](crate::PubSub) or a [`Publisher`](crate::Publisher): how to end
/// it, and how to know that it has ended.
pub(crate) struct Task {
    closing: CancellationToken,
    ended: CancellationToken,
    _running: AbortOnDropHandle<()>,
}

impl Task {
    /// The task is to end when the token that `run` gets is cancelled. However it ends, `ended` is
    /// cancelled then.
    pub(crate) fn spawn<Running>(
        ended: CancellationToken,
        run: impl FnOnce(CancellationToken) -> Running,
    ) -> Task
    where
        Running: Future<Output = ()> + Send + 'static,
    {
        let closing = CancellationToken::new();
        let running = run(closing.clone());
        let ends = ended.clone().drop_guard();
        let _running = AbortOnDropHandle::new(tokio::spawn(async move {
            // Dropped last: then the connection is gone, too. (An attempt to connect has a task of
            // its own, which may end a moment later.)
            let _ends = ends;
            running.await;
        }));
        Task { closing, ended, _running }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_cancelled() || self.ended.is_cancelled()
    }

    /// Tells the task to end, and returns when it has ended.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.ended.cancelled().await;
    }

    /// Tells the task to end when `signal` comes. Does not keep the task alive.
    pub(crate) fn close_when(&self, signal: impl Future<Output = ()> + Send + 'static) {
        let (closing, ended) = (self.closing.clone(), self.ended.clone());
        tokio::spawn(async move {
            if ended.run_until_cancelled(signal).await.is_some() {
                closing.cancel();
            }
        });
    }
}
