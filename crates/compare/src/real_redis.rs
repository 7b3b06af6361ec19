//! The experiments need commands that not every server has.

use anyhow::{Context, anyhow, ensure};
use local_redis::{LocalRedis, Server};
use redis::aio::MultiplexedConnection;

/// The stand-in meebis has none of these, a Redis older than 6.2 not all.
const NEEDED: [&str; 5] = ["BLMOVE", "XGROUP", "XREADGROUP", "XACK", "XAUTOCLAIM"];

const HOW_TO_GET_ONE: &str = "  hint: install Redis (Debian: apt install redis-server; macOS: \
    brew install redis), or start one with \
    `docker run --rm -p 127.0.0.1:6379:6379 redis:8-alpine` and name it with --redis-url or \
    REDIS_URL";

/// Starts one for this run.
pub(crate) fn start() -> anyhow::Result<LocalRedis> {
    let server = Server::real().map_err(|missing| {
        anyhow!("{missing}, and the stand-in of `cargo redis` {}", lacks(&NEEDED))
    })?;
    LocalRedis::start_with(server, &[]).context("cannot start a Redis for this run")
}

/// Checks whether a server has the commands.
pub(crate) async fn check(mut connection: MultiplexedConnection) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for command in NEEDED {
        // Without arguments it does nothing, and its error tells whether the server knows it.
        let answer = redis::cmd(command).exec_async(&mut connection).await;
        if answer.is_err_and(|error| error.to_string().to_lowercase().contains("unknown command")) {
            missing.push(command);
        }
    }
    ensure!(missing.is_empty(), "it {}", lacks(&missing));
    Ok(())
}

fn lacks(commands: &[&str]) -> String {
    format!("lacks {}\n{HOW_TO_GET_ONE}", commands.join(", "))
}
