use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use tokio::sync::{mpsc, oneshot};

use crate::addresses::Addresses;
use crate::cluster::ShardSubscriptions;
use crate::inbox::{Bounds, Inbox};
use crate::kind::Kind;
use crate::subscriptions::{Command, Subscriptions};
use crate::task::Task;
use crate::{ByteString, Error, Event, Stats};

/// A subscriber: the counterpart of redis-py's `pubsub()`.
///
/// It is a handle. Clones share the connection and the events, so one part of a program can
/// subscribe while another one listens. The connection is closed when the last clone and the last
/// stream of events are dropped; [`close`](Self::close) unsubscribes first.
///
/// ```
/// use futures_util::StreamExt;
/// use pubsub::{Event, PubSub, Publisher};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let redis = local_redis::LocalRedis::start()?;
/// # let url = &redis.url();
/// let pubsub = PubSub::connect(url).await?;
/// pubsub.subscribe(["notifications"]).await?;
/// # let publisher = Publisher::connect(url).await?;
/// # publisher.publish("notifications", "New user registered!").await?;
///
/// let mut events = pubsub.listen();
/// while let Some(event) = events.next().await {
///     match event {
///         Event::Message { payload, .. } => {
///             assert_eq!(payload, "New user registered!");
///             break;
///         }
///         Event::Missed { count } => println!("{count} messages came too fast"),
///         Event::Disconnected { reason } => println!("{reason}: messages may be missing here"),
///         _ => {}
///     }
/// }
/// pubsub.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PubSub(Arc<Client>);

/// Shared by the clones and the streams.
struct Client {
    inbox: Arc<Inbox>,
    commands: mpsc::Sender<Command>,
    task: Task,
    sharded: bool,
}

/// Settings of a [`PubSub`] that is not connected yet; see [`PubSub::builder`].
pub struct PubSubBuilder {
    url: String,
    sharded: bool,
    bounds: Bounds,
}

impl PubSubBuilder {
    /// Whether to use sharded Pub/Sub (Redis 7 or later), for which a cluster sends each message
    /// to the nodes of one shard only. Default: `false`.
    ///
    /// [`subscribe`](PubSub::subscribe) is SSUBSCRIBE then. These channels are different from the
    /// plain ones of the same names, and receive what a [`Publisher`](crate::Publisher) with the
    /// same setting publishes. There is a connection to each node that owns a channel. When one of
    /// them is lost, or a channel moves, [`Event::Disconnected`] comes, and [`Event::Reconnected`]
    /// when every channel has its place again. The other channels continue meanwhile.
    #[must_use]
    pub fn sharded(self, sharded: bool) -> PubSubBuilder {
        PubSubBuilder { sharded, ..self }
    }

    /// How many messages, and how many bytes of names and payloads, may wait for a reader before
    /// the next ones are dropped and counted. Default: 65,536 messages and 32 MiB. From half of
    /// either bound on, the connection may wait for the reader, for at most 50 ms.
    #[must_use]
    pub fn inbox(self, messages: usize, bytes: usize) -> PubSubBuilder {
        PubSubBuilder { bounds: Bounds { messages, bytes }, ..self }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// As [`PubSub::connect`].
    pub async fn connect(self) -> Result<PubSub, Error> {
        let inbox = Arc::new(Inbox::new(self.bounds));
        let (commands, asked) = mpsc::channel(1);
        let addresses = Addresses::parse(&self.url)?;
        let ended = inbox.ended.clone();
        let task = if self.sharded {
            let task = ShardSubscriptions::connect(addresses, inbox.clone(), asked).await?;
            Task::spawn(ended, |closing| task.run(closing))
        } else {
            let task = Subscriptions::connect(addresses, inbox.clone(), asked).await?;
            Task::spawn(ended, |closing| task.run(closing))
        };
        Ok(PubSub(Arc::new(Client { inbox, commands, task, sharded: self.sharded })))
    }
}

impl PubSub {
    /// Connects to the Redis at `url`, `redis://[user:password@]host[:port][/db]`. (The database
    /// makes no difference: channels are the same in all of them.) `rediss://` is TLS; the
    /// environment's `SSL_CERT_FILE` names a private CA, `REDIS_TLS_CERT_FILE` and
    /// `REDIS_TLS_KEY_FILE` name a client certificate.
    ///
    /// Several URLs with commas between them are tried one after the other, now and at every
    /// reconnect: the nodes of a cluster (each of which passes on what is published on any), or a
    /// primary and its replicas. Inside of a URL a comma is written `%2C`.
    ///
    /// From then on the connection is kept: when it is lost a new one is made, for ever, and
    /// everything is subscribed again. It waits 50 ms before the first attempt, and up to 2 s
    /// before later ones.
    ///
    /// # Errors
    ///
    /// This first attempt fails within 2 s: [`Error::Url`], [`Error::Unreachable`],
    /// [`Error::Refused`], [`Error::NotResp3`], [`Error::Sentinel`]; with TLS
    /// [`Error::Untrusted`], [`Error::NoTrust`], [`Error::ClientCertificate`]. Each of several
    /// addresses has its 2 s, and [`Error::NoneOf`] has an error for each.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(url: impl Into<String>) -> Result<PubSub, Error> {
        PubSub::builder(url).connect().await
    }

    /// Settings other than the defaults, for a connection to the Redis at `url`.
    pub fn builder(url: impl Into<String>) -> PubSubBuilder {
        PubSubBuilder { url: url.into(), sharded: false, bounds: Bounds::default() }
    }

    /// Subscribes to channels, and returns when Redis has confirmed all of them (each also comes
    /// as [`Event::Subscribe`]). During an outage it waits for the connection. If you give it up
    /// before that (as by a timeout), it may still happen.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] if Redis refuses one of them: then none is added to what was subscribed
    /// to before. [`Error::Closed`] after [`close`](Self::close).
    pub async fn subscribe<Name: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(true, Kind::Channel, channels).await
    }

    /// Subscribes to all channels, present and future, whose name matches one of the patterns.
    /// Patterns are Redis's: `*` any characters, `?` one, `[ab]` one of these, `\` makes the next
    /// one literal.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe); [`Error::NoShardPatterns`] with
    /// [`sharded`](PubSubBuilder::sharded).
    pub async fn psubscribe<Name: AsRef<[u8]>>(
        &self,
        patterns: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(true, Kind::Pattern, patterns).await
    }

    /// Ends subscriptions to channels. Returns when Redis has confirmed (each also comes as
    /// [`Event::Unsubscribe`]); no message of these channels comes after that.
    ///
    /// During an outage there is nobody to confirm: it returns at once, and the channels are left
    /// out when the connection is back. (With [`sharded`](PubSubBuilder::sharded) Pub/Sub it first
    /// waits for the attempt that is running, 2 s for each node that does not answer.)
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn unsubscribe<Name: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(false, Kind::Channel, channels).await
    }

    /// Ends subscriptions to patterns, which must be written exactly as they were subscribed to.
    ///
    /// # Errors
    ///
    /// As [`psubscribe`](Self::psubscribe).
    pub async fn punsubscribe<Name: AsRef<[u8]>>(
        &self,
        patterns: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(false, Kind::Pattern, patterns).await
    }

    async fn change<Name: AsRef<[u8]>>(
        &self,
        subscribe: bool,
        kind: Kind,
        names: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        let names: Vec<_> = names.into_iter().map(|name| ByteString::from(name.as_ref())).collect();
        if self.0.sharded && kind == Kind::Pattern {
            return Err(Error::NoShardPatterns);
        }
        if names.is_empty() {
            return Ok(());
        }
        if self.0.task.is_closing() {
            return Err(Error::Closed);
        }
        let (answer, answered) = oneshot::channel();
        let command = Command { subscribe, kind, names, answer };
        self.0.commands.send(command).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// A stream of all events, as they come. It ends after [`close`](Self::close).
    ///
    /// Up to 65,536 messages or 32 MiB wait for a reader (or what
    /// [`inbox`](PubSubBuilder::inbox) says); what comes beyond that is dropped, and an
    /// [`Event::Missed`] says in its place how many. Dropping the stream loses nothing: the next
    /// `listen` or [`get_message`](Self::get_message) continues where it ended. With several
    /// streams, each event goes to one of them only.
    pub fn listen(&self) -> Events {
        let events = stream::unfold(self.0.inbox.clone(), async |inbox| {
            let event = inbox.next().await?;
            Some((event, inbox))
        });
        Events { client: self.0.clone(), next: Box::pin(events.fuse()) }
    }

    /// The next event, if one comes within `timeout`. `Duration::ZERO` only looks.
    pub async fn get_message(&self, timeout: Duration) -> Option<Event> {
        // The event is polled before the clock, so an event that is there always comes.
        tokio::time::timeout(timeout, self.0.inbox.next()).await.ok()?
    }

    /// Unsubscribes from everything and closes the connection, for all clones and streams. Returns
    /// when that is done; it waits at most 500 ms for Redis. Events that came before can still be
    /// read; after them [`listen`](Self::listen) ends.
    pub async fn close(&self) {
        self.0.task.close().await;
    }

    /// Closes when `signal` comes, as [`close`](Self::close) does. It does not keep the connection:
    /// when the last clone is dropped, it ends, too.
    pub fn close_when(&self, signal: impl Future<Output = ()> + Send + 'static) {
        self.0.task.close_when(signal);
    }

    /// The numbers that were counted since the first connection.
    pub fn stats(&self) -> Stats {
        self.0.inbox.stats()
    }
}

/// The events of a [`PubSub`]; see [`PubSub::listen`].
pub struct Events {
    client: Arc<Client>,
    next: Pin<Box<dyn Stream<Item = Event> + Send + Sync>>,
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        // In a flood, events are already waiting. Taking one here is cheaper than polling the future
        // that waits for the next.
        if let Some(event) = self.client.inbox.take() {
            return Poll::Ready(Some(event));
        }
        self.next.as_mut().poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// A client whose task does this.
    fn client(run: impl Future<Output = ()> + Send + 'static) -> PubSub {
        let inbox = Arc::new(Inbox::new(Bounds::default()));
        // Nobody takes the commands, as after a panic in the task.
        let (commands, _) = mpsc::channel(1);
        let task = Task::spawn(inbox.ended.clone(), |_closing| run);
        PubSub(Arc::new(Client { inbox, commands, task, sharded: false }))
    }

    #[tokio::test]
    async fn streams_end_when_the_task_panics() {
        let (panic_now, now) = oneshot::channel::<()>();
        let client = client(async {
            now.await.unwrap();
            panic!("on purpose");
        });
        let mut events = client.listen();
        assert_eq!(events.next().now_or_never(), None);
        panic_now.send(()).unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(tokio::time::timeout(second, events.next()).await, Ok(None));
        assert_eq!(client.get_message(second).await, None);
        assert_eq!(client.subscribe(["a"]).await, Err(Error::Closed));
        tokio::time::timeout(second, client.close()).await.unwrap();
    }
}
