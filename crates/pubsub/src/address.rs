use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion};

use crate::Error;

/// Where Redis is and how to log in there.
pub(crate) struct Address {
    pub(crate) client: Client,
    /// Host and port: the part of the URL that may be shown. The rest can hold a password.
    pub(crate) shown: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Address, Error> {
        let refused = |error: redis::RedisError| Error::Url { reason: error.to_string() };
        let info = url.into_connection_info().map_err(refused)?;
        let login = info
            .redis_settings()
            .clone()
            // Only RESP3 delivers messages beside the answers to commands: a connection that is
            // subscribed can still be asked for a PING.
            .set_protocol(ProtocolVersion::RESP3)
            // Saves two commands at each connect, which a user with few rights is not allowed.
            .set_skip_set_lib_name();
        let shown = match info.addr() {
            // An IPv6 address needs its brackets back to be read with a port.
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            other => other.to_string(),
        };
        let client = Client::open(info.set_redis_settings(login)).map_err(refused)?;
        Ok(Address { client, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_host_and_port_only() {
        for (url, shown) in [
            ("redis://localhost", "localhost:6379"),
            ("redis://user:secret@example.org:7000/3", "example.org:7000"),
            ("redis://:secret@[::1]:7000", "[::1]:7000"),
            ("unix:///run/redis.sock?pass=secret", "/run/redis.sock"),
        ] {
            assert_eq!(Address::parse(url).unwrap().shown, shown);
        }
    }

    #[test]
    fn never_repeats_what_it_cannot_read() {
        for url in [
            "",
            "secret",
            "http://user:secret@localhost",
            "redis://user:secret@localhost:secret",
            "redis://user:secret@localhost/secret",
        ] {
            let error = Address::parse(url).map(|a| a.shown).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
