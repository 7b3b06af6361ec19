//! The redis crate's `ConnectionManager`, which resubscribes after it has reconnected.

use std::time::Duration;

use anyhow::Context;
use redis::aio::ConnectionManagerConfig;
use redis::{AsyncTypedCommands, PushInfo, PushKind};
use rivals::{CHANNEL, Task, lost, message};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let task = Task::read()?;
    let client = redis::Client::open(format!("{}?protocol=3", task.url))?;
    let (sender, mut pushes) = unbounded_channel();
    let mut config =
        ConnectionManagerConfig::new().set_push_sender(sender).set_automatic_resubscription();
    if task.tuned {
        config = config
            .set_number_of_retries(usize::MAX)
            .set_max_delay(Duration::from_secs(2))
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(1)));
    }
    let mut manager = client.get_connection_manager_with_config(config).await?;
    manager.subscribe(CHANNEL).await?;

    if task.tuned {
        // It finds a dead connection by a command that fails, so there must be commands.
        let mut manager = manager.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if let Err(error) = manager.ping().await {
                    lost("beside", None, error.to_string());
                }
            }
        });
    }

    while let Some(PushInfo { kind, mut data }) = pushes.recv().await {
        match kind {
            PushKind::Message => {
                let data = data.pop().context("a message without a payload")?;
                message(&redis::from_redis_value::<String>(data)?);
            }
            PushKind::Disconnection => lost("event", None, "disconnection"),
            _ => {}
        }
    }
    Ok(())
}
