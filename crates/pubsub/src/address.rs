use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError};
use rustls::ClientConfig;

use crate::{Error, tls};

/// Where one Redis is and how to log in there.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) info: ConnectionInfo,
    /// For `rediss://`.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Host and port: the part of the URL that may be shown. The rest can hold a password.
    pub(crate) shown: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Address, Error> {
        let url = redis::parse_redis_url(url)
            .ok_or_else(|| refused("it does not begin with redis:// or the like"))?;
        // The redis crate ignores these in silence.
        let in_query = |names: &[&str]| url.query_pairs().any(|(key, _)| names.contains(&&*key));
        let is_socket = url.scheme().ends_with("unix");
        if !is_socket && in_query(&["user", "username", "pass", "password"]) {
            return Err(refused("user and password go before the host, not after a '?'"));
        }
        if is_socket && in_query(&["username", "password"]) {
            return Err(refused("with a Unix socket they are called ?user= and &pass="));
        }
        // The redis crate knows `#insecure`, with which it would talk to anybody who claims to be
        // Redis. For a CA of your own, name its file in SSL_CERT_FILE instead.
        if url.fragment().is_some() {
            return Err(refused("nothing may follow a '#'; in a password it is written %23"));
        }
        let info = url.into_connection_info().map_err(|error| refused(&without_detail(&error)))?;
        let login = info
            .redis_settings()
            .clone()
            // Only RESP3 delivers messages beside the answers to commands: a subscribed connection
            // can still be asked for a PING, and for other channels.
            .set_protocol(ProtocolVersion::RESP3)
            // Saves two commands at each connect, for which a user with few rights has no right.
            .set_skip_set_lib_name();
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let tls = if is_tls { Some(tls::config()?) } else { None };
        Ok(Address::new(info.set_redis_settings(login), tls))
    }

    /// Another server with the same login, with TLS or without as here. An empty host means this
    /// one.
    pub(crate) fn beside(&self, host: &str, port: u16) -> Address {
        let host_or = |this: &str| if host.is_empty() { this } else { host }.to_owned();
        let there = match self.info.addr().clone() {
            ConnectionAddr::TcpTls { host: this, insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: host_or(&this), port, insecure, tls_params }
            }
            ConnectionAddr::Tcp(this, _) => ConnectionAddr::Tcp(host_or(&this), port),
            _ => ConnectionAddr::Tcp(host_or("localhost"), port),
        };
        Address::new(self.info.clone().set_addr(there), self.tls.clone())
    }

    fn new(info: ConnectionInfo, tls: Option<Arc<ClientConfig>>) -> Address {
        let shown = match info.addr() {
            // An IPv6 address needs its brackets back to be read with a port.
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
                if host.contains(':') =>
            {
                format!("[{host}]:{port}")
            }
            other => other.to_string(),
        };
        Address { info, tls, shown }
    }
}

fn refused(reason: &str) -> Error {
    Error::Url { reason: reason.to_owned() }
}

/// The redis crate's own words ("Missing hostname - InvalidClientConfig: ..."), without what may
/// repeat a part of the URL.
fn without_detail(error: &RedisError) -> String {
    let error = error.to_string();
    error.split(" - ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_host_and_port_only() {
        for (url, shown) in [
            ("redis://localhost", "localhost:6379"),
            ("redis://user:secret@example.org:7000/3", "example.org:7000"),
            ("redis://:secret@[::1]:7000", "[::1]:7000"),
            ("rediss://:secret@[::1]:7000", "[::1]:7000"),
            ("rediss://:s%23cret@example.org", "example.org:6379"),
            ("unix:///run/redis.sock?pass=secret", "/run/redis.sock"),
        ] {
            assert_eq!(Address::parse(url).unwrap().shown, shown);
        }
    }

    #[test]
    fn a_server_beside_it_has_the_same_login() {
        for (url, host, shown) in [
            ("redis://me:secret@a:1/3", "b", "b:7000"),
            ("redis://me:secret@a:1", "", "a:7000"),
            ("rediss://me:secret@a:1", "::1", "[::1]:7000"),
            ("unix:///run/redis.sock?user=me&pass=secret", "b", "b:7000"),
        ] {
            let address = Address::parse(url).unwrap().beside(host, 7000);
            let info = &address.info;
            assert_eq!(address.shown, shown);
            assert_eq!(info.redis_settings().username(), Some("me"));
            assert_eq!(info.redis_settings().password(), Some("secret"));
            let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
            assert_eq!(is_tls, url.starts_with("rediss"));
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
            "redis://localhost?protocol=secret",
            "redis://localhost?password=secret",
            "redis://localhost/0?user=me&pass=secret",
            "unix:///run/redis.sock?password=secret",
            "redis://user:12#secret@localhost",
            "rediss://:secret@localhost/#insecure",
        ] {
            let error = Address::parse(url).map(|a| a.shown).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_url_makes_it_panic(url in any::<String>(), rest in "[ -~]{0,40}") {
            let _ = Address::parse(&url);
            let _ = Address::parse(&format!("redis://{rest}"));
            let _ = Address::parse(&format!("unix://{rest}"));
        }

        /// Plain or percent-encoded, where it belongs or where it does not.
        #[test]
        fn no_url_shows_its_password(
            scheme in "(redis|rediss|valkey|http|unix|redis\\+unix)",
            user in "[a-z%]{0,5}",
            encoded in any::<bool>(),
            around in "[!-~&&[^/?#@:\\[\\]]]{0,4}",
            rest in "(:[0-9a-z]{1,6})?(/[ -~&&[^s]]{0,5})?",
            key in "(password|pass|user|username|protocol|db)",
        ) {
            let secret = if encoded { "%733cret" } else { "s3cret" };
            for url in [
                format!("{scheme}://{user}:{secret}{around}@host{rest}"),
                format!("{scheme}://{user}:{around}{secret}@host{rest}"),
                format!("{scheme}://host{rest}?{key}={secret}{around}"),
                format!("{scheme}://host{rest}?{around}&{key}={around}{secret}"),
                format!("{scheme}://host{rest}#{secret}"),
            ] {
                let shown = match Address::parse(&url) {
                    Ok(address) => address.shown,
                    Err(error) => format!("{error} {error:?}"),
                };
                prop_assert!(!shown.contains("3cret"), "{url} is shown as {shown}");
            }
        }
    }
}
