//! The redis crate's cluster client, with a shard channel.

use anyhow::Context;
use redis::cluster::ClusterClientBuilder;
use redis::{ProtocolVersion, PushInfo, PushKind};
use rivals::{CHANNEL, Task, lost, message};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let task = Task::read()?;
    let (sender, mut pushes) = unbounded_channel();
    let client = ClusterClientBuilder::new(task.url.split(','))
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(sender)
        .build()?;
    let mut connection = client.get_async_connection().await?;
    connection.ssubscribe(CHANNEL).await?;

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
