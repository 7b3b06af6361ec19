use std::path::PathBuf;

use anyhow::{Context, ensure};
use pubsub::Error;
use url::Url;

/// The arguments of every service: which Redis.
#[derive(clap::Args)]
pub struct RedisArgs {
    /// Where Redis is: redis://[user:password@]host[:port][/db]; several (repeat it, or put commas
    /// between them) are tried in turn
    // Strings for clap, parsed later by our own code: clap would repeat a refused value in its
    // error, and it may hold a password.
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    #[arg(default_value = "redis://localhost:6379/0")]
    redis_url: Vec<String>,

    /// A file that contains the password, if the URL has none
    #[arg(long, value_name = "PATH", env = "REDIS_PASSWORD_FILE", hide_env_values = true)]
    redis_password_file: Option<PathBuf>,
}

impl RedisArgs {
    /// The URL to connect to, or several with commas between them. Each includes the password from
    /// the file, if there is one.
    ///
    /// A password in a file appears in no environment variable and in no list of processes.
    ///
    /// # Errors
    ///
    /// When the file can't be read or holds no password, and when the URL has one already.
    pub fn url(&self) -> anyhow::Result<String> {
        let urls = self.redis_url.join(",");
        let Some(file) = &self.redis_password_file else { return Ok(urls) };
        let cannot = || format!("cannot take the password from {}", file.display());
        let content = std::fs::read_to_string(file).with_context(cannot)?;
        let password = password(&content).with_context(cannot)?;
        let urls: Result<Vec<_>, _> =
            urls.split(',').map(|url| with_password(url.trim(), password)).collect();
        Ok(urls?.join(","))
    }
}

/// The arguments of services that can use sharded Pub/Sub.
#[derive(clap::Args)]
pub struct ShardedArgs {
    /// Use sharded Pub/Sub (Redis 7+); pattern-subscriber does not receive these messages
    #[arg(long)]
    pub sharded: bool,
}

/// Returns the password from the content of a password file.
fn password(content: &str) -> anyhow::Result<&str> {
    // Editors and `echo` end a file with a line break.
    let line = content.strip_suffix("\r\n").or(content.strip_suffix('\n'));
    let password = line.unwrap_or(content);
    ensure!(!password.is_empty(), "it is empty");
    Ok(password)
}

fn with_password(redis_url: &str, password: &str) -> anyhow::Result<String> {
    let refused = |reason: String| Error::Url { reason };
    let mut url = Url::parse(redis_url).map_err(|error| refused(error.to_string()))?;
    ensure!(
        url.password().is_none(),
        "a password in the URL and another in a file: use one of them"
    );
    // `set_password` encodes what has a meaning in a URL, but assumes that `%` is encoded already,
    // and does not know that a comma has a meaning here.
    url.set_password(Some(&password.replace('%', "%25").replace(',', "%2C")))
        .map_err(|()| refused("a password from a file needs a host to go with".to_owned()))?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    #[test]
    fn a_password_is_the_file_without_its_last_line_break() {
        for (content, expected) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            (" two\nlines \n\n", " two\nlines \n"),
        ] {
            assert_eq!(password(content).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_without_a_password_is_refused() {
        for content in ["", "\n"] {
            assert_eq!(password(content).unwrap_err().to_string(), "it is empty");
        }
    }

    #[test]
    fn a_password_goes_beside_the_user_name() {
        for (url, expected) in [
            ("redis://localhost", "redis://:secret@localhost"),
            ("redis://user@localhost:7000/3", "redis://user:secret@localhost:7000/3"),
            ("redis://user@[::1]?protocol=resp3", "redis://user:secret@[::1]?protocol=resp3"),
        ] {
            assert_eq!(with_password(url, "secret").unwrap(), expected);
        }
    }

    #[test]
    fn whatever_is_in_it_a_password_stays_what_it_is() {
        let odd = " a/b+c=,:@?#[]%41%\\\"'<>\t\n\u{e4}\u{1f511} ";
        let url = with_password("redis://user@localhost/3", odd).unwrap();
        assert!(!url.contains(','), "{url}");
        // Read as the redis crate reads it.
        let url = url.into_connection_info().unwrap();
        assert_eq!(url.redis_settings().password(), Some(odd));
        assert_eq!(url.redis_settings().username(), Some("user"));
        assert_eq!(url.redis_settings().db(), 3);
    }

    #[test]
    fn several_urls_are_joined_and_each_gets_the_password() {
        let redis_url = vec!["redis://a".into(), "redis://me@b:2, redis://c".into()];
        let mut args = RedisArgs { redis_url, redis_password_file: None };
        assert_eq!(args.url().unwrap(), "redis://a,redis://me@b:2, redis://c");
        let file = std::env::temp_dir().join(format!("password-{}", std::process::id()));
        std::fs::write(&file, "s,t\n").unwrap();
        args.redis_password_file = Some(file.clone());
        let urls = args.url();
        std::fs::write(&file, b"s3cret\xff").unwrap();
        let error = format!("{:#}", args.url().unwrap_err());
        std::fs::remove_file(file).unwrap();
        assert_eq!(urls.unwrap(), "redis://:s%2Ct@a,redis://me:s%2Ct@b:2,redis://:s%2Ct@c");
        assert!(error.contains("UTF-8") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn what_cannot_take_a_password_is_refused_without_showing_it() {
        for (url, says) in [
            ("redis://user:s3cret@localhost", "a password in the URL and another in a file"),
            ("redis//:s3cret@localhost", "not a Redis URL"),
            ("redis://:s3cret@localhost:x", "not a Redis URL"),
            ("unix:///run/redis.sock", "a password from a file needs a host"),
            ("s3cret", "not a Redis URL"),
        ] {
            let error = with_password(url, "s3cret").unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("s3cret"), "{url}: {error}");
        }
    }
}
