//! rustis's `PubSubStream`.

use std::time::Duration;

use futures_util::StreamExt;
use rivals::{CHANNEL, Task, lost, message};
use rustis::client::{Client, Config, IntoConfig, ReconnectionConfig};
use rustis::commands::PubSubCommands;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let task = Task::read()?;
    let mut config: Config = url(&task).as_str().into_config()?;
    if task.tuned {
        config.backpressure.max_pubsub_bytes = 32 * 1024 * 1024;
        config.connect_timeout = Duration::from_secs(2);
        config.keep_alive = Some(Duration::from_secs(3));
        config.reconnection = ReconnectionConfig::Exponential {
            max_attempts: 0,
            min_delay: 50,
            max_delay: 2_000,
            multiplicative_factor: 2,
            jitter: 50,
        };
    }
    let client = Client::connect(config).await?;
    let mut messages = match task.cluster {
        true => client.ssubscribe(CHANNEL).await?,
        false => client.subscribe(CHANNEL).await?,
    };

    if task.tuned {
        let mut reconnections = client.on_reconnect();
        tokio::spawn(async move {
            while reconnections.recv().await.is_ok() {
                lost("beside", None, "reconnected");
            }
        });
    }
    let mut dropped = 0;
    while let Some(received) = messages.next().await {
        match received {
            Ok(received) => message(received.payload_as()?),
            Err(error) => lost("event", None, error.to_string()),
        }
        if task.tuned && messages.dropped_messages() > dropped {
            let before = std::mem::replace(&mut dropped, messages.dropped_messages());
            lost("counter", u64::try_from(dropped - before).ok(), "dropped_messages");
        }
    }
    Ok(())
}

fn url(task: &Task) -> String {
    match task.cluster {
        true => {
            let nodes = task.nodes().collect::<Vec<_>>().join(",");
            let refresh = if task.tuned { "?topology_refresh_interval=2000" } else { "" };
            format!("redis+cluster://{nodes}{refresh}")
        }
        false => task.url.clone(),
    }
}
