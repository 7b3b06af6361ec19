//! Pub/Sub: a message goes to everyone subscribed at that moment. Redis keeps nothing.
//!
//! Commands: PUBLISH, SUBSCRIBE.

use anyhow::{Context, bail};
use futures_util::StreamExt;
use pubsub::{Event, PubSub};

use crate::experiments::{Message, Way};
use crate::own_keys::OwnKeys;

pub(crate) struct Channel(PubSub);

impl Way for Channel {
    async fn send(keys: &OwnKeys, text: &str) -> anyhow::Result<()> {
        // Redis answers with the number of receivers and forgets the message.
        keys.publisher.publish(keys.name("channel"), text).await?;
        Ok(())
    }

    /// Pub/Sub has no groups and no names: every subscriber gets every message.
    async fn consumer(keys: &OwnKeys, _group: &str, _name: &str) -> anyhow::Result<Channel> {
        let pubsub = PubSub::connect(&keys.url).await?;
        pubsub.subscribe([keys.name("channel")]).await?;
        Ok(Channel(pubsub))
    }

    fn receivers(consumers: &[(&str, &str)]) -> usize {
        consumers.len()
    }

    async fn take(&mut self) -> anyhow::Result<Message> {
        loop {
            match self.0.listen().next().await.context("the subscription has ended")? {
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
