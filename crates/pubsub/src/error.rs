use redis::{ErrorKind, RedisError};

/// Why something did not work. The texts name the address or the channel, never a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one that this crate understands. The address itself is not repeated
    /// here: it may hold a password.
    #[error("not a Redis URL ({reason}); write redis://[user:password@]host[:port][/db]")]
    Url {
        /// What is wrong with it.
        reason: String,
    },

    /// No connection: refused, no such name, no answer in time, or closed at once.
    #[error("no Redis at {address}: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The operating system's word, or how long was waited.
        reason: String,
    },

    /// There is a Redis, and it does not let this client in: `WRONGPASS`, `NOAUTH`, `NOPERM`,
    /// too many clients, still loading.
    #[error("Redis at {address} refused the connection: {reason}")]
    Refused {
        /// Host and port.
        address: String,
        /// What Redis said.
        reason: String,
    },

    /// Something answers there that is no Redis, or one older than 6.0, which has no RESP3.
    #[error("{address} does not speak Redis's protocol RESP3 (Redis 6 or later does): {reason}")]
    NotResp3 {
        /// Host and port.
        address: String,
        /// What it said instead.
        reason: String,
    },

    /// TLS: the certificate of whoever answers there is not one to be trusted, or is another's.
    #[error("the certificate of {address} is not to be trusted: {reason}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// What is wrong with it.
        reason: String,
    },

    /// TLS: there is no CA to check certificates with, neither the system's nor in the file that
    /// `SSL_CERT_FILE` names.
    #[error("no CA to check the certificate of Redis with: {reason}")]
    NoTrust {
        /// What is wrong with them.
        reason: String,
    },

    /// A publisher outside a cluster was given a replica. Redis would take its messages and pass
    /// them on to the subscribers of that replica alone.
    #[error(
        "Redis at {address} is a replica, which passes messages on to its own subscribers only; \
         publish to its primary"
    )]
    Replica {
        /// Host and port.
        address: String,
    },

    /// A Sentinel, which knows where Redis is, and takes messages of its own only.
    #[error("{address} is a Sentinel; name the Redis servers that it watches")]
    Sentinel {
        /// Host and port.
        address: String,
    },

    /// Several addresses were given, and none of them can be used.
    #[error("none of {} addresses: {}", errors.len(), all(errors))]
    NoneOf {
        /// What is wrong with each.
        errors: Vec<Error>,
    },

    /// Redis refused to subscribe or to unsubscribe, usually `NOPERM`: the user of this
    /// connection has no right to that channel. Nothing has changed then.
    #[error("Redis refused {command} {names}: {reason}")]
    Command {
        /// The command.
        command: &'static str,
        /// The channels or patterns.
        names: String,
        /// What Redis said.
        reason: String,
    },

    /// Redis did not confirm a published message. Unless it answered with a refusal, it may or
    /// may not have taken it.
    #[error("not confirmed: {reason}")]
    NotConfirmed {
        /// What Redis said, or why there was no answer.
        reason: String,
    },

    /// `close` was called.
    #[error("closed")]
    Closed,
}

impl Error {
    /// What several attempts have failed with; of one, its own error.
    pub(crate) fn none_of(mut errors: Vec<Error>) -> Error {
        match errors.pop() {
            Some(error) if errors.is_empty() => error,
            last => Error::NoneOf { errors: errors.into_iter().chain(last).collect() },
        }
    }

    /// What went wrong while connecting to `address`.
    pub(crate) fn connecting(address: &str, error: &RedisError) -> Error {
        let address = address.to_owned();
        match error.kind() {
            ErrorKind::Io if is_closed(error) => {
                Error::Unreachable { address, reason: "it closed the connection at once".into() }
            }
            ErrorKind::Io => {
                let reason = error.to_string();
                // In the words of rustls, whose own error the redis crate keeps to itself.
                match reason.strip_prefix("invalid peer certificate: ") {
                    Some(reason) => Error::Untrusted { address, reason: reason.to_owned() },
                    None => Error::Unreachable { address, reason },
                }
            }
            // The parser's own words take several lines, and are about bytes.
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                Error::NotResp3 { address, reason: "its answer is none of Redis".into() }
            }
            _ if is_unknown_command(error) => {
                Error::NotResp3 { address, reason: "it does not know HELLO".into() }
            }
            _ => Error::Refused { address, reason: said(error) },
        }
    }
}

fn all(errors: &[Error]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// The connection was made and is gone. How the system calls that (end of file, broken pipe,
/// reset by peer) depends on who was faster, and would make several errors of one.
fn is_closed(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

/// Redis repeats the arguments of a command that it does not know, and those of HELLO have the
/// password among them.
pub(crate) fn is_unknown_command(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || error.detail().is_some_and(|detail| detail.starts_with("unknown command"))
}

/// What Redis said, in its own words, where the error is an answer of Redis. Whoever answers may
/// be no Redis at all: on one line, and nothing that a terminal would obey.
pub(crate) fn said(error: &RedisError) -> String {
    let said = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    said.replace(char::is_control, " ")
}
