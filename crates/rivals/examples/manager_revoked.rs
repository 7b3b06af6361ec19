//! redis 1.8.1: `ConnectionManager` ignores an error of its automatic resubscription. It stays
//! connected, without its subscription, and neither a push nor a log says so.
//!
//! Needs a Redis that may be changed: it makes the user `reader`.
//!
//! ```console
//! $ cargo redis
//! $ cargo run --manifest-path crates/rivals/Cargo.toml --example manager_revoked
//! subscribers at the start: 1
//! subscribers 10 s after the right was given back: 0
//! pushes since then: []
//! ```

use std::time::Duration;

use redis::aio::ConnectionManagerConfig;
use redis::cmd;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let redis = format!("127.0.0.1:{}", std::env::var("REDIS_PORT").unwrap_or("6379".into()));
    let admin = redis::Client::open(format!("redis://{redis}"))?;
    let mut admin = admin.get_multiplexed_async_connection().await?;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let rights = words("SETUSER reader on nopass +@all resetchannels &notifications");
    cmd("ACL").arg(rights).exec_async(&mut admin).await?;

    let (sender, mut pushes) = tokio::sync::mpsc::unbounded_channel();
    let config =
        ConnectionManagerConfig::new().set_push_sender(sender).set_automatic_resubscription();
    let client = redis::Client::open(format!("redis://reader:any@{redis}/?protocol=3"))?;
    let mut manager = client.get_connection_manager_with_config(config).await?;
    manager.subscribe("notifications").await?;

    let mut numsub = cmd("PUBSUB");
    numsub.arg("NUMSUB").arg("notifications");
    let (_, count): (String, u64) = numsub.query_async(&mut admin).await?;
    println!("subscribers at the start: {count}");

    // Redis closes the connection. The manager connects again, and SUBSCRIBE is refused.
    cmd("ACL").arg(words("SETUSER reader resetchannels")).exec_async(&mut admin).await?;
    sleep(Duration::from_secs(2)).await;
    while pushes.try_recv().is_ok() {}
    cmd("ACL").arg(words("SETUSER reader &notifications")).exec_async(&mut admin).await?;
    sleep(Duration::from_secs(10)).await;
    let (_, count): (String, u64) = numsub.query_async(&mut admin).await?;
    println!("subscribers 10 s after the right was given back: {count}");
    let since: Vec<_> = std::iter::from_fn(|| pushes.try_recv().ok()).collect();
    println!("pushes since then: {since:?}");
    Ok(())
}
