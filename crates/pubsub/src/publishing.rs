//! The task behind a [`Publisher`](crate::Publisher): it keeps one connection, sends on it what is
//! queued, and answers each message once.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use redis::{Cmd, RedisError, RedisResult};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::addresses::Addresses;
use crate::error::said;
use crate::gate::Gate;
use crate::link::{Link, Loss};
use crate::outage::{LONGEST_DELAY, Outages};
use crate::role::{Role, demoted};
use crate::{ByteString, Error};

/// How many batches are sent as one pipeline, if so many wait.
const MOST_BATCHES: usize = 512;
/// How many pipelines are on their way. The redis crate queues 50 for its connection; more would
/// wait for a place, and not in their order.
const PIPELINES: usize = 16;
/// How long closing waits for the answers that are still due.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

pub(crate) struct Message {
    pub(crate) channel: ByteString,
    /// The whole command, with channel and payload.
    pub(crate) command: Cmd,
}

/// Messages to be sent together, and where to answer.
pub(crate) struct Batch {
    pub(crate) messages: Vec<Message>,
    pub(crate) answer: oneshot::Sender<Vec<Result<u64, Error>>>,
}

/// The batches that wait to be sent.
pub(crate) struct Queue {
    batches: UnboundedReceiver<Batch>,
    closing: CancellationToken,
}

impl Queue {
    /// The next batches, up to a limit. After closing begins, returns what is queued, then an empty
    /// list.
    pub(crate) async fn next(&mut self) -> Vec<Batch> {
        let mut next = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled(), if !self.batches.is_closed() => self.batches.close(),
                _ = self.batches.recv_many(&mut next, MOST_BATCHES) => return next,
            }
        }
    }
}

/// Runs a task that publishes what is queued. After `closing` begins, the task has a while to answer
/// what is still in the queue.
pub(crate) async fn publish_until<Publishing: Future<Output = ()>>(
    closing: CancellationToken,
    batches: UnboundedReceiver<Batch>,
    publish: impl FnOnce(Queue) -> Publishing,
) {
    let queue = Queue { batches, closing: closing.clone() };
    let last_answers = async {
        closing.cancelled().await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        () = publish(queue) => {}
        () = last_answers => {}
    }
}

/// Where to answer so many messages of a batch.
pub(crate) struct Asked {
    messages: usize,
    answer: oneshot::Sender<Vec<Result<u64, Error>>>,
}

pub(crate) fn take_apart(batches: Vec<Batch>) -> (Vec<Message>, Vec<Asked>) {
    let (mut all, mut asked) = (Vec::new(), Vec::new());
    for Batch { messages, answer } in batches {
        asked.push(Asked { messages: messages.len(), answer });
        all.extend(messages);
    }
    (all, asked)
}

/// Answers the messages that were taken apart, in their order.
pub(crate) fn answer(asked: Vec<Asked>, answers: impl IntoIterator<Item = Result<u64, Error>>) {
    let mut answers = answers.into_iter();
    for Asked { messages, answer } in asked {
        // The caller may have stopped waiting.
        let _ = answer.send(answers.by_ref().take(messages).collect());
    }
}

fn refuse(asked: Vec<Asked>, reason: &str) {
    answer(asked, std::iter::repeat_with(|| Err(not_confirmed(reason))));
}

pub(crate) struct Publishing {
    addresses: Addresses,
    link: Link,
    connected: watch::Sender<bool>,
}

impl Publishing {
    pub(crate) async fn connect(
        mut addresses: Addresses,
        connected: watch::Sender<bool>,
    ) -> Result<Publishing, Error> {
        let link = addresses.try_each(connect).await?;
        Ok(Publishing { addresses, link, connected })
    }

    pub(crate) async fn run(self, mut queue: Queue) {
        let Publishing { mut addresses, mut link, connected } = self;
        let mut outages = Outages::new(LONGEST_DELAY);
        let mut sent = VecDeque::new();
        loop {
            let loss = tokio::select! {
                loss = link.lost() => loss,
                // What is published at a replica reaches only its own subscribers.
                loss = demoted(&link), if link.role() == Role::Primary => loss,
                error = publish_queued(&link, &mut queue, &mut sent) => match error {
                    Some(error) => Loss::now(said(&error)),
                    None => return,
                },
            };
            // Its queue must not be sent any more, since it is about to be called unconfirmed.
            drop(link);
            connected.send_replace(false);
            outages.begin(&addresses.current().shown, &loss);
            // Redis may have got these.
            sent.drain(..).for_each(|asked| refuse(asked, &loss.reason));
            link = tokio::select! {
                link = reconnect(&mut addresses, &mut outages) => link,
                () = refuse_queued(&mut queue, &loss.reason) => return,
            };
            connected.send_replace(true);
        }
    }
}

async fn connect(address: Address) -> Result<Link, Error> {
    // Nothing is subscribed to on this connection, so no event ever comes.
    let link = Link::connect(&address, Gate::open(Box::new(|_| None))).await?;
    match link.role() {
        Role::Replica => Err(Error::Replica { address: address.shown }),
        _ => Ok(link),
    }
}

/// Publishes what is queued, as much as there is at a time, until all is answered and nothing can
/// be added (`None`), or Redis answers something incomprehensible. `sent` has the batches that wait
/// for an answer, one entry for each pipeline.
async fn publish_queued(
    link: &Link,
    queue: &mut Queue,
    sent: &mut VecDeque<Vec<Asked>>,
) -> Option<RedisError> {
    let mut pipelines = FuturesOrdered::new();
    let mut more = true;
    while more || !pipelines.is_empty() {
        tokio::select! {
            batches = queue.next(), if more && pipelines.len() < PIPELINES => {
                if batches.is_empty() {
                    more = false;
                    continue;
                }
                let (messages, asked) = take_apart(batches);
                sent.push_back(asked);
                pipelines.push_back(link.ask(messages.into_iter().map(|message| message.command)));
            }
            Some(answers) = pipelines.next() => {
                let answers = match answers {
                    Ok(answers) => answers,
                    // The connection is lost: the link knows why.
                    Err(error) if error.is_io_error() => std::future::pending().await,
                    Err(error) => return Some(error),
                };
                let confirmed = |answer: RedisResult<u64>| {
                    answer.map_err(|error| not_confirmed(&said(&error)))
                };
                answer(sent.pop_front().unwrap_or_default(), answers.into_iter().map(confirmed));
            }
        }
    }
    None
}

async fn reconnect(addresses: &mut Addresses, outages: &mut Outages) -> Link {
    loop {
        sleep(outages.next_delay()).await;
        match addresses.try_each(connect).await {
            Ok(link) => {
                outages.end(&addresses.current().shown);
                return link;
            }
            Err(error) => outages.failed(&error),
        }
    }
}

async fn refuse_queued(queue: &mut Queue, reason: &str) {
    loop {
        let batches = queue.next().await;
        if batches.is_empty() {
            return;
        }
        refuse(take_apart(batches).1, reason);
    }
}

pub(crate) fn not_confirmed(reason: &str) -> Error {
    Error::NotConfirmed { reason: reason.to_owned() }
}
