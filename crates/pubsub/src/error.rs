use redis::{ErrorKind, RedisError};

/// Why something did not work. The texts name the address or the channel, never a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one that this crate understands. The address itself is not repeated
    /// here: it may hold a password.
    #[error("not a Redis URL ({reason}); it looks like redis://[user:password@]host[:port][/db]")]
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
    /// What went wrong while connecting to `address`.
    pub(crate) fn connecting(address: &str, error: &RedisError) -> Error {
        let address = address.to_owned();
        let reason = error.to_string();
        match error.kind() {
            ErrorKind::Io => Error::Unreachable { address, reason },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported => {
                Error::NotResp3 { address, reason }
            }
            _ => Error::Refused { address, reason: said(error) },
        }
    }
}

/// What Redis said, in its own words, where the error is an answer of Redis.
pub(crate) fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}
