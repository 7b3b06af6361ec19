//! Our services beside redis-cli, which is installed with a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, ExitCode};

use acceptance::*;
use libtest_mimic::{Arguments, Failed};
use local_redis::LocalRedis;

fn main() -> ExitCode {
    let need = Need::redis_cli();
    let trials = vec![
        need.trial("redis_cli_publishes_to_our_subscribers", redis_cli_publishes),
        need.trial("redis_cli_subscribes_to_our_publisher", redis_cli_subscribes),
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
