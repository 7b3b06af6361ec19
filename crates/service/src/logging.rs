use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Sends the logs to stderr: stdout is for what the service is for. `RUST_LOG` says how much.
///
/// They are written by a thread of their own, since a stderr that nobody reads must not stop the
/// service. The guard waits for that thread when it is dropped.
pub(crate) fn start() -> (NonBlocking, WorkerGuard) {
    // Room for the lines of a bad minute; its default, for 128,000, costs 4 MiB from the start.
    let (stderr, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(1024).finish(std::io::stderr());
    let filter =
        EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(wants_colour && std::io::stderr().is_terminal())
        .with_writer(stderr.clone())
        .init();
    (stderr, guard)
}
