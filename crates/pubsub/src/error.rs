use std::io;

use redis::{ErrorKind, RedisError};

/// Why something did not work. The texts name the address or the channel, never a password.
///
/// In all variants `address` is host and port, or the path of a Unix socket. `reason` is what Redis
/// or the operating system said, or what this crate found wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "of the fields: the variants say what they hold")]
pub enum Error {
    /// This crate does not understand the address. The address itself is not repeated here: it may
    /// hold a password.
    #[error("not a Redis URL ({reason}); write redis://[user:password@]host[:port][/db]")]
    Url { reason: String },

    /// There is no connection: refused, no such name, no answer in time, or closed at once.
    #[error("no Redis at {address}: {reason}")]
    Unreachable { address: String, reason: String },

    /// There is a Redis, and it does not let this client in: `WRONGPASS`, `NOAUTH`, `NOPERM`,
    /// too many clients, still loading.
    #[error("Redis at {address} refused the connection: {reason}")]
    Refused { address: String, reason: String },

    /// Something answers there that is no Redis, a Redis older than 6.0, or a proxy that does not
    /// pass on RESP3.
    #[error("{address} does not speak Redis's protocol RESP3 (Redis 6 or later does): {reason}")]
    NotResp3 { address: String, reason: String },

    /// TLS: the server's certificate is not signed by a trusted CA, or belongs to another name.
    #[error("the certificate of {address} is not to be trusted: {reason}")]
    Untrusted { address: String, reason: String },

    /// TLS: there is no CA to check certificates with, neither the system's nor in the file that
    /// `SSL_CERT_FILE` names.
    #[error("no CA to check the certificate of Redis with: {reason}")]
    NoTrust { reason: String },

    /// TLS: the client certificate that `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE` name can't
    /// be used. The `reason` names the file.
    #[error("cannot use the client certificate: {reason}")]
    ClientCertificate { reason: String },

    /// The server answers, but gets no messages from the others: a node that has lost its cluster,
    /// or a replica that has lost its primary.
    #[error("Redis at {address} is cut off, and gets no messages: {reason}")]
    Deaf { address: String, reason: String },

    /// A publisher outside a cluster was given a replica. Redis would take its messages and pass
    /// them on to the subscribers of that replica alone.
    #[error(
        "Redis at {address} is a replica, which passes messages on to its own subscribers only; \
         publish to its primary"
    )]
    Replica { address: String },

    /// A Sentinel, which knows where Redis is, but publishes only messages of its own.
    #[error("{address} is a Sentinel; name the Redis servers that it watches")]
    Sentinel { address: String },

    /// Several addresses were given, and none of them can be used: `errors` has one for each, in
    /// the same order.
    #[error("none of {} addresses: {}", errors.len(), all(errors))]
    NoneOf { errors: Vec<Error> },

    /// Redis refused to subscribe or to unsubscribe, usually `NOPERM`: the user of this
    /// connection has no right to that channel. Nothing has changed then. `command` is
    /// Redis's, such as `SUBSCRIBE`; `names` are the channels or patterns, in quotes.
    #[error("Redis refused {command} {names}: {reason}")]
    Command { command: &'static str, names: String, reason: String },

    /// Redis did not confirm a published message. Unless it answered with a refusal, it may or
    /// may not have published it.
    #[error("not confirmed: {reason}")]
    NotConfirmed { reason: String },

    /// With sharded Pub/Sub there are no patterns: Redis has no such command.
    #[error("sharded Pub/Sub has no patterns; subscribe to its channels by name")]
    NoShardPatterns,

    /// `close` was called before.
    #[error("closed")]
    Closed,
}

impl Error {
    /// The errors of several attempts. A single one is returned alone.
    pub(crate) fn none_of(mut errors: Vec<Error>) -> Error {
        if errors.len() == 1 { errors.remove(0) } else { Error::NoneOf { errors } }
    }

    /// Whether another attempt could succeed that accepts a deaf server.
    pub(crate) fn is_deaf(&self) -> bool {
        match self {
            Error::Deaf { .. } => true,
            Error::NoneOf { errors } => errors.iter().any(Error::is_deaf),
            _ => false,
        }
    }

    /// What went wrong before there was a stream of bytes.
    pub(crate) fn opening(address: &str, error: &io::Error) -> Error {
        let (address, reason) = (address.to_owned(), error.to_string());
        if is_closed(error.kind()) {
            return Error::Unreachable { address, reason: CLOSED_AT_ONCE.to_owned() };
        }
        // In the words of rustls, which is inside of this error.
        match reason.strip_prefix("invalid peer certificate: ") {
            Some(reason) => Error::Untrusted { address, reason: reason.to_owned() },
            None => Error::Unreachable { address, reason },
        }
    }

    /// What went wrong when the server should answer. `broken` is why its bytes were given up, if
    /// they were.
    pub(crate) fn connecting(address: &str, error: &RedisError, broken: Option<&str>) -> Error {
        let address = address.to_owned();
        if let Some(reason) = broken {
            return Error::NotResp3 { address, reason: reason.to_owned() };
        }
        let reason = match error.kind() {
            ErrorKind::Io if error.is_connection_dropped() => {
                return Error::Unreachable { address, reason: CLOSED_AT_ONCE.to_owned() };
            }
            ErrorKind::Io => return Error::opening(&address, &io::Error::other(error.to_string())),
            // The parser's own words take several lines, and are about bytes.
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => "its answer is none of Redis",
            _ if is_unknown_command(error) => "it does not know HELLO",
            // Each kind of server has its own sentence for it.
            _ if error.code() == Some("NOPROTO") => "it answers NOPROTO to HELLO 3",
            _ => return Error::Refused { address, reason: said(error) },
        };
        Error::NotResp3 { address, reason: reason.to_owned() }
    }
}

/// How the system calls that (end of file, broken pipe, reset by peer) depends on who was faster,
/// and would make several errors of one.
const CLOSED_AT_ONCE: &str = "it closed the connection at once";

fn is_closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn all(errors: &[Error]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// Whether the connection ends with this error: then the link knows more about it.
pub(crate) fn is_the_end(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
}

/// Redis repeats the arguments of a command that it does not know, and the arguments of HELLO
/// include the password.
pub(crate) fn is_unknown_command(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || error.detail().is_some_and(|it| it.to_ascii_lowercase().starts_with("unknown command"))
}

/// What Redis said, in its own words. It may be no Redis at all: so on one line, and without
/// anything that a terminal would obey.
pub(crate) fn said(error: &RedisError) -> String {
    let said = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        // The kind of the error means nothing to a reader.
        _ => error.to_string().trim_end_matches(" - UnexpectedReturnType").to_owned(),
    };
    said.replace(char::is_control, " ")
}
