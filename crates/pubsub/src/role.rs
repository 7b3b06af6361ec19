//! What a server is to the others, and whether it still gets their messages.

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisResult, Value};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Error;
use crate::address::Address;
use crate::gate::Gate;
use crate::link::{CONNECT_TIMEOUT, Link, Loss, PING_EVERY, no_answer};

/// What a server says of itself when a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A primary, or a server that has no such thing.
    Primary,
    /// A replica outside a cluster.
    Replica,
    /// A node of a cluster.
    Node {
        replica: bool,
    },
    Sentinel,
}

impl Role {
    /// Asks by a HELLO without arguments, which changes nothing and which Redis allows to every
    /// user.
    ///
    /// The redis crate accepts any answer to its login that is no error. A mail server's `+OK`
    /// would do, and then nothing would ever come: so this also shows that there is a Redis.
    pub(crate) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Role> {
        let Value::Map(answer) = redis::cmd("HELLO").query_async(connection).await? else {
            return Err((ErrorKind::UnexpectedReturnType, "no map").into());
        };
        let says = |key: &str, value: &str| {
            answer.iter().any(|(k, v)| text(k) == Some(key) && text(v) == Some(value))
        };
        let replica = says("role", "replica") || says("role", "slave");
        Ok(match () {
            () if says("mode", "sentinel") => Role::Sentinel,
            () if says("mode", "cluster") => Role::Node { replica },
            () if replica => Role::Replica,
            () => Role::Primary,
        })
    }

    pub(crate) fn is_replica(self) -> bool {
        matches!(self, Role::Replica | Role::Node { replica: true })
    }
}

/// Returns when a server that was no replica has become one. It closes no connection for that, and
/// still accepts messages, for the few that are subscribed there.
pub(crate) async fn demoted(link: &Link) -> Loss {
    loop {
        sleep(PING_EVERY).await;
        // A server that does not answer concerns the heartbeat.
        if Role::ask(&mut link.connection()).await.is_ok_and(Role::is_replica) {
            return Loss::now("it is a replica now".to_owned());
        }
    }
}

/// Connects to a server. Fails if it is deaf, or does not say so in time, unless `deaf_too`.
pub(crate) async fn connect(address: &Address, gate: Gate, deaf_too: bool) -> Result<Link, Error> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let link = Link::connect(address, gate).await?;
    if deaf_too {
        return Ok(link);
    }
    match timeout_at(deadline, Hearing::of(&link).deafness(Some(link.role()))).await {
        Ok(None) => Ok(link),
        Ok(Some(reason)) => Err(Error::Deaf { address: address.shown.clone(), reason }),
        Err(_) => Err(no_answer(address)),
    }
}

/// Finds out whether a server is deaf: it answers PING, but gets no messages from the others.
///
/// This can't be known of a primary that was cut off outside a cluster, of a primary that hangs
/// (its replica calls it connected for a minute), and of the replica of a replica that was cut
/// off.
pub(crate) struct Hearing {
    link: Link,
    /// Redis has answered NOPERM: it is not asked again on this connection.
    forbidden: bool,
}

impl Hearing {
    pub(crate) fn of(link: &Link) -> Hearing {
        Hearing { link: link.clone(), forbidden: false }
    }

    /// Returns when the server is deaf, and was deaf already at the check before: while a cluster
    /// elects a new primary each node looks deaf for a moment.
    pub(crate) async fn lost(mut self) -> Loss {
        let (mut heard_at, mut deaf_before) = (Instant::now(), false);
        loop {
            sleep(PING_EVERY).await;
            // Outside a cluster a replica may have become a primary meanwhile.
            let role = match self.link.role() {
                role @ Role::Node { .. } => Some(role),
                _ => Role::ask(&mut self.link.connection()).await.ok(),
            };
            match self.deafness(role).await {
                Some(reason) if deaf_before => return Loss { reason, since: heard_at },
                Some(_) => deaf_before = true,
                None => (heard_at, deaf_before) = (Instant::now(), false),
            }
        }
    }

    /// Why a server with this role gets no messages from the others, as far as it says so.
    async fn deafness(&mut self, role: Option<Role>) -> Option<String> {
        match role? {
            Role::Node { .. } => {
                let info = self.ask(redis::cmd("CLUSTER").arg("INFO")).await?;
                has_lost_its_cluster(text(&info)?)
                    .then(|| "it has lost sight of most of its cluster".to_owned())
            }
            Role::Replica => {
                let Value::Array(role) = self.ask(&redis::cmd("ROLE")).await? else { return None };
                let [_slave, _host, _port, state, ..] = role.as_slice() else { return None };
                let state = text(state)?;
                (state != "connected").then(|| format!("a replica without its primary ({state})"))
            }
            Role::Primary | Role::Sentinel => None,
        }
    }

    async fn ask(&mut self, command: &redis::Cmd) -> Option<Value> {
        if self.forbidden {
            return None;
        }
        let answer: RedisResult<Value> = command.query_async(&mut self.link.connection()).await;
        if let Err(error) = &answer {
            self.forbidden = error.code() == Some("NOPERM");
            if self.forbidden {
                tracing::debug!("cannot find out whether this server is cut off: {error}");
            }
        }
        answer.ok()
    }
}

/// Each node says `fail` for some seconds of an ordinary failover, while messages still pass. Only
/// one that can't ask a majority says it while it still has slots whose owner it merely suspects.
fn has_lost_its_cluster(info: &str) -> bool {
    let value = |key: &str| info.lines().find_map(|line| line.strip_prefix(key));
    value("cluster_state:") == Some("fail")
        && value("cluster_slots_pfail:").is_some_and(|slots| slots != "0")
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_majority_is_deafness() {
        for (info, lost) in [
            ("cluster_state:ok\r\ncluster_slots_pfail:0\r\n", false),
            ("cluster_state:ok\r\ncluster_slots_pfail:5461\r\n", false),
            ("cluster_state:fail\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:5461\r\n", false),
            ("cluster_state:fail\r\ncluster_slots_pfail:10923\r\n", true),
            ("", false),
        ] {
            assert_eq!(has_lost_its_cluster(info), lost, "{info}");
        }
    }
}
