//! The redis crate's cluster client, with a shard channel.

use std::time::Duration;

use anyhow::Context;
use redis::cluster::ClusterClientBuilder;
use redis::{ProtocolVersion, PushInfo, PushKind};
use rivals::{CHANNEL, Task, lost, message};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let task = Task::read()?;
    let (sender, mut pushes) = unbounded_channel();
    let mut builder = ClusterClientBuilder::new(task.url.split(','))
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(sender);
    if task.tuned {
        builder = builder
            .connection_timeout(Duration::from_secs(2))
            .response_timeout(Duration::from_secs(1));
    }
    let mut connection = builder.build()?.get_async_connection().await?;
    connection.ssubscribe(CHANNEL).await?;

    if task.tuned {
        // It looks at the cluster again after a command that fails, so there must be commands.
        let mut connection = connection.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                let mut publish = redis::cmd("SPUBLISH");
                publish.arg(CHANNEL).arg("heartbeat");
                if let Err(error) = publish.exec_async(&mut connection).await {
                    lost("beside", None, error.to_string());
                }
            }
        });
    }

    while let Some(PushInfo { kind, mut data }) = pushes.recv().await {
        match kind {
            PushKind::SMessage => {
                let data = data.pop().context("a message without a payload")?;
                message(&redis::from_redis_value::<String>(data)?);
            }
            PushKind::Disconnection => lost("event", None, "disconnection"),
            // Redis says so when the slot leaves the node.
            PushKind::SUnsubscribe => lost("event", None, "sunsubscribe"),
            _ => {}
        }
    }
    Ok(())
}
