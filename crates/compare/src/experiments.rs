//! The experiments, the same for each way of sending.

use std::io::Write;

use anyhow::Context;
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::list::Queue;
use crate::own_keys::{Left, OwnKeys};
use crate::pubsub::Channel;
use crate::stream::Log;
use crate::way::{Consumer, Way};

/// The message that ends a consumer. A timeout instead would be too short on some machine.
const END: &str = "end";

struct Experiment {
    kind: Kind,
    name: &'static str,
    question: &'static str,
    /// The conclusion for the choice.
    follows: &'static str,
}

#[derive(Clone, Copy)]
enum Kind {
    Absent,
    Consumers,
    Groups,
    Death,
    History,
    Left,
}

const EXPERIMENTS: [Experiment; 6] = [
    Experiment {
        kind: Kind::Absent,
        name: "absent",
        question: "5 messages while nobody listens: a later consumer gets",
        follows: "A message that must wait for its reader needs a List or a Stream.",
    },
    Experiment {
        kind: Kind::Consumers,
        name: "consumers",
        question: "10 messages, 2 consumers: each gets",
        follows: "To tell everyone, use Pub/Sub. To share out work, use a List or a Stream's group.",
    },
    Experiment {
        kind: Kind::Groups,
        name: "groups",
        question: "8 messages, 2 groups of 2 consumers: each gets",
        follows: "Only a Stream gives each group all messages and shares them out inside it.",
    },
    Experiment {
        kind: Kind::Death,
        name: "death",
        question: "2 messages taken, 1 acknowledged, then death: the next consumer gets",
        follows: "Work that must not get lost needs a List or a Stream, and a consumer that \
                  claims what a dead one left (LMOVE, XAUTOCLAIM).",
    },
    Experiment {
        kind: Kind::History,
        name: "history",
        question: "10 messages, all finished: a newcomer gets",
        follows: "Only a Stream can be read again later.",
    },
    Experiment {
        kind: Kind::Left,
        name: "left",
        question: "30 messages, all finished: left in Redis",
        follows: "Only a Stream keeps finished messages, so trim it (here to 20).",
    },
];

/// The result of one experiment.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Counts {
    Received(usize),
    PerConsumer(Vec<usize>),
    PerGroup(Vec<Vec<usize>>),
    /// Got by waiting for messages, and by claiming what the dead one had.
    AfterDeath {
        waiting: usize,
        claiming: usize,
    },
    Left(Left),
}

/// One experiment with all three.
#[derive(Serialize)]
pub(crate) struct Row {
    pub experiment: &'static str,
    pub question: &'static str,
    pub pubsub: Counts,
    pub list: Counts,
    pub stream: Counts,
    pub follows: &'static str,
}

/// Runs all experiments and shows the progress on stderr.
pub(crate) async fn run(url: &str, keys: &OwnKeys) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, Experiment { kind, name, question, follows }) in (1..).zip(EXPERIMENTS) {
        // A closed stderr does not stop the run.
        let _ = writeln!(std::io::stderr(), "{number}/{} {question} ...", EXPERIMENTS.len());
        let channel = Channel::new(url, keys.name(name)).await.context("Pub/Sub")?;
        rows.push(Row {
            experiment: name,
            question,
            pubsub: count(kind, channel, keys).await.context("Pub/Sub")?,
            list: count(kind, Queue::new(keys, name), keys).await.context("List")?,
            stream: count(kind, Log::new(keys, name), keys).await.context("Stream")?,
            follows,
        });
    }
    Ok(rows)
}

async fn count(kind: Kind, mut way: impl Way, keys: &OwnKeys) -> anyhow::Result<Counts> {
    let way = &mut way;
    let counts = match kind {
        Kind::Absent => absent(way).await?,
        Kind::Consumers => {
            Counts::PerConsumer(share(way, 10, &[("workers", "one"), ("workers", "two")]).await?)
        }
        Kind::Groups => {
            let mail = [("mail", "mail one"), ("mail", "mail two")];
            let audit = [("audit", "audit one"), ("audit", "audit two")];
            // A multiple of four comes out even, whoever of them was the first.
            let counts = share(way, 8, &[mail, audit].concat()).await?;
            Counts::PerGroup(counts.chunks(2).map(<[usize]>::to_vec).collect())
        }
        Kind::Death => death(way).await?,
        Kind::History => history(way).await?,
        Kind::Left => {
            share(way, 30, &[("workers", "one")]).await?;
            Counts::Left(keys.left().await?)
        }
    };
    keys.remove().await?;
    Ok(counts)
}

async fn absent(way: &mut impl Way) -> anyhow::Result<Counts> {
    for number in 1..=5 {
        way.send(&format!("message {number}")).await?;
    }
    let mut late = way.consumer("workers", "late").await?;
    way.send(END).await?;
    Ok(Counts::Received(consume(&mut late, |_| {}).await?))
}

/// How many messages each of these consumers, named by group and name, gets.
async fn share(
    way: &mut impl Way,
    messages: usize,
    names: &[(&str, &str)],
) -> anyhow::Result<Vec<usize>> {
    let (taken, mut reports) = mpsc::unbounded_channel();
    let mut consumers = Vec::new();
    for (group, name) in names {
        consumers.push(way.consumer(group, name).await?);
    }
    let consuming = try_join_all(consumers.iter_mut().map(|consumer| {
        let taken = taken.clone();
        consume(consumer, move |text| drop(taken.send(text.to_owned())))
    }));
    let sending = async {
        for number in 1..=messages {
            let text = format!("message {number}");
            way.send(&text).await?;
            // One at a time, because Redis serves the consumer that has waited longest.
            while reports.recv().await.context("nobody is there")? != text {}
        }
        // Each consumer ends after its first one.
        for _ in names {
            way.send(END).await?;
        }
        anyhow::Ok(())
    };
    let (counts, ()) = tokio::try_join!(consuming, sending)?;
    Ok(counts)
}

async fn death(way: &mut impl Way) -> anyhow::Result<Counts> {
    let mut doomed = way.consumer("workers", "doomed").await?;
    way.send("dealt with").await?;
    way.send("not dealt with").await?;
    let message = doomed.take().await?;
    doomed.acknowledge(&message).await?;
    doomed.take().await?;
    // This closes its connection, as the end of its process would.
    drop(doomed);

    let mut next = way.consumer("workers", "next").await?;
    way.send(END).await?;
    let waiting = consume(&mut next, |_| {}).await?;
    let claimed = next.claim("doomed").await?;
    for message in &claimed {
        next.acknowledge(message).await?;
    }
    Ok(Counts::AfterDeath { waiting, claiming: claimed.len() })
}

async fn history(way: &mut impl Way) -> anyhow::Result<Counts> {
    share(way, 10, &[("workers", "one")]).await?;
    let mut newcomer = way.consumer("newcomers", "newcomer").await?;
    way.send(END).await?;
    Ok(Counts::Received(consume(&mut newcomer, |_| {}).await?))
}

/// Takes and acknowledges messages until the last one; returns how many there were before it.
async fn consume(
    consumer: &mut impl Consumer,
    mut taken: impl FnMut(&str),
) -> anyhow::Result<usize> {
    let mut count = 0;
    loop {
        let message = consumer.take().await?;
        consumer.acknowledge(&message).await?;
        if message.text == END {
            return Ok(count);
        }
        count += 1;
        taken(&message.text);
    }
}
