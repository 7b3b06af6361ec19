//! The experiments, the same for each way of sending. `pubsub.rs`, `list.rs` and `stream.rs` are
//! the ways.

use anyhow::{Context, bail};
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::{Value, json};
use service::plural;

use crate::list::List;
use crate::own_keys::OwnKeys;
use crate::progress;
use crate::pubsub::Channel;
use crate::stream::Stream;

/// A way of sending. A value is one consumer, on its own connection.
pub(crate) trait Way: Sized {
    async fn send(keys: &OwnKeys, text: &str) -> anyhow::Result<()>;

    /// Once this returns, the consumer receives what is sent.
    async fn consumer(keys: &OwnKeys, group: &str, name: &str) -> anyhow::Result<Self>;

    /// How many of these consumers (group and name) receive a message.
    fn receivers(consumers: &[(&str, &str)]) -> usize;

    /// The next message, waiting for it if there is none.
    async fn take(&mut self) -> anyhow::Result<Message>;

    /// Confirms that the work on a message is done.
    async fn acknowledge(&mut self, message: &Message) -> anyhow::Result<()>;

    /// Takes over what the dead consumer took and never acknowledged.
    async fn claim(&mut self, dead: &str) -> anyhow::Result<Vec<Message>>;
}

pub(crate) struct Message {
    /// Only a Stream gives one.
    pub id: Option<String>,
    pub text: String,
}

/// The message that ends a consumer. A timeout instead would be too short on some machine.
const END: &str = "end";

/// The name of each experiment, its question, and the conclusion for the choice.
const EXPERIMENTS: [(&str, &str, &str); 6] = [
    (
        "absent",
        "5 messages while nobody listens: a later consumer gets",
        "A message that must wait for its reader needs a List or a Stream.",
    ),
    (
        "consumers",
        "10 messages, 2 consumers: each gets",
        "To tell everyone, use Pub/Sub. To share out work, use a List or a Stream's group.",
    ),
    (
        "groups",
        "8 messages, 2 groups of 2 consumers: each gets",
        "Only a Stream gives each group all messages and shares them out inside it.",
    ),
    (
        "death",
        "2 messages taken, 1 acknowledged, then death: the next consumer gets",
        "Work that must not get lost needs a List or a Stream, and a consumer that claims what a \
         dead one left (LMOVE, XAUTOCLAIM).",
    ),
    (
        "history",
        "10 messages, all finished: a newcomer gets",
        "Only a Stream can be read again later.",
    ),
    (
        "left",
        "30 messages, all finished: left in Redis",
        "Only a Stream keeps finished messages, so trim it (here to 20).",
    ),
];

/// One experiment with all three: the results in JSON and in words.
#[derive(Serialize)]
pub(crate) struct Row {
    experiment: &'static str,
    pub question: &'static str,
    pubsub: Value,
    list: Value,
    stream: Value,
    #[serde(skip)]
    pub counts: [String; 3],
    pub follows: &'static str,
}

/// Runs all experiments and shows the progress on stderr.
pub(crate) async fn run(keys: &OwnKeys) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, (experiment, question, follows)) in (1..).zip(EXPERIMENTS) {
        progress(&format!("{number}/{} {question} ...", EXPERIMENTS.len()));
        let (pubsub, pubsub_text) = count::<Channel>(experiment, keys).await.context("Pub/Sub")?;
        let (list, list_text) = count::<List>(experiment, keys).await.context("List")?;
        let (stream, stream_text) = count::<Stream>(experiment, keys).await.context("Stream")?;
        let counts = [pubsub_text, list_text, stream_text];
        rows.push(Row { experiment, question, pubsub, list, stream, counts, follows });
    }
    Ok(rows)
}

async fn count<W: Way>(experiment: &str, keys: &OwnKeys) -> anyhow::Result<(Value, String)> {
    let count = match experiment {
        "absent" => {
            for number in 1..=5 {
                W::send(keys, &format!("message {number}")).await?;
            }
            let (_, received) = newcomer::<W>(keys, "workers").await?;
            (json!({ "received": received }), received.to_string())
        }
        "consumers" => {
            let counts = share::<W>(keys, 10, &[("workers", "one"), ("workers", "two")]).await?;
            (json!({ "per_consumer": counts }), sum(&counts))
        }
        "groups" => {
            let mail = [("mail", "mail one"), ("mail", "mail two")];
            let audit = [("audit", "audit one"), ("audit", "audit two")];
            // A multiple of four comes out even, whoever was the first.
            let counts = share::<W>(keys, 8, &[mail, audit].concat()).await?;
            let (mail, audit) = counts.split_at(2);
            let text = format!("{} and {}", sum(mail), sum(audit));
            (json!({ "per_group": [mail, audit] }), text)
        }
        "death" => {
            let mut doomed = W::consumer(keys, "workers", "doomed").await?;
            W::send(keys, "dealt with").await?;
            W::send(keys, "not dealt with").await?;
            work(&mut doomed).await?;
            doomed.take().await?;
            // This closes its connection, as the end of its process would.
            drop(doomed);

            let (mut next, waiting) = newcomer::<W>(keys, "workers").await?;
            let claimed = next.claim("doomed").await?;
            for message in &claimed {
                next.acknowledge(message).await?;
            }
            let claiming = claimed.len();
            let text = format!("{waiting}; {claiming} by claiming");
            (json!({ "after_death": { "waiting": waiting, "claiming": claiming } }), text)
        }
        "history" => {
            share::<W>(keys, 10, &[("workers", "one")]).await?;
            let (_, received) = newcomer::<W>(keys, "newcomers").await?;
            (json!({ "received": received }), received.to_string())
        }
        "left" => {
            share::<W>(keys, 30, &[("workers", "one")]).await?;
            let [keys, messages, bytes] = keys.left().await?;
            let json = json!({ "keys": keys, "messages": messages, "bytes": bytes });
            let (keys, messages) = (plural(keys, "key"), plural(messages, "message"));
            let text = format!("{keys}: {messages}, {}", plural(bytes, "byte"));
            (json!({ "left": json }), text)
        }
        _ => bail!("no experiment {experiment}"),
    };
    keys.remove().await?;
    Ok(count)
}

fn sum(counts: &[usize]) -> String {
    let counts: Vec<_> = counts.iter().map(ToString::to_string).collect();
    counts.join(" + ")
}

/// A new consumer in this group, and how many messages it receives.
async fn newcomer<W: Way>(keys: &OwnKeys, group: &str) -> anyhow::Result<(W, usize)> {
    let mut consumer = W::consumer(keys, group, "newcomer").await?;
    W::send(keys, END).await?;
    let mut received = 0;
    while work(&mut consumer).await? != END {
        received += 1;
    }
    Ok((consumer, received))
}

/// How many messages each of these consumers (group and name) receives.
async fn share<W: Way>(
    keys: &OwnKeys,
    messages: usize,
    names: &[(&str, &str)],
) -> anyhow::Result<Vec<usize>> {
    let mut counts = vec![0; names.len()];
    let mut working = FuturesUnordered::new();
    let work_of = |number, mut consumer| async move {
        work::<W>(&mut consumer).await?;
        anyhow::Ok((number, consumer))
    };
    for (number, (group, name)) in names.iter().enumerate() {
        working.push(work_of(number, W::consumer(keys, group, name).await?));
    }
    for number in 1..=messages {
        W::send(keys, &format!("message {number}")).await?;
        // One at a time, because Redis serves the consumer that has waited longest.
        for _ in 0..W::receivers(names) {
            let (number, consumer) = working.try_next().await?.context("nobody is there")?;
            counts[number] += 1;
            working.push(work_of(number, consumer));
        }
    }
    // Each consumer ends after its first one.
    for _ in names {
        W::send(keys, END).await?;
    }
    while working.try_next().await?.is_some() {}
    Ok(counts)
}

/// Takes one message and acknowledges it.
async fn work<W: Way>(consumer: &mut W) -> anyhow::Result<String> {
    let message = consumer.take().await?;
    consumer.acknowledge(&message).await?;
    Ok(message.text)
}
