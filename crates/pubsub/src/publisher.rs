use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::Stream;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::Error;
use crate::address::Address;
use crate::error::said;
use crate::link::{Link, is_answer};
use crate::outage::Outages;

/// How many messages may be on their way before the first of them is confirmed.
const PIPELINE: usize = 512;
/// How long closing waits for the answers that are still due.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// A publisher, which keeps its connection as a [`PubSub`](crate::PubSub) does.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pubsub::Error> {
/// let publisher = pubsub::Publisher::connect("redis://localhost").await?;
/// let receivers = publisher.publish("notifications", "New user registered!").await?;
/// println!("{receivers} subscribers have it");
/// # Ok(())
/// # }
/// ```
pub struct Publisher {
    connection: watch::Receiver<Connection>,
    closing: Arc<Notify>,
    keeper: AbortHandle,
}

enum Connection {
    Up(Link),
    Lost { reason: String },
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
        let (connection, current) = watch::channel(Connection::Up(link.clone()));
        let closing = Arc::new(Notify::new());
        let keeper = tokio::spawn({
            let closing = closing.clone();
            async move {
                tokio::select! {
                    () = keep_connected(&address, link, &connection) => {}
                    () = async { closing.notified().await; sleep(LAST_ANSWERS).await } => {}
                }
                let reason = "the publisher was closed".to_owned();
                connection.send_replace(Connection::Lost { reason });
            }
        });
        Ok(Publisher { connection: current, closing, keeper: keeper.abort_handle() })
    }

    /// Publishes `payload` on `channel`, and returns how many receivers Redis counted: a client
    /// that has the channel by name and by a pattern counts twice, one that hangs counts too.
    /// On a cluster Redis counts only those of the node it was asked on.
    ///
    /// Calls made at the same time share the connection and are sent in the order in which they
    /// were first polled, without waiting for each other's answers.
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
        let mut connection = self.connection.clone();
        let link = match &*connection.borrow_and_update() {
            Connection::Up(link) => link.clone(),
            Connection::Lost { reason } => return Err(not_confirmed(reason)),
        };
        tokio::select! {
            answer = link.publish(channel.as_ref(), payload.as_ref()) => match answer {
                Ok(receivers) => Ok(receivers),
                Err(error) if is_answer(&error) => Err(not_confirmed(&said(&error))),
                Err(error) => Err(not_confirmed(&error.to_string())),
            },
            _ = connection.changed() => match &*connection.borrow() {
                Connection::Lost { reason } => Err(not_confirmed(reason)),
                Connection::Up(_) => Err(not_confirmed("the connection was lost")),
            },
        }
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

    /// Ends the publisher: what is still unanswered after 500 ms counts as not confirmed.
    pub fn close(&self) {
        self.closing.notify_one();
    }

    /// Returns when there is a connection, at once if there is one now.
    pub async fn connected(&self) {
        let mut connection = self.connection.clone();
        // It can't fail: the sending side lives in the task that `self` keeps.
        let _ = connection.wait_for(|connection| matches!(connection, Connection::Up(_))).await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn connect(address: &Address) -> Result<Link, Error> {
    // Nothing is subscribed to on this connection, so no event ever comes.
    Link::connect(address, |_| {}).await
}

async fn keep_connected(address: &Address, mut link: Link, connection: &watch::Sender<Connection>) {
    let mut outages = Outages::new(&address.shown);
    loop {
        let reason = link.lost().await;
        outages.begin(&reason);
        connection.send_replace(Connection::Lost { reason });
        link = loop {
            outages.wait().await;
            match connect(address).await {
                Ok(link) => break link,
                Err(error) => outages.failed(&error),
            }
        };
        outages.end();
        connection.send_replace(Connection::Up(link.clone()));
    }
}

fn not_confirmed(reason: &str) -> Error {
    Error::NotConfirmed { reason: reason.to_owned() }
}
