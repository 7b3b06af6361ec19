//! The methods of [`Publisher`](crate::Publisher) for shard channels.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::Stream;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::LONGEST_DELAY;
use super::publishing::{BATCH, Message, Publishing};
use crate::Error;
use crate::publisher::CLOSED;
use crate::publishing::{not_confirmed, until_closed};

/// The task behind them.
pub(crate) struct Publisher {
    queue: UnboundedSender<Message>,
    connected: watch::Receiver<bool>,
    one_may_try: Arc<Notify>,
    pub(crate) task: AbortHandle,
}

impl Publisher {
    pub(crate) async fn connected(&self) {
        // Waiting, even for what is there already, takes from the task's turn.
        if *self.connected.borrow() {
            return;
        }
        let mut connected = self.connected.clone();
        tokio::select! {
            biased;
            // An error means that the publisher was closed: there is nothing to wait for.
            _ = connected.wait_for(|&connected| connected) => {}
            () = self.one_may_try.notified() => {}
            // Whoever was notified may have published nothing.
            () = sleep(LONGEST_DELAY) => {}
        }
    }
}

impl crate::Publisher {
    /// Publishes `payload` on a shard channel, which is another than the channel of that name, and
    /// returns how many receivers the node counted that owns its slot.
    ///
    /// As with [`publish`](Self::publish), messages for the same channel keep their order. Nodes
    /// are asked side by side, but one that hangs keeps the others waiting: until that is noticed,
    /// 4 s at most, and for 2 s at each attempt to reach it before its replica has taken over.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). A node that sends us to another one (MOVED) has not taken the
    /// message: then it is sent there.
    pub async fn spublish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, Error> {
        let sharded = self.sharded.get_or_init(|| {
            let (queue, queued) = mpsc::unbounded_channel();
            let (is_connected, connected) = watch::channel(true);
            let one_may_try = Arc::new(Notify::new());
            let (addresses, trying) = (self.addresses.clone(), one_may_try.clone());
            let publishing = Publishing::new(addresses, is_connected, trying).run(queued);
            let task = tokio::spawn(until_closed(publishing, self.closing.subscribe()));
            Publisher { queue, connected, one_may_try, task: task.abort_handle() }
        });
        let (answer, answered) = oneshot::channel();
        let (channel, payload) = (channel.as_ref().to_vec(), payload.as_ref().to_vec());
        // Where the task has ended, both fail in the same way.
        let _ = sharded.queue.send(Message { channel, payload, answer });
        answered.await.unwrap_or_else(|_| Err(not_confirmed(CLOSED)))
    }

    /// As [`publish_all`](Self::publish_all), on shard channels, with up to 512 messages on their
    /// way.
    pub fn spublish_all<'a, Channel, Payload>(
        &'a self,
        messages: impl Stream<Item = (Channel, Payload)> + 'a,
    ) -> impl Stream<Item = (Channel, Payload, Result<u64, Error>)> + 'a
    where
        Channel: AsRef<[u8]> + 'a,
        Payload: AsRef<[u8]> + 'a,
    {
        let publish = async move |(channel, payload): (Channel, Payload)| {
            let answer = self.spublish(&channel, &payload).await;
            (channel, payload, answer)
        };
        messages.map(publish).buffered(BATCH)
    }
}
