//! fred's `SubscriberClient`.

use std::time::Duration;

use fred::prelude::*;
use fred::types::Message;
use rivals::{CHANNEL, Task, lost, message};
use tokio::sync::broadcast::error::RecvError;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let task = Task::read()?;
    let mut builder = Builder::from_config(Config::from_url(&url(&task))?);
    if task.tuned {
        builder
            .set_policy(ReconnectPolicy::new_exponential(0, 50, 2_000, 2))
            .with_performance_config(|config| config.broadcast_channel_capacity = 65_536)
            .with_connection_config(|config| {
                config.connection_timeout = Duration::from_secs(2);
                config.internal_command_timeout = Duration::from_secs(1);
                config.unresponsive.max_timeout = Some(Duration::from_secs(1));
                config.unresponsive.interval = Duration::from_millis(400);
            });
    }
    let client = builder.build_subscriber_client()?;
    client.init().await?;
    let mut messages = client.message_rx();
    // Subscribes again after each reconnection.
    let _resubscribing = client.manage_subscriptions();

    if task.tuned {
        let heartbeat = client.clone();
        tokio::spawn(
            async move { heartbeat.enable_heartbeat(Duration::from_secs(3), false).await },
        );
        client.on_error(|(error, _)| async move {
            lost("beside", None, error.to_string());
            Ok(())
        });
        client.on_unresponsive(|_| async move {
            lost("beside", None, "unresponsive");
            Ok(())
        });
    }
    match task.cluster {
        true => client.ssubscribe(CHANNEL).await?,
        false => client.subscribe(CHANNEL).await?,
    }

    if !task.tuned {
        // The loop of its documentation.
        while let Ok(received) = messages.recv().await {
            show(received)?;
        }
        return Ok(());
    }
    loop {
        match messages.recv().await {
            Ok(received) => show(received)?,
            Err(RecvError::Lagged(count)) => lost("event", Some(count), "lagged"),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

fn show(received: Message) -> anyhow::Result<()> {
    message(&received.value.convert::<String>()?);
    Ok(())
}

fn url(task: &Task) -> String {
    let mut nodes = task.nodes();
    match (task.cluster, nodes.next()) {
        (true, Some(first)) => {
            let others: Vec<_> = nodes.map(|node| format!("node={node}")).collect();
            format!("redis-cluster://{first}?{}", others.join("&"))
        }
        _ => task.url.clone(),
    }
}
