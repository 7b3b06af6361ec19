//! fred 10.1.0: after a refused SUBSCRIBE at a reconnect, `manage_subscriptions` does not try again.
//! The log (from `warn` on) names the closed connection only.
//!
//! Needs a Redis that may be changed: it makes the user `reader`.
//!
//! ```console
//! $ cargo redis
//! $ cargo run --manifest-path crates/rivals/Cargo.toml --example fred_revoked
//! subscribers at the start: 1
//! subscribers 10 s after the right was given back: 0
//! ```

use std::time::Duration;

use fred::prelude::*;
use redis::cmd;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let redis = format!("127.0.0.1:{}", std::env::var("REDIS_PORT").unwrap_or("6379".into()));
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let admin = redis::Client::open(format!("redis://{redis}"))?;
    let mut admin = admin.get_multiplexed_async_connection().await?;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let rights = words("SETUSER reader on nopass +@all resetchannels &notifications");
    cmd("ACL").arg(rights).exec_async(&mut admin).await?;

    let mut builder =
        Builder::from_config(Config::from_url(&format!("redis://reader:any@{redis}"))?);
    builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 2_000, 2));
    let client = builder.build_subscriber_client()?;
    client.init().await?;
    let _resubscribing = client.manage_subscriptions();
    client.subscribe("notifications").await?;

    let mut numsub = cmd("PUBSUB");
    numsub.arg("NUMSUB").arg("notifications");
    let (_, count): (String, u64) = numsub.query_async(&mut admin).await?;
    println!("subscribers at the start: {count}");

    // Redis closes the connection. fred connects again, and SUBSCRIBE is refused.
    cmd("ACL").arg(words("SETUSER reader resetchannels")).exec_async(&mut admin).await?;
    sleep(Duration::from_secs(2)).await;
    cmd("ACL").arg(words("SETUSER reader &notifications")).exec_async(&mut admin).await?;
    sleep(Duration::from_secs(10)).await;
    let (_, count): (String, u64) = numsub.query_async(&mut admin).await?;
    println!("subscribers 10 s after the right was given back: {count}");
    Ok(())
}
