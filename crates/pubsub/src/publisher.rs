use futures_util::StreamExt;
use futures_util::stream::{self, FuturesOrdered, Stream};
use redis::Cmd;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::cluster::ShardPublishing;
use crate::publishing::{Batch, Message, Publishing, not_confirmed, publish_until};
use crate::task::Task;
use crate::{ByteString, Error};

/// How many messages [`Publisher::publish_all`] hands over together: as many as Redis takes in a
/// fraction of a millisecond. Two batches are on their way at most, so that Redis has the next one
/// already when it has answered the first, and neither side waits for the other.
const BATCH: usize = 512;

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
    command: &'static str,
    queue: UnboundedSender<Batch>,
    connected: watch::Receiver<bool>,
    task: Task,
}

/// Settings of a [`Publisher`] that is not connected yet; see [`Publisher::builder`].
pub struct PublisherBuilder {
    url: String,
    sharded: bool,
}

impl PublisherBuilder {
    /// Whether to use sharded Pub/Sub (Redis 7 or later): [`publish`](Publisher::publish) is
    /// SPUBLISH then, and each message goes to the node that owns its channel. Default: `false`.
    ///
    /// One node that hangs delays the messages for all others: until that is noticed, 4 s at most,
    /// and for 2 s at each attempt to reach it before its replica has replaced it.
    #[must_use]
    pub fn sharded(self, sharded: bool) -> PublisherBuilder {
        PublisherBuilder { sharded, ..self }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// As [`Publisher::connect`].
    pub async fn connect(self) -> Result<Publisher, Error> {
        let addresses = Addresses::parse(&self.url)?;
        let (queue, queued) = mpsc::unbounded_channel();
        let (is_connected, connected) = watch::channel(true);
        let ended = CancellationToken::new();
        let (command, task) = if self.sharded {
            let publishing = ShardPublishing::connect(addresses, is_connected).await?;
            let run = |closing| publish_until(closing, queued, |queue| publishing.run(queue));
            ("SPUBLISH", Task::spawn(ended, run))
        } else {
            let publishing = Publishing::connect(addresses, is_connected).await?;
            let run = |closing| publish_until(closing, queued, |queue| publishing.run(queue));
            ("PUBLISH", Task::spawn(ended, run))
        };
        Ok(Publisher { command, queue, connected, task })
    }
}

impl Publisher {
    /// Connects to the Redis at `url`, and from then on keeps the connection.
    ///
    /// # Errors
    ///
    /// As [`PubSub::connect`](crate::PubSub::connect), and [`Error::Replica`]: outside a cluster a
    /// replica passes messages on to its own subscribers only, so replicas are not used.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(url: impl Into<String>) -> Result<Publisher, Error> {
        Publisher::builder(url).connect().await
    }

    /// Settings other than the defaults, for a connection to the Redis at `url`.
    pub fn builder(url: impl Into<String>) -> PublisherBuilder {
        PublisherBuilder { url: url.into(), sharded: false }
    }

    /// Publishes `payload` on `channel`, and returns how many receivers Redis counted: a client
    /// that is subscribed by name and by a pattern counts twice, and one that hangs counts, too. A
    /// cluster counts only the receivers at the node that was asked.
    ///
    /// Messages are sent in the order in which these calls were first polled; those that wait at
    /// the same time are sent together. If you give the call up before the answer, the message may
    /// still be sent.
    ///
    /// # Errors
    ///
    /// [`Error::NotConfirmed`] when Redis refused the message, when there is no connection, or
    /// when it was lost before the answer came; in the last case Redis may have published the
    /// message or not. It is never sent a second time: at most once. [`Error::Closed`] after
    /// [`close`](Self::close).
    pub async fn publish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, Error> {
        let message = self.message(channel.as_ref(), payload.as_ref());
        self.enqueue(vec![message]).await.pop().unwrap_or(Err(Error::Closed))
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
                            // Yield, so that queued messages are sent before the caller looks at so many answers.
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
        let messages = batch.iter().map(|(c, p)| self.message(c.as_ref(), p.as_ref()));
        let answers = self.enqueue(messages.collect());
        async move {
            let answers = batch.into_iter().zip(answers.await);
            answers.map(|((channel, payload), answer)| (channel, payload, answer)).collect()
        }
    }

    /// Queues messages at once; the future that it returns gives the answers.
    fn enqueue(
        &self,
        messages: Vec<Message>,
    ) -> impl Future<Output = Vec<Result<u64, Error>>> + use<> {
        let (answer, answered) = oneshot::channel();
        let count = messages.len();
        let queued = !self.task.is_closing() && self.queue.send(Batch { messages, answer }).is_ok();
        async move {
            match answered.await {
                Ok(answers) => answers,
                Err(_) if queued => vec![Err(not_confirmed("the publisher was closed")); count],
                Err(_) => vec![Err(Error::Closed); count],
            }
        }
    }

    fn message(&self, channel: &[u8], payload: &[u8]) -> Message {
        let size = self.command.len() + channel.len() + payload.len();
        let mut command = Cmd::with_capacity(3, size);
        command.arg(self.command).arg(channel).arg(payload);
        Message { channel: ByteString::from(channel), command }
    }

    /// Returns when there is a connection: at once if there is one now, or after
    /// [`close`](Self::close). With [`sharded`](PublisherBuilder::sharded) Pub/Sub only a message
    /// shows that the lost owner of a channel is back: so it returns from time to time, for one to
    /// try.
    pub async fn connected(&self) {
        // Waiting, even for what is there already, takes from the task's turn.
        if !*self.connected.borrow() {
            // An error means that the publisher was closed: there is nothing to wait for.
            let _ = self.connected.clone().wait_for(|&connected| connected).await;
        }
    }

    /// Ends the publisher. Returns when everything that was queued is answered or, after 500 ms,
    /// given up as not confirmed.
    pub async fn close(&self) {
        self.task.close().await;
    }

    /// Closes when `signal` comes, as [`close`](Self::close) does. The signal also ends the calls
    /// that wait for the answers of a Redis that hangs.
    pub fn close_when(&self, signal: impl Future<Output = ()> + Send + 'static) {
        self.task.close_when(signal);
    }
}
