use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt;
use futures_util::stream::{self, FuturesOrdered, Stream};
use redis::Cmd;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, yield_now};

use crate::Error;
use crate::addresses::Addresses;
use crate::publishing::{Asked, Batch, connect, not_confirmed, publish_for_ever, until_closed};
use crate::sharded;

/// How many messages [`Publisher::publish_all`] hands over together: as many as Redis takes in a
/// fraction of a millisecond. Twice as many are on their way at most, so that Redis has the next
/// ones already when it has answered the first, and neither side waits for the other.
const BATCH: usize = 512;
pub(crate) const CLOSED: &str = "the publisher was closed";

/// A publisher, which keeps its connection as a [`PubSub`](crate::PubSub) does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let redis = local_redis::LocalRedis::start()?;
/// # let url = &redis.url();
/// let publisher = pubsub::Publisher::connect(url).await?;
/// let receivers = publisher.publish("notifications", "New user registered!").await?;
/// assert_eq!(receivers, 0, "nobody has subscribed here");
/// # Ok(())
/// # }
/// ```
pub struct Publisher {
    queue: UnboundedSender<Batch>,
    /// Whether a message was ever queued: with shard channels only, none is.
    used: Arc<AtomicBool>,
    connected: watch::Receiver<bool>,
    pub(crate) closing: Arc<watch::Sender<bool>>,
    task: AbortHandle,
    pub(crate) addresses: Addresses,
    /// Started with the first message for a shard channel.
    pub(crate) sharded: OnceLock<sharded::Publisher>,
}

impl Publisher {
    /// Connects to the Redis at `url`, and from then on keeps the connection.
    ///
    /// # Errors
    ///
    /// As [`PubSub::connect`](crate::PubSub::connect), and [`Error::Replica`]: outside a cluster a
    /// replica passes messages on to its own subscribers only, so replicas are passed over.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(url: &str) -> Result<Publisher, Error> {
        let mut addresses = Addresses::parse(url)?;
        let link = addresses.try_each(connect).await?;
        let (queue, queued) = mpsc::unbounded_channel();
        let (is_connected, connected) = watch::channel(true);
        let closing = Arc::new(watch::Sender::new(false));
        let used = Arc::new(AtomicBool::new(false));
        let publishing =
            publish_for_ever(addresses.clone(), link, queued, is_connected, used.clone());
        let task = tokio::spawn(until_closed(publishing, closing.subscribe())).abort_handle();
        Ok(Publisher { queue, used, connected, closing, task, addresses, sharded: OnceLock::new() })
    }

    /// Publishes `payload` on `channel`, and returns how many receivers Redis counted: a client
    /// that has the channel by name and by a pattern counts twice, one that hangs counts too.
    /// On a cluster Redis counts only those of the node it was asked on.
    ///
    /// Messages are sent in the order in which these calls were first polled; those that wait at
    /// the same time are sent together. Given up before the answer, the message may still be sent.
    ///
    /// # Errors
    ///
    /// [`Error::NotConfirmed`] when Redis refused the message, when there is no connection, or
    /// when it was lost before the answer came; in the last case Redis may have taken the message
    /// or not. It is never sent a second time: at most once.
    pub async fn publish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, Error> {
        let answers = self.enqueue(vec![command(channel.as_ref(), payload.as_ref())]).await;
        answers.into_iter().next().unwrap_or_else(|| Err(not_confirmed(CLOSED)))
    }

    /// Queues messages at once; the future that it returns gives the answers.
    fn enqueue(&self, messages: Vec<Cmd>) -> impl Future<Output = Vec<Result<u64, Error>>> {
        let (answer, answered) = oneshot::channel();
        let count = messages.len();
        self.used.store(true, Ordering::Relaxed);
        // Where the task has ended, both fail in the same way.
        let _ = self.queue.send(Batch { messages, asked: Asked { messages: count, answer } });
        async move { answered.await.unwrap_or_else(|_| vec![Err(not_confirmed(CLOSED)); count]) }
    }

    /// Publishes messages as they come, without waiting for the answer to one before sending the
    /// next, and gives the answers in the same order. Up to 1,024 messages are on their way at a
    /// time.
    pub fn publish_all<'a, Channel, Payload>(
        &'a self,
        messages: impl Stream<Item = (Channel, Payload)> + 'a,
    ) -> impl Stream<Item = (Channel, Payload, Result<u64, Error>)> + 'a
    where
        Channel: AsRef<[u8]> + 'a,
        Payload: AsRef<[u8]> + 'a,
    {
        let batches = Box::pin(messages.ready_chunks(BATCH).fuse());
        let state = (batches, FuturesOrdered::new(), 0);
        let answers =
            stream::unfold(state, async |(mut batches, mut waiting, mut on_their_way)| {
                loop {
                    tokio::select! {
                        // The next batch first: Redis has it while the caller looks at answers.
                        biased;
                        Some(batch) = batches.next(), if on_their_way <= BATCH => {
                            on_their_way += batch.len();
                            waiting.push_back(self.publish_batch(batch));
                        }
                        Some(answers) = waiting.next() => {
                            on_their_way -= answers.len();
                            // The caller takes a while with so many. What was queued is sent first.
                            yield_now().await;
                            return Some((stream::iter(answers), (batches, waiting, on_their_way)));
                        }
                        else => return None,
                    }
                }
            });
        answers.flatten()
    }

    fn publish_batch<Channel: AsRef<[u8]>, Payload: AsRef<[u8]>>(
        &self,
        batch: Vec<(Channel, Payload)>,
    ) -> impl Future<Output = Vec<(Channel, Payload, Result<u64, Error>)>> {
        let commands =
            batch.iter().map(|(channel, payload)| command(channel.as_ref(), payload.as_ref()));
        let answers = self.enqueue(commands.collect());
        async move {
            let answers = batch.into_iter().zip(answers.await);
            answers.map(|((channel, payload), answer)| (channel, payload, answer)).collect()
        }
    }

    /// Returns when there is a connection, at once if there is one now. Where the owner of a shard
    /// channel is lost, which only a message can show to be back, it lets one at a time try.
    pub async fn connected(&self) {
        if let Some(sharded) = self.sharded.get() {
            sharded.connected().await;
            if !self.used.load(Ordering::Relaxed) {
                return;
            }
        }
        // Waiting, even for what is there already, takes from the task's turn.
        if !*self.connected.borrow() {
            // An error means that the publisher was closed: there is nothing to wait for.
            let _ = self.connected.clone().wait_for(|&connected| connected).await;
        }
    }

    /// Ends the publisher: what is still unanswered after 500 ms counts as not confirmed.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Ends the publisher as [`close`](Self::close) does, when `signal` comes. The signal is heard
    /// also while everybody waits for the answers of a Redis that hangs.
    pub fn close_when(&self, signal: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        tokio::spawn(async move {
            signal.await;
            closing.send_replace(true);
        });
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(sharded) = self.sharded.get() {
            sharded.task.abort();
        }
    }
}

fn command(channel: &[u8], payload: &[u8]) -> Cmd {
    const PUBLISH: &str = "PUBLISH";
    let mut command = Cmd::with_capacity(3, PUBLISH.len() + channel.len() + payload.len());
    command.arg(PUBLISH).arg(channel).arg(payload);
    command
}
