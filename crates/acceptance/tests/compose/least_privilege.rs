//! docker-compose.acl.yml: the user of each service has only the rights that the service needs.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::OnceLock;

use redis::{Connection, ErrorKind, RedisError, Value};

use crate::stack::{PLAIN, SERVICES, Stack, WITH_ACL, done, root};
use acceptance::Test;

pub(crate) const TESTS: &[Test] = &[
    ("both_subscribers_receive_with_acl", both_subscribers_receive),
    ("the_passwords_stay_in_their_files", the_passwords_stay_in_their_files),
    ("every_other_command_is_refused", every_other_command_is_refused),
    ("every_other_channel_is_refused", every_other_channel_is_refused),
    ("redis_refuses_a_login_without_the_password", redis_refuses_a_login_without_the_password),
    ("wrong_credentials_end_a_service", wrong_credentials_end_a_service),
];

/// The users, and the commands that each may send.
const USERS: [(&str, &[&str]); 4] = [
    ("publisher", &["ping", "publish"]),
    ("subscriber", &["ping", "subscribe", "unsubscribe"]),
    ("pattern-subscriber", &["ping", "psubscribe", "punsubscribe"]),
    ("healthcheck", &["ping"]),
];

/// The stack with a password for each user.
pub(crate) fn up() -> Stack {
    make_passwords();
    Stack::up(WITH_ACL)
}

/// Makes the passwords, as a reader does before the first `up`. Only once, because tests run at the
/// same time.
pub(crate) fn make_passwords() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let make = || done(&mut Command::new(root().join("acl/make-passwords.sh")));
        make();
        let passwords = USERS.map(|(user, _)| password(user));
        make();
        assert_eq!(USERS.map(|(user, _)| password(user)), passwords, "a second run changed them");
    });
}

fn password(user: &str) -> String {
    let password = std::fs::read_to_string(root().join("acl/passwords").join(user)).unwrap();
    password.trim_end().to_owned()
}

fn connect(stack: &Stack, user: &str, password: &str) -> Result<Connection, RedisError> {
    let address = redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), stack.port());
    let login = redis::RedisConnectionInfo::default().set_username(user).set_password(password);
    let info = redis::IntoConnectionInfo::into_connection_info(address)?;
    redis::Client::open(info.set_redis_settings(login))?.get_connection()
}

fn both_subscribers_receive() {
    let stack = up();
    let subscriber = stack.output("subscriber");
    subscriber.shows_later("Subscribed successfully to 'notifications'.");
    let received = subscriber.line();
    assert!(received.starts_with("Received on channel 'notifications': "), "{received}");
    let pattern_subscriber = stack.output("pattern-subscriber");
    pattern_subscriber.shows_later("Subscribed to pattern 'news:*'");
    let received = pattern_subscriber.line();
    assert!(received.starts_with("Pattern 'news:*' matched channel 'news:"), "{received}");
}

fn the_passwords_stay_in_their_files() {
    let stack = up();
    let folder = std::fs::metadata(root().join("acl/passwords")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);

    let passwords = USERS.map(|(user, _)| password(user));
    assert_eq!(BTreeSet::from(passwords.clone()).len(), USERS.len());
    assert!(passwords.iter().all(|password| password.len() >= 40), "short passwords");
    for service in ["redis"].iter().chain(&SERVICES) {
        // `docker inspect` shows environment, command, health check and its last output.
        let inspected = stack.inspect(service).to_string();
        assert!(!passwords.iter().any(|password| inspected.contains(password)), "{service}");
        // Each service mounts its own files only.
        let mounts = stack.inspect(service)["Mounts"].clone();
        let mut files: Vec<_> =
            mounts.as_array().unwrap().iter().map(|m| &m["Destination"]).collect();
        files.sort_by_key(|file| file.to_string());
        match *service {
            "redis" => assert_eq!(files, ["/run/secrets/healthcheck", "/run/secrets/users.acl"]),
            "news-publisher" => assert_eq!(files, ["/run/secrets/publisher"]),
            service => assert_eq!(files, [&format!("/run/secrets/{service}")]),
        }
    }
}

fn every_other_command_is_refused() {
    let stack = up();
    let commands = commands_of_redis();
    assert!(commands.len() > 300, "only {}", commands.len());
    for (user, may) in USERS {
        let mut redis = connect(&stack, user, &password(user)).unwrap();
        let mut allowed = BTreeSet::new();
        for (name, arguments) in &commands {
            let mut words = name.split('|');
            let mut command = redis::cmd(words.next().unwrap());
            command.arg(words.collect::<Vec<_>>()).arg(vec!["1"; *arguments]);
            let error = command.exec(&mut redis).err();
            let (code, detail) = match &error {
                Some(error) => (error.code(), error.detail().unwrap_or_default()),
                None => (None, ""),
            };
            let refused = match code {
                // A sentence about a channel would mean that the command itself is allowed.
                Some("NOPERM" | "EXECABORT") => detail.contains("permissions to run the"),
                // Redis refuses DEBUG and MODULE LOAD to every user, before it checks rights.
                Some("ERR") => detail.contains("command not allowed. If the enable-"),
                _ => false,
            };
            if !refused {
                allowed.insert(name.as_str());
            }
        }
        assert_eq!(allowed, BTreeSet::from_iter(may.iter().copied()), "{user}");
    }
}

/// All commands of this Redis, a subcommand as `config|get`, each with the number of arguments that
/// it needs: Redis checks the number before it checks rights.
fn commands_of_redis() -> Vec<(String, usize)> {
    // From another stack, because no user of the overlay may send COMMAND.
    let stack = Stack::up_with(PLAIN, &["redis"]);
    let url = format!("redis://127.0.0.1:{}", stack.port());
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let commands: Vec<Vec<Value>> = redis::cmd("COMMAND").query(&mut redis).unwrap();
    commands.into_iter().flat_map(leaves).collect()
}

fn leaves(command: Vec<Value>) -> Vec<(String, usize)> {
    // Fields: name, arity, flags, ..., and as the tenth the subcommands, in the same form.
    let subcommands: Vec<Vec<Value>> = redis::from_redis_value(command[9].clone()).unwrap();
    if !subcommands.is_empty() {
        return subcommands.into_iter().flat_map(leaves).collect();
    }
    let name: String = redis::from_redis_value(command[0].clone()).unwrap();
    let arity: i64 = redis::from_redis_value(command[1].clone()).unwrap();
    let flags: Vec<String> = redis::from_redis_value(command[2].clone()).unwrap();
    // AUTH, HELLO, RESET and QUIT are allowed before a login, so to every user.
    if flags.iter().any(|flag| flag == "no_auth") {
        return Vec::new();
    }
    let words = name.split('|').count();
    let arguments = usize::try_from(arity.abs()).unwrap() - words;
    vec![(name, arguments)]
}

fn every_other_channel_is_refused() {
    let stack = up();
    for (user, command, channel, allowed) in [
        ("publisher", "PUBLISH", "notifications", true),
        ("publisher", "PUBLISH", "news:weather", true),
        ("publisher", "PUBLISH", "notifications2", false),
        ("publisher", "PUBLISH", "news", false),
        ("publisher", "PUBLISH", "other", false),
        ("subscriber", "SUBSCRIBE", "notifications", true),
        ("subscriber", "SUBSCRIBE", "news:weather", false),
        ("subscriber", "SUBSCRIBE", "notification*", false),
        // A pattern must be exactly the allowed one, even if another matches less.
        ("pattern-subscriber", "PSUBSCRIBE", "news:*", true),
        ("pattern-subscriber", "PSUBSCRIBE", "news:sports", false),
        ("pattern-subscriber", "PSUBSCRIBE", "news:s*", false),
        ("pattern-subscriber", "PSUBSCRIBE", "*", false),
    ] {
        let mut redis = connect(&stack, user, &password(user)).unwrap();
        let payload = (command == "PUBLISH").then_some("from the test");
        let refused = redis::cmd(command).arg(channel).arg(payload).exec(&mut redis).err();
        let code = refused.as_ref().and_then(RedisError::code);
        assert_eq!(code, (!allowed).then_some("NOPERM"), "{user}: {command} {channel}");
    }
}

fn redis_refuses_a_login_without_the_password() {
    let stack = up();
    let url = format!("redis://127.0.0.1:{}", stack.port());
    let mut nobody = redis::Client::open(url).unwrap().get_connection().unwrap();
    let error = redis::cmd("PING").exec(&mut nobody).unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"), "{error}");
    for (user, password) in [
        ("default", String::new()),
        ("default", password("publisher")),
        ("publisher", password("subscriber")),
        ("publisher", "secret".to_owned()),
    ] {
        let Err(error) = connect(&stack, user, &password) else { panic!("{user} is logged in") };
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error}");
    }
}

fn wrong_credentials_end_a_service() {
    let stack = up();
    let as_subscriber = "REDIS_URL=redis://subscriber@redis:6379";
    let no_file = "REDIS_PASSWORD_FILE=/run/secrets/nothing";
    let empty_file = "REDIS_PASSWORD_FILE=/dev/null";
    let two = "REDIS_URL=redis://publisher:s3cret@redis:6379";
    for (env, error) in [
        (as_subscriber, "Redis at redis:6379 refused the connection: WRONGPASS "),
        (no_file, "cannot take the password from /run/secrets/nothing: No such file or directory"),
        (empty_file, "cannot take the password from /dev/null: it is empty"),
        (two, "a password in the URL and another in a file: use one of them"),
    ] {
        // By `run`, because `up` would restart it again and again.
        let ended = stack.run(&["--env", env, "publisher"]).end().with(1);
        let says = format!("error: {error}");
        assert!(ended.stderr.iter().any(|line| line.starts_with(&says)), "{ended:#?}");
        assert_eq!(ended.stdout, [""; 0]);
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:#?}");
    }
}
