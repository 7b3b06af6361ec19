//! Servers that will not do, and what an error may show.

use acceptance::{connection, redis_with};

use crate::{compare, everything, succeeds, text};

pub(crate) fn a_server_without_the_commands() {
    let redis =
        redis_with(&["--rename-command", "BLMOVE", "", "--rename-command", "XAUTOCLAIM", ""]);
    let mut connection = connection(&redis);
    let output = compare(&["--redis-url", &redis.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let at = format!("error: Redis at 127.0.0.1:{}: ", redis.port());
    let says = stderr.strip_prefix(&at).expect(stderr);
    assert!(says.starts_with("it lacks BLMOVE, XAUTOCLAIM\n  hint: install Redis"), "{says}");
    assert_eq!((output.stdout.len(), everything(&mut connection).len()), (0, 0));
}

pub(crate) fn without_any_server() {
    let clients = compare(&["clients", "--short"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(clients.status.code(), Some(1), "{clients:?}");
    let output = compare(&[]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("error: there is no redis-server"), "{stderr}");
    assert!(stderr.contains(" lacks BLMOVE, XGROUP, XREADGROUP, XACK, XAUTOCLAIM\n"), "{stderr}");
    assert!(stderr.contains("  hint: install Redis (Debian: apt install"), "{stderr}");
}

pub(crate) fn never_shows_a_password() {
    for (url, code, says) in [
        ("redis://user:secret@127.0.0.1:1", 1, "error: no Redis at 127.0.0.1:1: "),
        ("http://user:secret@localhost", 1, "error: not a Redis URL"),
    ] {
        let output = compare(&[]).env("REDIS_URL", url).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.starts_with(says) && !stderr.contains("secret"), "{stderr}");
    }
    let help = succeeds(compare(&["--help"]).env("REDIS_URL", "redis://user:secret@localhost"));
    assert!(text(&help.stdout).contains("REDIS_URL") && !text(&help.stdout).contains("secret"));
}
