use futures_util::stream::{self, Stream, StreamExt};
use pubsub::Publisher;
use tokio::time::sleep;

use crate::args::Args;

/// What is to be published, each at its time: a channel, the next one in turn, and a message
/// picked at random.
pub fn messages<'a>(
    args: &'a Args,
    publisher: &'a Publisher,
) -> impl Stream<Item = (&'a str, &'a str)> {
    let count = if args.forever { u64::MAX } else { args.count };
    let channels = args.channels.iter().cycle();
    stream::iter((0..count).zip(channels)).then(async move |(n, channel)| {
        if args.interval.is_zero() {
            // In an outage there is nothing to be fast at: each message would only be lost.
            publisher.connected().await;
        } else if n > 0 {
            sleep(args.interval).await;
        }
        let message = &args.messages[rand::random_range(0..args.messages.len())];
        (channel.as_str(), message.as_str())
    })
}
