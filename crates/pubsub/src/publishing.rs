//! The task behind a [`Publisher`](crate::Publisher): it keeps one connection, sends on it what is
//! queued, and answers each message once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use redis::{Cmd, RedisError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::Error;
use crate::address::Address;
use crate::addresses::Addresses;
use crate::error::said;
use crate::link::{Link, Loss, Role};
use crate::outage::Outages;

/// How many batches are sent as one pipeline, if so many wait.
const MOST: usize = 512;
/// How many pipelines are on their way. The redis crate queues 50 for its connection; beyond that
/// they would wait for a place, and not in their order.
const PIPELINES: usize = 16;
/// How long closing waits for the answers that are still due.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Messages to be sent together, and where to answer.
pub(crate) struct Batch {
    pub(crate) messages: Vec<Cmd>,
    pub(crate) asked: Asked,
}

pub(crate) struct Asked {
    pub(crate) messages: usize,
    pub(crate) answer: oneshot::Sender<Vec<Result<u64, Error>>>,
}

/// Runs a task until it was told to close, and then until the last answers have come.
pub(crate) async fn until_closed(
    publishing: impl Future<Output = ()>,
    mut closing: watch::Receiver<bool>,
) {
    let last_answers = async {
        // An error means that the publisher is gone, and nobody waits for an answer.
        let _ = closing.wait_for(|&closing| closing).await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        () = publishing => {}
        () = last_answers => {}
    }
}

pub(crate) async fn connect(address: Address) -> Result<Link, Error> {
    // Nothing is subscribed to on this connection, so no event ever comes.
    let link = Link::connect(&address, |_| {}).await?;
    match link.role() {
        Role::Replica => Err(Error::Replica { address: address.shown }),
        _ => Ok(link),
    }
}

pub(crate) async fn publish_for_ever(
    mut addresses: Addresses,
    mut link: Link,
    mut queue: UnboundedReceiver<Batch>,
    connected: watch::Sender<bool>,
    used: Arc<AtomicBool>,
) {
    let mut outages = Outages::new();
    let mut sent = VecDeque::new();
    loop {
        let loss = tokio::select! {
            loss = link.lost() => loss,
            // What is published there now reaches only its own subscribers.
            loss = link.demoted(), if link.role() == Role::Primary => loss,
            error = publish_queued(&link, &mut queue, &mut sent) => match error {
                Some(error) => Loss::now(said(&error)),
                None => return,
            },
        };
        // What it still holds must not be sent any more once it was called unconfirmed.
        drop(link);
        connected.send_replace(false);
        // With shard channels only, nobody needs this connection.
        outages.silent = !used.load(Ordering::Relaxed);
        outages.begin(&addresses.current().shown, &loss);
        // These may have reached Redis.
        sent.drain(..).flatten().for_each(|asked| refuse(asked, &loss.reason));
        link = tokio::select! {
            link = reconnect(&mut addresses, &mut outages) => link,
            () = refuse_queued(&mut queue, &loss.reason) => return,
        };
        connected.send_replace(true);
    }
}

/// Publishes what is queued, as much as there is at a time, until nobody can add to it (`None`)
/// or Redis answers something incomprehensible. `sent` has who waits for an answer, pipeline by
/// pipeline.
async fn publish_queued(
    link: &Link,
    queue: &mut UnboundedReceiver<Batch>,
    sent: &mut VecDeque<Vec<Asked>>,
) -> Option<RedisError> {
    let mut batches = Vec::new();
    let mut pipelines = FuturesOrdered::new();
    loop {
        tokio::select! {
            queued = queue.recv_many(&mut batches, MOST), if pipelines.len() < PIPELINES => {
                if queued == 0 {
                    return None;
                }
                let batches = batches.drain(..).map(|batch| (batch.messages, batch.asked));
                let (messages, asked): (Vec<_>, Vec<_>) = batches.unzip();
                pipelines.push_back(link.ask(messages.into_iter().flatten()));
                sent.push_back(asked);
            }
            Some(answers) = pipelines.next() => {
                let answers = match answers {
                    Ok(answers) => answers,
                    // The connection is gone: whoever watches it knows why.
                    Err(error) if error.is_io_error() => std::future::pending().await,
                    Err(error) => return Some(error),
                };
                let mut answers = answers
                    .into_iter()
                    .map(|answer| answer.map_err(|error| not_confirmed(&said(&error))));
                for asked in sent.pop_front().into_iter().flatten() {
                    // Whoever asked may have stopped waiting.
                    let _ = asked.answer.send(answers.by_ref().take(asked.messages).collect());
                }
            }
        }
    }
}

async fn reconnect(addresses: &mut Addresses, outages: &mut Outages) -> Link {
    loop {
        outages.wait().await;
        match addresses.try_each(connect).await {
            Ok(link) => {
                outages.end(&addresses.current().shown);
                return link;
            }
            Err(error) => outages.failed(&error),
        }
    }
}

async fn refuse_queued(queue: &mut UnboundedReceiver<Batch>, reason: &str) {
    while let Some(batch) = queue.recv().await {
        refuse(batch.asked, reason);
    }
}

fn refuse(asked: Asked, reason: &str) {
    let _ = asked.answer.send(vec![Err(not_confirmed(reason)); asked.messages]);
}

pub(crate) fn not_confirmed(reason: &str) -> Error {
    Error::NotConfirmed { reason: reason.to_owned() }
}
