use pubsub::Error;

const TLS: &str = "is it a Redis behind TLS? Its URL begins with rediss://";

/// What to do about an error, if something can be done.
pub fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        // One hint is enough to continue with.
        Error::NoneOf { errors } => return errors.iter().find_map(hint),
        Error::Untrusted { .. } | Error::NoTrust { .. } => {
            "for a CA of your own, put the path of its certificate (PEM) into SSL_CERT_FILE"
        }
        Error::NotResp3 { reason, .. } if reason.contains("HELLO") => {
            "use Redis 6 or later; a proxy in between must pass on HELLO 3"
        }
        // A TLS alert begins with a byte that Redis never sends. Other protocol errors do not look
        // like TLS, and get no hint.
        Error::NotResp3 { reason, .. } if reason == "it does not answer as Redis does" => TLS,
        Error::Unreachable { reason, .. } if reason.contains("closed") => TLS,
        Error::Unreachable { address, .. } => return Some(nobody_at(address)),
        Error::Refused { reason, .. } if reason.starts_with("NOAUTH") => {
            "it wants a password: put it into REDIS_URL, redis://user:password@host:port, \
             or its file into REDIS_PASSWORD_FILE"
        }
        Error::Refused { reason, .. } if reason.starts_with("WRONGPASS") => {
            "check user name and password in REDIS_URL, --redis-url or REDIS_PASSWORD_FILE"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// Names commands that start a Redis, if it was looked for where they start one.
fn nobody_at(address: &str) -> String {
    let Some(("localhost" | "127.0.0.1", port)) = address.split_once(':') else {
        return "check the address in --redis-url or REDIS_URL".to_owned();
    };
    let cargo_redis = match port {
        "6379" => "cargo redis".to_owned(),
        port => format!("cargo redis --port {port}"),
    };
    format!(
        "start one with `{cargo_redis}` or \
         `docker run --rm -p 127.0.0.1:{port}:6379 redis:8-alpine`, \
         or name another with --redis-url or REDIS_URL"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_at(address: &str) -> String {
        let error = Error::Unreachable { address: address.into(), reason: "refused".into() };
        hint(&error).unwrap()
    }

    #[test]
    fn a_redis_is_to_be_started_where_it_was_looked_for() {
        for (port, command) in [(6379, "`cargo redis`"), (6380, "`cargo redis --port 6380`")] {
            for host in ["localhost", "127.0.0.1"] {
                let hint = hint_at(&format!("{host}:{port}"));
                assert!(hint.contains(command), "{hint}");
                assert!(hint.contains(&format!("-p 127.0.0.1:{port}:6379 ")), "{hint}");
            }
        }
    }

    #[test]
    fn elsewhere_only_the_address_can_be_checked() {
        for address in ["redis:6379", "example.org:6380", "[::1]:6379", "/run/redis.sock"] {
            assert_eq!(hint_at(address), "check the address in --redis-url or REDIS_URL");
        }
    }
}
