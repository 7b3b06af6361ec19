//! Our services beside redis-cli, which only a real Redis brings along.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, ExitCode};

use acceptance::*;
use libtest_mimic::{Arguments, Failed, Trial};
use local_redis::{LocalRedis, Server};

fn main() -> ExitCode {
    let has_redis_cli = Command::new("redis-cli").arg("--version").output().is_ok();
    let missing = match Server::real() {
        Some(_) if has_redis_cli => "",
        _ => " (needs redis-server and redis-cli)",
    };
    if !missing.is_empty() && std::env::var_os("REQUIRE_REAL_REDIS").is_some_and(|it| it == "1") {
        eprintln!("REQUIRE_REAL_REDIS=1 is set, and there is no redis-server or no redis-cli");
        return ExitCode::FAILURE;
    }
    let trial = |name: &str, test: fn() -> Result<(), Failed>| {
        Trial::test(format!("{name}{missing}"), test).with_ignored_flag(!missing.is_empty())
    };
    let trials = vec![
        trial("redis_cli_publishes_to_our_subscribers", redis_cli_publishes),
        trial("redis_cli_subscribes_to_our_publisher", redis_cli_subscribes),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn redis_cli(redis: &LocalRedis, arguments: &[&str]) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &redis.port().to_string()]).args(arguments);
    command
}

fn redis_cli_publishes() -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let (subscriber, patterns) = (subscriber(&redis), pattern_subscriber(&redis));
    for (channel, message) in [("notifications", "Hello"), ("news:a", "Rain")] {
        let output = redis_cli(&redis, &["PUBLISH", channel, message]).output()?;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
    }
    subscriber.shows("Received on channel 'notifications': Hello");
    patterns.shows("Pattern 'news:*' matched channel 'news:a': Rain");
    Ok(())
}

fn redis_cli_subscribes() -> Result<(), Failed> {
    let redis = LocalRedis::start()?;
    let cli = Terminal::start_command(&mut redis_cli(&redis, &["PSUBSCRIBE", "n*"]));
    for line in ["psubscribe", "n*", "1"] {
        cli.shows(line);
    }
    let publisher = Terminal::run(&redis, "publisher --count 1 --message Hello").end().with(0);
    assert_eq!(publisher.stdout[1], "Published: Hello (1 receiver)");
    for line in ["pmessage", "n*", "notifications", "Hello"] {
        cli.shows(line);
    }
    Ok(())
}
