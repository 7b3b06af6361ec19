use pubsub::Error;

const TLS: &str = "is it a Redis behind TLS? Its URL begins with rediss://";

/// What to do about an error, where there is something that can be done.
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    hint_for(error.downcast_ref()?)
}

fn hint_for(error: &Error) -> Option<&'static str> {
    match error {
        // One hint is enough to go on with.
        Error::NoneOf { errors } => errors.iter().find_map(hint_for),
        Error::Untrusted { .. } | Error::NoTrust { .. } => {
            Some("for a CA of your own, put the path of its certificate (PEM) into SSL_CERT_FILE")
        }
        Error::NotResp3 { .. } => Some(TLS),
        Error::Unreachable { reason, .. } if reason.contains("closed") => Some(TLS),
        Error::Unreachable { .. } => Some(
            "start one with `cargo redis` or \
             `docker run --rm -p 127.0.0.1:6379:6379 redis:8-alpine`, \
             or name another with --redis-url or REDIS_URL",
        ),
        Error::Refused { reason, .. } if reason.starts_with("NOAUTH") => Some(
            "it wants a password: put it into REDIS_URL, redis://user:password@host:port, \
             or its file into REDIS_PASSWORD_FILE",
        ),
        Error::Refused { reason, .. } if reason.starts_with("WRONGPASS") => {
            Some("check user name and password in REDIS_URL, --redis-url or REDIS_PASSWORD_FILE")
        }
        _ => None,
    }
}
