//! One connection to Redis, from its start to its end. It delivers events, sends commands, and
//! notices when it is lost; what to do then is decided elsewhere.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, PushInfo, RedisError, RedisResult};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::address::Address;
use crate::answer::confirmed_as_array;
use crate::error::{is_the_end, said};
use crate::gate::Gate;
use crate::kind::Kind;
use crate::lock::lock;
use crate::role::Role;
use crate::socket::{self, Arrivals};
use crate::tap::Tap;
use crate::{ByteString, Error, Event};

/// How long connecting, or subscribing again, may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a silent connection is trusted before it is asked for a sign of life.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(3);
/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection. The last clone to be dropped closes it.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    connection: MultiplexedConnection,
    gate: Arc<Gate>,
    arrivals: Arrivals,
    confirmations: Arc<AtomicU64>,
    /// Cancelled when the redis crate's task ends.
    closed: CancellationToken,
    /// Why the stream of bytes was given up, if it was not Redis that closed it.
    broken: Arc<OnceLock<&'static str>>,
    role: Role,
    /// The redis crate's task, which reads and writes. By itself it would first send what is
    /// queued: when a Redis that hung continues, it would get messages that were already reported
    /// as not confirmed.
    _task: AbortOnDropHandle<()>,
}

impl Link {
    /// Connects and logs in, within [`CONNECT_TIMEOUT`]. Events go to `gate`, on the task that
    /// reads from the socket.
    pub(crate) async fn connect(address: &Address, gate: Gate) -> Result<Link, Error> {
        // In the caller's thread each step would wake the thread that runs the connections, and then
        // the caller's: connecting would take longer.
        let connecting = tokio::spawn(Link::connect_in_time(address.clone(), gate));
        match timeout(CONNECT_TIMEOUT, AbortOnDropHandle::new(connecting)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                Err(_) => Err(Error::Closed), // the runtime has ended
            },
            Err(_) => Err(no_answer(address)),
        }
    }

    async fn connect_in_time(address: Address, gate: Gate) -> Result<Link, Error> {
        let gate = Arc::new(gate);
        let arrivals = Arc::new(Mutex::new(Instant::now()));
        let stream = socket::open(&address, arrivals.clone())
            .await
            .map_err(|error| Error::opening(&address.shown, &error))?;
        let (for_messages, for_confirmations) = (gate.clone(), gate.clone());
        let (read, write) = tokio::io::split(stream);
        let tap = Tap::new(read, move |batch| for_messages.deliver(batch));
        let broken = tap.broken();
        let confirmations = Arc::new(AtomicU64::new(0));
        let confirmed = confirmations.clone();
        let config = AsyncConnectionConfig::new()
            // The crate's own limits are off: this file and its callers have theirs.
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                match Event::confirmation(push) {
                    Ok(event) => {
                        confirmed.fetch_add(1, Ordering::Relaxed);
                        for_confirmations.deliver(vec![event]);
                    }
                    Err(push) => tracing::debug!(kind = %push.kind, "ignored a push of Redis"),
                }
                Ok::<(), std::fmt::Error>(())
            });
        let settings = address.info.redis_settings();
        let connecting = |error| Error::connecting(&address.shown, &error, broken.get().copied());
        let stream = tokio::io::join(tap, write);
        let (mut connection, task) =
            MultiplexedConnection::new_with_config(settings, stream, config)
                .await
                .map_err(connecting)?;
        // However the task ends: the crate reports some errors of the socket to nobody.
        let closed = CancellationToken::new();
        let closes = closed.clone().drop_guard();
        let _task = AbortOnDropHandle::new(tokio::spawn(async move {
            let _closes = closes;
            task.await;
        }));
        let role = Role::ask(&mut connection).await.map_err(connecting)?;
        if role == Role::Sentinel {
            return Err(Error::Sentinel { address: address.shown });
        }
        let inner =
            Inner { connection, gate, arrivals, confirmations, closed, broken, role, _task };
        Ok(Link(Arc::new(inner)))
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(crate) fn role(&self) -> Role {
        self.0.role
    }

    /// Subscribes to these names, or unsubscribes from them, and returns when Redis has confirmed.
    /// If Redis refuses one name it takes none: it checks the rights to all of them first.
    pub(crate) async fn change(
        &self,
        subscribe: bool,
        kind: Kind,
        names: &[ByteString],
    ) -> RedisResult<()> {
        let before = self.0.confirmations.load(Ordering::Relaxed);
        let mut connection = self.connection();
        let names: Vec<&[u8]> = names.iter().map(|name| &**name).collect();
        match (subscribe, kind) {
            (true, Kind::Channel) => connection.subscribe(names).await?,
            (true, Kind::Pattern) => connection.psubscribe(names).await?,
            (false, Kind::Channel) => connection.unsubscribe(names).await?,
            (false, Kind::Pattern) => connection.punsubscribe(names).await?,
        }
        if self.0.confirmations.load(Ordering::Relaxed) == before {
            return Err(confirmed_as_array());
        }
        Ok(())
    }

    /// Sends these commands together, in this order. Returns for each what Redis answered, or why
    /// it refused it.
    pub(crate) async fn ask<Answer: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
    ) -> RedisResult<Vec<RedisResult<Answer>>> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        commands.for_each(|command| {
            pipeline.add_command(command);
        });
        pipeline.query_async(&mut self.0.connection.clone()).await
    }

    /// To ask something else.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.0.connection.clone()
    }

    /// Returns when the connection is lost.
    ///
    /// A Redis that ends closes its connections, which is seen at once. A Redis that hangs, or a
    /// network that drops packets, closes nothing: only a PING without an answer shows it.
    pub(crate) async fn lost(&self) -> Loss {
        tokio::select! {
            () = self.0.closed.cancelled() => self.closed(),
            loss = self.heartbeat() => loss,
        }
    }

    /// The error of a command that is the end of the connection.
    pub(crate) fn loss_by(&self, error: &RedisError) -> Loss {
        if is_the_end(error) { self.closed() } else { Loss::now(said(error)) }
    }

    fn closed(&self) -> Loss {
        // The redis crate reports no more than that.
        let reason = self.0.broken.get().unwrap_or(&"Redis closed the connection");
        Loss::now((*reason).to_owned())
    }

    /// Returns when nothing has arrived for this long, from now on: when the last byte came.
    pub(crate) async fn silence(&self, length: Duration) -> Instant {
        let mut since = Instant::now();
        loop {
            sleep_until(since + length).await;
            let last = *lock(&self.0.arrivals);
            if last <= since {
                return last;
            }
            since = last;
        }
    }

    async fn heartbeat(&self) -> Loss {
        loop {
            let alive = *lock(&self.0.arrivals);
            if alive.elapsed() < PING_EVERY {
                sleep_until(alive + PING_EVERY).await;
                continue;
            }
            let ping = redis::cmd("PING");
            match timeout(PING_TIMEOUT, ping.exec_async(&mut self.connection())).await {
                // The crate's task has noticed it, too, and knows why.
                Ok(Err(error)) if is_the_end(&error) => std::future::pending().await,
                // An error is an answer: Redis is there, and this user may not PING. Answer or
                // not, bytes have arrived: the answer may be behind a message of 500 MB.
                _ if *lock(&self.0.arrivals) > alive => {}
                _ => {
                    let reason = format!("no answer to PING within {PING_TIMEOUT:?}");
                    return Loss { reason, since: alive };
                }
            }
        }
    }
}

/// Nothing came within [`CONNECT_TIMEOUT`].
pub(crate) fn no_answer(address: &Address) -> Error {
    let reason = format!("no answer within {CONNECT_TIMEOUT:?}");
    Error::Unreachable { address: address.shown.clone(), reason }
}

/// Why a connection is lost, and since when: the last moment at which it was known to work.
pub(crate) struct Loss {
    pub(crate) reason: String,
    pub(crate) since: Instant,
}

impl Loss {
    pub(crate) fn now(reason: String) -> Loss {
        Loss { reason, since: Instant::now() }
    }
}
