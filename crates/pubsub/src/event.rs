use std::time::Duration;

use redis::{PushInfo, PushKind, Value};

use crate::ByteString;

/// What a [`PubSub`](crate::PubSub) has to tell, in the order in which it happened.
///
/// The first nine are what Redis itself sends, named as in its protocol (and as in redis-py's
/// `message["type"]`). The last three are ours: they stand wherever messages may be missing, so
/// that nothing is lost in silence.
///
/// Names and payloads are bytes, not strings: Redis passes on whatever was published. For the
/// usual text, [`String::from_utf8_lossy`] will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Redis has subscribed this connection to `channel`. `count` is how many channels and
    /// patterns the connection is subscribed to from now on. Comes again after a reconnect.
    Subscribe {
        /// The channel.
        channel: Vec<u8>,
        /// Channels and patterns subscribed to, this one included.
        count: u64,
    },
    /// The same for a pattern.
    PSubscribe {
        /// The pattern.
        pattern: Vec<u8>,
        /// Channels and patterns subscribed to, this one included.
        count: u64,
    },
    /// Redis has ended the subscription to `channel`.
    Unsubscribe {
        /// The channel.
        channel: Vec<u8>,
        /// Channels and patterns still subscribed to.
        count: u64,
    },
    /// The same for a pattern.
    PUnsubscribe {
        /// The pattern.
        pattern: Vec<u8>,
        /// Channels and patterns still subscribed to.
        count: u64,
    },
    /// Somebody published `payload` on a channel that is subscribed to by name.
    Message {
        /// The channel.
        channel: ByteString,
        /// What was published.
        payload: ByteString,
    },
    /// Somebody published `payload` on a channel that matches a pattern. A channel that is
    /// subscribed to by name and by a pattern comes twice, once as each.
    PMessage {
        /// The pattern that matched.
        pattern: ByteString,
        /// The channel.
        channel: ByteString,
        /// What was published.
        payload: ByteString,
    },
    /// The node of a cluster that owns the shard channel's slot has subscribed this connection to it.
    SSubscribe {
        /// The channel.
        channel: Vec<u8>,
        /// Shard channels subscribed to at that node, this one included.
        count: u64,
    },
    /// The subscription to a shard channel has ended, as asked for.
    SUnsubscribe {
        /// The channel.
        channel: Vec<u8>,
        /// Shard channels still subscribed to at that node.
        count: u64,
    },
    /// Somebody published `payload` on a shard channel that is subscribed to.
    SMessage {
        /// The channel.
        channel: Vec<u8>,
        /// What was published.
        payload: Vec<u8>,
    },
    /// `count` messages arrived and were dropped here, because the events were not read fast
    /// enough and the inbox was full.
    Missed {
        /// How many.
        count: u64,
    },
    /// The connection to Redis is gone. What is published until `Reconnected` does not arrive, and
    /// cannot be counted: Redis keeps nothing for an absent subscriber. Where Redis or the network
    /// hung, up to 4 s before this event belong to the gap too. (Of shard channels, those on other
    /// nodes go on.)
    Disconnected {
        /// Why, as far as this side can tell.
        reason: String,
    },
    /// The connection is back, and every subscription with it. Each that was gone is confirmed
    /// next.
    Reconnected {
        /// How long messages may be missing: from the last moment at which the old connection
        /// was known to work.
        gap: Duration,
        /// How many attempts it took.
        attempts: u32,
    },
}

impl Event {
    /// Reads a push of the redis crate, or gives it back where it has nothing to do with Pub/Sub.
    ///
    /// Found on redis 1.8.1: confirmations carry `[name, count]`, a message
    /// `[channel, payload]`, a pattern's message `[pattern, channel, payload]`.
    pub(crate) fn from_push(push: PushInfo) -> Result<Event, PushInfo> {
        use PushKind as Kind;
        let PushInfo { kind, mut data } = push;
        let event = match (&kind, data.as_mut_slice()) {
            (
                Kind::Message | Kind::SMessage,
                [Value::BulkString(channel), Value::BulkString(payload)],
            ) => {
                let (channel, payload) = (std::mem::take(channel), std::mem::take(payload));
                match kind {
                    Kind::SMessage => Event::SMessage { channel, payload },
                    _ => Event::Message { channel: channel.into(), payload: payload.into() },
                }
            }
            (
                Kind::PMessage,
                [
                    Value::BulkString(pattern),
                    Value::BulkString(channel),
                    Value::BulkString(payload),
                ],
            ) => Event::PMessage {
                pattern: std::mem::take(pattern).into(),
                channel: std::mem::take(channel).into(),
                payload: std::mem::take(payload).into(),
            },
            (_, [Value::BulkString(name), Value::Int(count)]) => {
                let count = u64::try_from(*count).unwrap_or(0);
                match kind {
                    Kind::Subscribe => Event::Subscribe { channel: std::mem::take(name), count },
                    Kind::PSubscribe => Event::PSubscribe { pattern: std::mem::take(name), count },
                    Kind::Unsubscribe => {
                        Event::Unsubscribe { channel: std::mem::take(name), count }
                    }
                    Kind::PUnsubscribe => {
                        Event::PUnsubscribe { pattern: std::mem::take(name), count }
                    }
                    Kind::SSubscribe => Event::SSubscribe { channel: std::mem::take(name), count },
                    Kind::SUnsubscribe => {
                        Event::SUnsubscribe { channel: std::mem::take(name), count }
                    }
                    _ => return Err(PushInfo { kind, data }),
                }
            }
            _ => return Err(PushInfo { kind, data }),
        };
        Ok(event)
    }

    /// The bytes that a message holds; `None` for everything that is not a message.
    pub(crate) fn message_bytes(&self) -> Option<usize> {
        match self {
            Event::Message { channel, payload } => Some(channel.len() + payload.len()),
            Event::SMessage { channel, payload } => Some(channel.len() + payload.len()),
            Event::PMessage { pattern, channel, payload } => {
                Some(pattern.len() + channel.len() + payload.len())
            }
            _ => None,
        }
    }
}
