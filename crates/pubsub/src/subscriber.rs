use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::addresses::Addresses;
use crate::driver::{Command, Driver};
use crate::inbox::Inbox;
use crate::link::Change;
use crate::{Error, Event, sharded};

/// A subscriber: the counterpart of redis-py's `pubsub()`.
///
/// All methods take `&self`, so that one part of a program can subscribe and unsubscribe while
/// another one listens. Dropping it closes the connection at once; [`close`](Self::close) says
/// goodbye first.
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
///             assert_eq!(payload, b"New user registered!");
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
pub struct PubSub {
    inbox: Arc<Inbox>,
    commands: mpsc::Sender<Command>,
    close: mpsc::Sender<oneshot::Sender<()>>,
    driver: AbortHandle,
    addresses: Addresses,
    /// Started when the first shard channel is subscribed to.
    sharded: OnceLock<Sharded>,
}

/// The task behind the shard channels.
struct Sharded {
    commands: mpsc::Sender<sharded::Command>,
    close: mpsc::Sender<oneshot::Sender<()>>,
    task: AbortHandle,
}

impl PubSub {
    /// Connects to the Redis at `url`, `redis://[user:password@]host[:port][/db]`. (The database
    /// makes no difference: channels are the same in all of them.) With `rediss://` it is TLS;
    /// a private CA is named by the environment's `SSL_CERT_FILE`.
    ///
    /// Several URLs, with commas between them, are tried in turn, now and at every reconnect: the
    /// nodes of a cluster (each of which passes on what is published on any), or a primary and its
    /// replicas. A comma inside of a URL is written `%2C`.
    ///
    /// From then on the connection is kept: when it is lost a new one is made, for ever, waiting
    /// 50 ms before the first attempt and up to 2 s before later ones, and everything is
    /// subscribed again.
    ///
    /// # Errors
    ///
    /// This first attempt fails within 2 s, whatever is wrong: [`Error::Url`],
    /// [`Error::Unreachable`], [`Error::Refused`], [`Error::NotResp3`], [`Error::Sentinel`]; with
    /// TLS [`Error::Untrusted`], [`Error::NoTrust`]. Of several addresses each has its 2 s, and
    /// [`Error::NoneOf`] says what is wrong with all of them.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(url: &str) -> Result<PubSub, Error> {
        let inbox = Arc::new(Inbox::new());
        let (commands, asked) = mpsc::channel(1);
        let (close, closing) = mpsc::channel(1);
        let addresses = Addresses::parse(url)?;
        let driver = Driver::connect(addresses.clone(), inbox.clone(), asked).await?;
        let driver = tokio::spawn(driver.run(closing)).abort_handle();
        Ok(PubSub { inbox, commands, close, driver, addresses, sharded: OnceLock::new() })
    }

    /// Subscribes to channels, and returns when Redis has confirmed all of them (each also comes
    /// as [`Event::Subscribe`]). During an outage it waits for the connection to be back. Given up
    /// before that (as by a timeout), it may still come about.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] where Redis refuses: then none of them is subscribed to.
    /// [`Error::Closed`] after [`close`](Self::close).
    pub async fn subscribe<Name: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(Change::Subscribe, channels).await
    }

    /// Subscribes to all channels, present and future, whose name matches one of the patterns.
    /// Patterns are Redis's: `*` any characters, `?` one, `[ab]` one of these, `\` takes the next
    /// one literally.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe<Name: AsRef<[u8]>>(
        &self,
        patterns: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(Change::PSubscribe, patterns).await
    }

    /// Ends subscriptions to channels. Returns when Redis has confirmed (each also comes as
    /// [`Event::Unsubscribe`]); no message of these channels is added to the events after that.
    /// In an outage there is nothing to confirm: they are left out when the connection is back.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn unsubscribe<Name: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(Change::Unsubscribe, channels).await
    }

    /// Ends subscriptions to patterns: the same ones, letter by letter, as were subscribed to.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn punsubscribe<Name: AsRef<[u8]>>(
        &self,
        patterns: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change(Change::PUnsubscribe, patterns).await
    }

    /// Subscribes to shard channels, which are others than those of [`subscribe`](Self::subscribe),
    /// also where they have the same names. Returns when Redis has confirmed all of them (each that is
    /// new also comes as [`Event::SSubscribe`]).
    ///
    /// On a cluster their messages stay on the nodes of the shard to which the name belongs, by its
    /// slot, and there is a connection to each such node. When one of them goes away or the slot
    /// moves, [`Event::Disconnected`] comes, and [`Event::Reconnected`] when every channel has its
    /// place again. Between the two, those that have theirs go on delivering. Who has plain channels
    /// besides is told of the two kinds apart: there are as many `Reconnected` as `Disconnected`.
    /// During an outage this waits.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe). [`Error::Command`] also from a Redis before 7, which
    /// knows no shard channels.
    pub async fn ssubscribe<Name: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change_sharded(true, channels).await
    }

    /// Ends subscriptions to shard channels (each also comes as [`Event::SUnsubscribe`], except in
    /// an outage, where there may be nobody to confirm it).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after [`close`](Self::close).
    pub async fn sunsubscribe<Name: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        self.change_sharded(false, channels).await
    }

    /// All events, as they come. The stream ends after [`close`](Self::close).
    ///
    /// Up to 65,536 messages or 32 MiB wait for a reader; what comes beyond is dropped, and an
    /// [`Event::Missed`] says in its place how many. Dropping the stream loses nothing: the next
    /// `listen` or [`get_message`](Self::get_message) goes on where it ended. Each event goes to
    /// one reader only.
    pub fn listen(&self) -> impl Stream<Item = Event> + Unpin + '_ {
        self.inbox.reader()
    }

    /// The next event, if there is one within `timeout`. `Duration::ZERO` only looks.
    pub async fn get_message(&self, timeout: Duration) -> Option<Event> {
        let mut events = self.listen();
        // The event is polled before the clock, so that what is there already always comes.
        tokio::time::timeout(timeout, events.next()).await.ok()?
    }

    /// Unsubscribes from everything and closes the connection, waiting at most 500 ms for Redis,
    /// and as long for the nodes that have shard channels. Events that came before can still be
    /// read; after them [`listen`](Self::listen) ends.
    pub async fn close(&self) {
        if let Some(sharded) = self.sharded.get() {
            close(&sharded.close).await;
        }
        // This ends the events, too.
        close(&self.close).await;
    }

    async fn change_sharded<Name: AsRef<[u8]>>(
        &self,
        subscribe: bool,
        channels: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        let channels: Vec<_> = channels.into_iter().map(|c| c.as_ref().to_vec()).collect();
        if channels.is_empty() {
            return Ok(());
        }
        if self.close.is_closed() {
            return Err(Error::Closed);
        }
        let sharded = self.sharded.get_or_init(|| {
            let (commands, asked) = mpsc::channel(1);
            let (close, closing) = mpsc::channel(1);
            let (addresses, inbox) = (self.addresses.clone(), self.inbox.clone());
            let subscriptions = sharded::Subscriptions::new(addresses, inbox, asked);
            let task = tokio::spawn(subscriptions.run(closing)).abort_handle();
            Sharded { commands, close, task }
        });
        let (answer, answered) = oneshot::channel();
        let command = sharded::Command { subscribe, channels, answer };
        sharded.commands.send(command).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    async fn change<Name: AsRef<[u8]>>(
        &self,
        change: Change,
        names: impl IntoIterator<Item = Name>,
    ) -> Result<(), Error> {
        let names: Vec<_> = names.into_iter().map(|n| n.as_ref().to_vec()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        let command = Command { change, names, answer };
        self.commands.send(command).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

/// Asks a task to end, and waits until it has.
async fn close(task: &mpsc::Sender<oneshot::Sender<()>>) {
    let (closed, done) = oneshot::channel();
    // Where it has ended already there is nothing to close.
    if task.send(closed).await.is_ok() {
        let _ = done.await;
    }
}

impl Drop for PubSub {
    fn drop(&mut self) {
        self.driver.abort();
        if let Some(sharded) = self.sharded.get() {
            sharded.task.abort();
        }
    }
}
