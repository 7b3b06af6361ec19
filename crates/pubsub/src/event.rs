use std::time::Duration;

use redis::{PushInfo, PushKind, Value};

use crate::ByteString;

/// What a [`PubSub`](crate::PubSub) reports, in the order in which it happened.
///
/// The first six are what Redis itself sends, named as in its protocol and as in redis-py's
/// `message["type"]`. The others are this crate's own: they mark every place where messages may be
/// missing, so that nothing is lost in silence.
///
/// In the four confirmations `count` is the number of channels and patterns that this connection is
/// subscribed to afterwards. With [`sharded`](crate::PubSubBuilder::sharded) Pub/Sub it is the
/// number of shard channels at the node that owns this one. The events have the same names there;
/// redis-py calls them `ssubscribe`, `smessage` and `sunsubscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "of the fields: the variants say what they hold")]
pub enum Event {
    /// Redis has subscribed this connection to `channel`. Comes again after a reconnect.
    Subscribe { channel: ByteString, count: u64 },
    /// Redis has subscribed this connection to `pattern`. Comes again after a reconnect.
    PSubscribe { pattern: ByteString, count: u64 },
    /// Redis has ended the subscription to `channel`.
    Unsubscribe { channel: ByteString, count: u64 },
    /// Redis has ended the subscription to `pattern`.
    PUnsubscribe { pattern: ByteString, count: u64 },
    /// Somebody published `payload` (any bytes, up to 512 MB) on a `channel` that is subscribed to
    /// by name.
    Message { channel: ByteString, payload: ByteString },
    /// Somebody published `payload` (any bytes, up to 512 MB) on a `channel` that matches `pattern`.
    /// A channel that is subscribed to by name and by a pattern comes twice, once as each.
    PMessage { pattern: ByteString, channel: ByteString, payload: ByteString },
    /// After a reconnect Redis did not allow `channel` any more, so it brings no messages. It is
    /// tried again until Redis allows it (then `Subscribe` comes) or until it is unsubscribed from.
    /// Reported once in an outage for each `reason`: `NOPERM` and Redis's explanation.
    Refused { channel: ByteString, reason: String },
    /// After a reconnect Redis did not allow `pattern` any more; otherwise as `Refused`.
    PRefused { pattern: ByteString, reason: String },
    /// `count` messages arrived and were dropped here, because the events were not read fast enough
    /// and the inbox was full.
    Missed { count: u64 },
    /// The connection to Redis is lost. The `reason` is what was seen of it: closed, no answer, or
    /// an answer that no Redis gives. What is published until `Reconnected` does not arrive, and
    /// cannot be counted: Redis keeps nothing for an absent subscriber. Where Redis or the network
    /// hung, up to 4 s before this event belong to the gap too. (With sharded Pub/Sub the channels
    /// of other nodes continue meanwhile.)
    Disconnected { reason: String },
    /// The connection is back and everything is subscribed to again. Messages may have been lost
    /// during the `gap`, from the last sign of life to now. `attempts` includes the successful one.
    Reconnected { gap: Duration, attempts: u32 },
}

impl Event {
    /// Reads a confirmation of Redis. Gives everything else back: messages take another way
    /// (`tap.rs`).
    pub(crate) fn confirmation(push: PushInfo) -> Result<Event, PushInfo> {
        let [Value::BulkString(name), Value::Int(count)] = push.data.as_slice() else {
            return Err(push);
        };
        let name = ByteString::from(name.as_slice());
        // Redis never counts below zero.
        let count = u64::try_from(*count).unwrap_or(0);
        Ok(match push.kind {
            PushKind::Subscribe | PushKind::SSubscribe => Event::Subscribe { channel: name, count },
            PushKind::PSubscribe => Event::PSubscribe { pattern: name, count },
            PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                Event::Unsubscribe { channel: name, count }
            }
            PushKind::PUnsubscribe => Event::PUnsubscribe { pattern: name, count },
            _ => return Err(push),
        })
    }

    /// Gives a message memory of its own.
    pub(crate) fn copy_bytes(&mut self) {
        let copy = |bytes: &mut ByteString| *bytes = ByteString::from(&**bytes);
        match self {
            Event::Message { channel, payload } => [channel, payload].into_iter().for_each(copy),
            Event::PMessage { pattern, channel, payload } => {
                [pattern, channel, payload].into_iter().for_each(copy);
            }
            _ => {}
        }
    }

    /// The bytes that a message holds; `None` for everything that is not a message.
    pub(crate) fn message_bytes(&self) -> Option<usize> {
        match self {
            Event::Message { channel, payload } => Some(channel.len() + payload.len()),
            Event::PMessage { pattern, channel, payload } => {
                Some(pattern.len() + channel.len() + payload.len())
            }
            _ => None,
        }
    }
}
