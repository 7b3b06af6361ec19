//! One connection to Redis, from its start to its end. It knows how to deliver events, to be
//! asked something, and to notice that it is gone; what to do then is not its business.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, PushInfo, PushKind, RedisError,
    RedisResult, Value,
};
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::{Instant, sleep, timeout};

use crate::address::Address;
use crate::error::said;
use crate::{Error, Event};

/// How long connecting, or subscribing again, may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a quiet connection is trusted before it is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(3);
/// How long that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The four commands that change what a connection is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Subscribe,
    PSubscribe,
    Unsubscribe,
    PUnsubscribe,
}

/// A connection. The last clone to be dropped closes it.
#[derive(Clone)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
    signs: Arc<Signs>,
    role: Role,
}

/// What a server says of itself when a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A primary, or a server that has no such thing.
    Primary,
    /// A replica outside a cluster.
    Replica,
    /// A node of a cluster, and whether it is a replica there.
    Node {
        replica: bool,
    },
    Sentinel,
}

/// What the connection's own task lets us know.
#[derive(Default)]
struct Signs {
    /// Messages and answers so far.
    life: AtomicU64,
    closed: Notify,
}

impl Link {
    /// Connects and logs in, within [`CONNECT_TIMEOUT`]. Events go to `deliver`, which is called
    /// on the task that reads from the socket and must not block.
    pub(crate) async fn connect(
        address: &Address,
        deliver: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Link, Error> {
        let signs = Arc::new(Signs::default());
        let told = signs.clone();
        let config = AsyncConnectionConfig::new()
            // The crate's own limits are off: this file and its callers have theirs.
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                told.life.fetch_add(1, Ordering::Relaxed);
                if push.kind == PushKind::Disconnection {
                    told.closed.notify_one();
                    return Ok::<(), ()>(());
                }
                match Event::from_push(push) {
                    Ok(event) => {
                        leave_a_turn_to_the_reader();
                        deliver(event);
                    }
                    Err(push) => tracing::debug!(kind = %push.kind, "ignored a push of Redis"),
                }
                Ok(())
            });
        let connecting = async {
            let mut connection =
                address.client.get_multiplexed_async_connection_with_config(&config).await?;
            let role = role(&mut connection).await?;
            Ok((connection, role))
        };
        let (connection, role) = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| Error::Unreachable {
                address: address.shown.clone(),
                reason: format!("no answer within {CONNECT_TIMEOUT:?}"),
            })?
            .map_err(|error| Error::connecting(&address.shown, &error))?;
        if role == Role::Sentinel {
            return Err(Error::Sentinel { address: address.shown.clone() });
        }
        Ok(Link { connection, signs, role })
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Returns when Redis has confirmed every name, or has refused them all: it checks the
    /// rights to all of them before it takes the first.
    pub(crate) async fn change(&self, change: Change, names: &[Vec<u8>]) -> RedisResult<()> {
        let mut connection = self.connection.clone();
        match change {
            Change::Subscribe => connection.subscribe(names).await,
            Change::PSubscribe => connection.psubscribe(names).await,
            Change::Unsubscribe => connection.unsubscribe(names).await,
            Change::PUnsubscribe => connection.punsubscribe(names).await,
        }
    }

    /// Sends these commands together, in this order. Returns for each what Redis answered, or why it
    /// refused it.
    pub(crate) async fn ask<Answer: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
    ) -> RedisResult<Vec<RedisResult<Answer>>> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        commands.for_each(|command| {
            pipeline.add_command(command);
        });
        let answers = pipeline.query_async(&mut self.connection.clone()).await;
        self.signs.life.fetch_add(1, Ordering::Relaxed);
        answers
    }

    /// Returns when the connection is gone.
    ///
    /// Redis that ends closes its connections, which is seen at once. A Redis that hangs, or a
    /// network that swallows packets, closes nothing: only a PING without an answer shows it. So
    /// does, unjustly, a single message that takes more than a second to arrive: the redis crate
    /// shows whole messages, not bytes.
    pub(crate) async fn lost(&self) -> Loss {
        tokio::select! {
            () = self.signs.closed.notified() => Loss::closed(),
            loss = self.heartbeat() => loss,
        }
    }

    /// Returns when a server that was no replica has become one, within [`PING_EVERY`]. It closes no
    /// connection for that, and still takes messages, for the few who are subscribed there.
    pub(crate) async fn demoted(&self) -> Loss {
        loop {
            sleep(PING_EVERY).await;
            // A server that does not answer is the heartbeat's business.
            let role = role(&mut self.connection.clone()).await;
            if let Ok(Role::Replica | Role::Node { replica: true }) = role {
                return Loss::now("it is a replica now".to_owned());
            }
        }
    }

    async fn heartbeat(&self) -> Loss {
        let mut connection = self.connection.clone();
        let mut alive = Instant::now();
        loop {
            sleep(PING_EVERY).await;
            let before = self.signs.life.load(Ordering::Relaxed);
            let ping = redis::cmd("PING");
            match timeout(PING_TIMEOUT, ping.exec_async(&mut connection)).await {
                Ok(Err(error)) if error.is_io_error() => return Loss::closed(),
                // An error is an answer too: Redis is there, and this user may not PING.
                Ok(_) => {}
                // In a flood the answer stands in line behind the messages. A connection that
                // still delivers is alive, however late the answer is.
                Err(_) if self.signs.life.load(Ordering::Relaxed) != before => {}
                Err(_) => {
                    let reason = format!("no answer to PING within {PING_TIMEOUT:?}");
                    return Loss { reason, since: alive };
                }
            }
            alive = Instant::now();
        }
    }
}

/// Why a connection is gone, and since when: the last moment at which it was known to work.
pub(crate) struct Loss {
    pub(crate) reason: String,
    pub(crate) since: Instant,
}

impl Loss {
    pub(crate) fn now(reason: String) -> Loss {
        Loss { reason, since: Instant::now() }
    }

    /// The error of a command that is the end of the connection.
    pub(crate) fn by(error: &RedisError) -> Loss {
        if error.is_io_error() { Loss::closed() } else { Loss::now(said(error)) }
    }

    fn closed() -> Loss {
        // The redis crate does not tell more.
        Loss::now("Redis closed the connection".to_owned())
    }
}

/// Makes the task that reads from the socket yield after each read that brought many messages.
///
/// In a flood there is always more to read, and that task would go on for 8 MB (128 reads of
/// 64 KiB) before tokio makes it pause: more messages than the inbox takes, dropped before a
/// reader on the same thread had its turn. So each message takes from the task's budget what a
/// read takes; when it is used up, the next read waits until the others have had theirs. (One
/// read brings as much as the largest message so far. After one of more than 1 MiB that can be
/// more of the smallest messages than the inbox takes: counted as missed then, like any other.)
fn leave_a_turn_to_the_reader() {
    let mut nobody = Context::from_waker(Waker::noop());
    if coop::has_budget_remaining()
        && let Poll::Ready(turn) = coop::poll_proceed(&mut nobody)
    {
        turn.made_progress();
    }
}

/// Asks by a HELLO without arguments, which changes nothing and which Redis allows to every user.
///
/// The redis crate takes any answer to its login that is no error. A mail server's `+OK` would
/// do, and then nothing would ever come: so this is also how it shows that there is a Redis.
async fn role(connection: &mut MultiplexedConnection) -> RedisResult<Role> {
    let Value::Map(answer) = redis::cmd("HELLO").query_async(connection).await? else {
        return Err((ErrorKind::UnexpectedReturnType, "no map").into());
    };
    let says = |key: &str, value: &str| {
        let is = |found: &Value, text: &str| matches!(found, Value::BulkString(found) if found == text.as_bytes());
        answer.iter().any(|(k, v)| is(k, key) && is(v, value))
    };
    let replica = says("role", "replica") || says("role", "slave");
    Ok(match () {
        () if says("mode", "sentinel") => Role::Sentinel,
        () if says("mode", "cluster") => Role::Node { replica },
        () if replica => Role::Replica,
        () => Role::Primary,
    })
}
