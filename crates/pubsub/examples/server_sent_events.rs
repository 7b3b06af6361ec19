//! Passes messages on to browsers as server-sent events: one subscription, any number of browsers.
//!
//! ```console
//! $ cargo run -p redis-pubsub-client --example server_sent_events
//! Listening on http://127.0.0.1:3000
//! ```
//!
//! Open that page, or look at the stream itself: `curl -N http://127.0.0.1:3000/events`.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use clap::Parser;
use futures_util::{StreamExt, stream};
use pubsub::PubSub;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender, WeakSender, error::RecvError};

const PAGE: &str = r#"<!doctype html>
<title>Notifications</title>
<ul id="list"></ul>
<script>
  const show = text => list.append(Object.assign(document.createElement("li"), { textContent: text }));
  const source = new EventSource("/events");
  // Also after the browser has lost the connection: it missed what came in between.
  source.onopen = () => show("(connected)");
  source.onmessage = event => show(event.data);
  for (const gap of ["missed", "disconnected", "reconnected", "refused"])
    source.addEventListener(gap, event => show(`(${gap}: ${event.data})`));
</script>
"#;

/// Events that may wait for a browser before it misses the oldest ones.
const BACKLOG: usize = 1024;

/// Passes messages on to browsers
#[derive(Parser)]
struct Args {
    /// The channel to subscribe to
    #[arg(default_value = "notifications")]
    channel: String,

    /// Where to listen for browsers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: String,

    /// Where Redis is
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    #[arg(default_value = "redis://localhost:6379")]
    redis_url: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let pubsub = PubSub::connect(args.redis_url).await?;
    pubsub.subscribe([args.channel]).await?;
    pubsub.close_when(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal, only the end of the process closes it.
            std::future::pending().await
        }
    });

    let (browsers, _) = broadcast::channel(BACKLOG);
    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .route("/events", get(events))
        .with_state(browsers.downgrade());
    let listener = TcpListener::bind(&args.listen).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    // When the subscription ends, so do the streams of all browsers, and then the server.
    axum::serve(listener, app).with_graceful_shutdown(pass_on(pubsub, browsers)).await?;
    Ok(())
}

/// Sends every browser what the subscription brings, until it is closed.
async fn pass_on(pubsub: PubSub, browsers: Sender<Event>) {
    let mut events = pubsub.listen();
    while let Some(event) = events.next().await {
        let event = match event {
            // `to_string` escapes line breaks, which would end the event.
            pubsub::Event::Message { payload, .. } => Event::default().data(payload.to_string()),
            pubsub::Event::Missed { count } => missed(count),
            pubsub::Event::Disconnected { reason } => named("disconnected", &reason),
            pubsub::Event::Reconnected { gap, .. } => named("reconnected", &format!("{gap:.1?}")),
            pubsub::Event::Refused { reason, .. } => named("refused", &reason),
            _ => continue,
        };
        // An error means that there is no browser now.
        let _ = browsers.send(event);
    }
}

/// The stream of one browser. A slow one misses events without slowing down the others.
async fn events(State(browsers): State<WeakSender<Event>>) -> impl IntoResponse {
    let Some(browsers) = browsers.upgrade() else {
        return Err(StatusCode::SERVICE_UNAVAILABLE); // shutting down
    };
    let events = stream::unfold(browsers.subscribe(), async |mut events| {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(count)) => missed(count),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, Infallible>(event), events))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn missed(count: u64) -> Event {
    named("missed", &count.to_string())
}

fn named(name: &str, data: &str) -> Event {
    Event::default().event(name).data(data)
}
