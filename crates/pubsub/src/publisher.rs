use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, FuturesOrdered, Stream};
use redis::{Cmd, RedisError};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::sleep;

use crate::Error;
use crate::address::Address;
use crate::error::said;
use crate::link::{Link, Loss};
use crate::outage::Outages;

/// How many messages [`Publisher::publish_all`] hands over together: as many as Redis takes in a
/// fraction of a millisecond. Twice as many are on their way at most, so that Redis has the next
/// ones already when it has answered the first, and neither side waits for the other.
const BATCH: usize = 512;
/// How many pipelines are on their way. The redis crate queues 50 for its connection; beyond that
/// they would wait for a place, and not in their order.
const PIPELINES: usize = 16;
const CLOSED: &str = "the publisher was closed";
/// How long closing waits for the answers that are still due.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

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
    connected: watch::Receiver<bool>,
    closing: Arc<Notify>,
    task: AbortHandle,
}

/// Messages to be sent together, and where to answer.
struct Batch {
    messages: Vec<Cmd>,
    asked: Asked,
}

struct Asked {
    messages: usize,
    answer: oneshot::Sender<Vec<Result<u64, Error>>>,
}

impl Publisher {
    /// Connects to the Redis at `url`, and from then on keeps the connection.
    ///
    /// # Errors
    ///
    /// As [`PubSub::connect`](crate::PubSub::connect).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(url: &str) -> Result<Publisher, Error> {
        let address = Address::parse(url)?;
        let link = connect(&address).await?;
        let (queue, queued) = mpsc::unbounded_channel();
        let (is_connected, connected) = watch::channel(true);
        let closing = Arc::new(Notify::new());
        let task = tokio::spawn({
            let closing = closing.clone();
            let publishing = publish_for_ever(address, link, queued, is_connected);
            async move {
                tokio::select! {
                    () = publishing => {}
                    () = async { closing.notified().await; sleep(LAST_ANSWERS).await } => {}
                }
            }
        });
        Ok(Publisher { queue, connected, closing, task: task.abort_handle() })
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

    /// Returns when there is a connection, at once if there is one now.
    pub async fn connected(&self) {
        // Waiting, even for what is there already, takes from the task's turn.
        if *self.connected.borrow() {
            return;
        }
        // An error means that the publisher was closed: there is nothing to wait for.
        let _ = self.connected.clone().wait_for(|&connected| connected).await;
    }

    /// Ends the publisher: what is still unanswered after 500 ms counts as not confirmed.
    pub fn close(&self) {
        self.closing.notify_one();
    }

    /// Ends the publisher as [`close`](Self::close) does, when `signal` comes. The signal is heard
    /// also while everybody waits for the answers of a Redis that hangs.
    pub fn close_when(&self, signal: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        tokio::spawn(async move {
            signal.await;
            closing.notify_one();
        });
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(address: &Address) -> Result<Link, Error> {
    // Nothing is subscribed to on this connection, so no event ever comes.
    Link::connect(address, |_| {}).await
}

async fn publish_for_ever(
    address: Address,
    mut link: Link,
    mut queue: UnboundedReceiver<Batch>,
    connected: watch::Sender<bool>,
) {
    let mut outages = Outages::new(&address.shown);
    let mut sent = VecDeque::new();
    loop {
        let loss = tokio::select! {
            loss = link.lost() => loss,
            error = publish_queued(&link, &mut queue, &mut sent) => match error {
                Some(error) => Loss::now(said(&error)),
                None => return,
            },
        };
        // What it still holds must not be sent any more once it was called unconfirmed.
        drop(link);
        connected.send_replace(false);
        outages.begin(&loss);
        // These may have reached Redis.
        sent.drain(..).flatten().for_each(|asked| refuse(asked, &loss.reason));
        link = tokio::select! {
            link = reconnect(&address, &mut outages) => link,
            () = refuse_queued(&mut queue, &loss.reason) => return,
        };
        connected.send_replace(true);
    }
}

/// Publishes what is queued, as much as there is at a time, until nobody can add to it (`None`)
/// or Redis answers something incomprehensible. `sent` has who waits for an answer, pipeline by
/// pipeline.
async fn publish_queued(
    link: &Link,
    queue: &mut UnboundedReceiver<Batch>,
    sent: &mut VecDeque<Vec<Asked>>,
) -> Option<RedisError> {
    let mut batches = Vec::new();
    let mut pipelines = FuturesOrdered::new();
    loop {
        tokio::select! {
            queued = queue.recv_many(&mut batches, BATCH), if pipelines.len() < PIPELINES => {
                if queued == 0 {
                    return None;
                }
                let batches = batches.drain(..).map(|batch| (batch.messages, batch.asked));
                let (messages, asked): (Vec<_>, Vec<_>) = batches.unzip();
                pipelines.push_back(link.publish(messages.into_iter().flatten()));
                sent.push_back(asked);
            }
            Some(answers) = pipelines.next() => {
                let answers = match answers {
                    Ok(answers) => answers,
                    // The connection is gone: whoever watches it knows why.
                    Err(error) if error.is_io_error() => std::future::pending().await,
                    Err(error) => return Some(error),
                };
                let mut answers = answers
                    .into_iter()
                    .map(|answer| answer.map_err(|error| not_confirmed(&said(&error))));
                for asked in sent.pop_front().into_iter().flatten() {
                    // Whoever asked may have stopped waiting.
                    let _ = asked.answer.send(answers.by_ref().take(asked.messages).collect());
                }
            }
        }
    }
}

fn command(channel: &[u8], payload: &[u8]) -> Cmd {
    const PUBLISH: &str = "PUBLISH";
    let mut command = Cmd::with_capacity(3, PUBLISH.len() + channel.len() + payload.len());
    command.arg(PUBLISH).arg(channel).arg(payload);
    command
}

async fn reconnect(address: &Address, outages: &mut Outages) -> Link {
    loop {
        outages.wait().await;
        match connect(address).await {
            Ok(link) => {
                outages.end();
                return link;
            }
            Err(error) => outages.failed(&error),
        }
    }
}

async fn refuse_queued(queue: &mut UnboundedReceiver<Batch>, reason: &str) {
    while let Some(batch) = queue.recv().await {
        refuse(batch.asked, reason);
    }
}

fn refuse(asked: Asked, reason: &str) {
    let _ = asked.answer.send(vec![Err(not_confirmed(reason)); asked.messages]);
}

fn not_confirmed(reason: &str) -> Error {
    Error::NotConfirmed { reason: reason.to_owned() }
}
