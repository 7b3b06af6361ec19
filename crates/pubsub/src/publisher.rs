use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::Stream;
use redis::RedisError;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::Error;
use crate::address::Address;
use crate::addresses::Addresses;
use crate::error::said;
use crate::link::{Link, Loss, Role};
use crate::outage::Outages;
use crate::sharded;

/// How many messages are sent together, and how many [`Publisher::publish_all`] has on their
/// way: as many as Redis takes in a fraction of a millisecond.
pub(crate) const PIPELINE: usize = 512;
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
    queue: UnboundedSender<Message>,
    connected: watch::Receiver<bool>,
    pub(crate) closing: Arc<watch::Sender<bool>>,
    task: AbortHandle,
    pub(crate) addresses: Addresses,
    /// Started with the first message for a shard channel.
    pub(crate) sharded: OnceLock<sharded::Publisher>,
}

pub(crate) struct Message {
    pub(crate) channel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Result<u64, Error>>,
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
        let publishing = publish_for_ever(addresses.clone(), link, queued, is_connected);
        let task = tokio::spawn(until_closed(publishing, closing.subscribe())).abort_handle();
        Ok(Publisher { queue, connected, closing, task, addresses, sharded: OnceLock::new() })
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
        let (answer, answered) = oneshot::channel();
        let message = Message {
            channel: channel.as_ref().to_vec(),
            payload: payload.as_ref().to_vec(),
            answer,
        };
        // Where the task has ended, both fail in the same way.
        let _ = self.queue.send(message);
        answered.await.unwrap_or_else(|_| Err(not_confirmed("the publisher was closed")))
    }

    /// Publishes messages as they come, without waiting for the answer to one before sending the
    /// next, and gives the answers in the same order. Up to 512 messages are on their way at a
    /// time.
    pub fn publish_all<'a, Channel, Payload>(
        &'a self,
        messages: impl Stream<Item = (Channel, Payload)> + 'a,
    ) -> impl Stream<Item = (Channel, Payload, Result<u64, Error>)> + 'a
    where
        Channel: AsRef<[u8]> + 'a,
        Payload: AsRef<[u8]> + 'a,
    {
        let publish = async move |(channel, payload): (Channel, Payload)| {
            let answer = self.publish(&channel, &payload).await;
            (channel, payload, answer)
        };
        messages.map(publish).buffered(PIPELINE)
    }

    /// Returns when there is a connection, at once if there is one now. Where shard channels have
    /// lost theirs, which only a message can show to be back, it lets one message pass at a time.
    pub async fn connected(&self) {
        // An error means that the publisher was closed: there is nothing to wait for.
        let _ = self.connected.clone().wait_for(|&connected| connected).await;
        if let Some(sharded) = self.sharded.get() {
            sharded.connected().await;
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

/// Runs a task until it was told to close, and then until the last answers have come.
pub(crate) async fn until_closed(
    publishing: impl Future<Output = ()>,
    mut closing: watch::Receiver<bool>,
) {
    let last_answers = async {
        // An error means that the publisher is gone, and nobody waits for an answer.
        let _ = closing.wait_for(|&closing| closing).await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        () = publishing => {}
        () = last_answers => {}
    }
}

async fn connect(address: Address) -> Result<Link, Error> {
    // Nothing is subscribed to on this connection, so no event ever comes.
    let link = Link::connect(&address, |_| {}).await?;
    match link.role() {
        Role::Replica => Err(Error::Replica { address: address.shown }),
        _ => Ok(link),
    }
}

async fn publish_for_ever(
    mut addresses: Addresses,
    mut link: Link,
    mut queue: UnboundedReceiver<Message>,
    connected: watch::Sender<bool>,
) {
    let mut outages = Outages::new();
    let mut sent = Vec::new();
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
        outages.begin(&addresses.current().shown, &loss);
        // These may have reached Redis.
        sent.drain(..).for_each(|message| refuse(message, &loss.reason));
        link = tokio::select! {
            link = reconnect(&mut addresses, &mut outages) => link,
            () = refuse_queued(&mut queue, &loss.reason) => return,
        };
        connected.send_replace(true);
    }
}

/// Publishes what is queued, as much as there is at a time, until nobody can add to it (`None`)
/// or Redis answers something incomprehensible. Messages that were sent stay in `sent` until they
/// are answered.
async fn publish_queued(
    link: &Link,
    queue: &mut UnboundedReceiver<Message>,
    sent: &mut Vec<Message>,
) -> Option<RedisError> {
    while queue.recv_many(sent, PIPELINE).await > 0 {
        let messages = sent.iter().map(|message| (&message.channel[..], &message.payload[..]));
        let answers = match link.publish(messages).await {
            Ok(answers) => answers,
            // The connection is gone: whoever watches it knows why.
            Err(error) if error.is_io_error() => std::future::pending().await,
            Err(error) => return Some(error),
        };
        for (message, answer) in sent.drain(..).zip(answers) {
            let answer = answer.map_err(|error| not_confirmed(&said(&error)));
            // Whoever asked may have stopped waiting.
            let _ = message.answer.send(answer);
        }
    }
    None
}

async fn reconnect(addresses: &mut Addresses, outages: &mut Outages) -> Link {
    loop {
        outages.wait().await;
        match addresses.try_each(connect).await {
            Ok(link) => {
                outages.end(&addresses.current().shown);
                return link;
            }
            Err(error) => outages.failed(&error),
        }
    }
}

async fn refuse_queued(queue: &mut UnboundedReceiver<Message>, reason: &str) {
    while let Some(message) = queue.recv().await {
        refuse(message, reason);
    }
}

pub(crate) fn refuse(message: Message, reason: &str) {
    let _ = message.answer.send(Err(not_confirmed(reason)));
}

pub(crate) fn not_confirmed(reason: &str) -> Error {
    Error::NotConfirmed { reason: reason.to_owned() }
}
