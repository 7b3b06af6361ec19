//! Pub/Sub: a message goes to everyone subscribed at that moment. Redis keeps nothing.
//!
//! Commands: PUBLISH, SUBSCRIBE.

use anyhow::{Context, bail};
use futures_util::StreamExt;
use pubsub::{Event, PubSub, Publisher};

use crate::way::{Consumer, Message, Way};

pub(crate) struct Channel {
    url: String,
    channel: String,
    publisher: Publisher,
}

impl Channel {
    pub(crate) async fn new(url: &str, channel: String) -> anyhow::Result<Channel> {
        let publisher = Publisher::connect(url).await?;
        Ok(Channel { url: url.to_owned(), channel, publisher })
    }
}

impl Way for Channel {
    type Consumer = Subscriber;

    async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        // Redis answers with the number of receivers and forgets the message.
        self.publisher.publish(&self.channel, text).await?;
        Ok(())
    }

    /// Pub/Sub has no groups and no names: every subscriber gets every message.
    async fn consumer(&mut self, _group: &str, _name: &str) -> anyhow::Result<Subscriber> {
        let pubsub = PubSub::connect(&self.url).await?;
        pubsub.subscribe([&self.channel]).await?;
        Ok(Subscriber { pubsub })
    }
}

pub(crate) struct Subscriber {
    pubsub: PubSub,
}

impl Consumer for Subscriber {
    async fn take(&mut self) -> anyhow::Result<Message> {
        loop {
            match self.pubsub.listen().next().await.context("the subscription has ended")? {
                Event::Message { payload, .. } => {
                    let text = String::from_utf8_lossy(&payload).into_owned();
                    return Ok(Message { id: None, text });
                }
                // The number of lost messages is unknown, so the count would be wrong.
                Event::Disconnected { reason } => bail!("lost the connection: {reason}"),
                _ => {}
            }
        }
    }

    /// Pub/Sub has no acknowledgements.
    async fn acknowledge(&mut self, _message: &Message) -> anyhow::Result<()> {
        Ok(())
    }

    /// The messages of a dead subscriber are gone with it.
    async fn claim(&mut self, _dead: &str) -> anyhow::Result<Vec<Message>> {
        Ok(Vec::new())
    }
}
