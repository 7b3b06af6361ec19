//! `cargo compare`: the same experiments with Pub/Sub, a List and a Stream, counted on a real
//! Redis. `pubsub.rs`, `list.rs` and `stream.rs` are the examples of the three.

mod clients;
mod experiments;
mod list;
mod own_keys;
mod pubsub;
mod real_redis;
mod stream;
mod table;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use local_redis::{exit_status, on_ctrl_c};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::own_keys::OwnKeys;

/// Counts what Pub/Sub, a List and a Stream do with the same messages
#[derive(Parser)]
#[command(name = "cargo compare", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,

    /// Print the table as Markdown, as lesson 6 shows it
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Print one line of JSON per experiment
    #[arg(long)]
    json: bool,

    /// Use this Redis instead of starting one
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
}

#[derive(Subcommand)]
enum What {
    /// Shows what a lost connection does to our subscriber and to other clients (about 8 minutes)
    Clients(clients::Args),
}

const EXAMPLES: &str = "\
Without a URL it starts a Redis for itself. On a Redis that you name, it uses keys and channels
under compare:<random>: only, and removes the keys at the end. The table is a box of 80 columns,
as Markdown a wide table.

Examples:
  cargo compare
  cargo compare --json
  cargo compare --redis-url redis://localhost
  cargo compare clients";

/// A run usually takes a second or two. This limit is for a Redis that does not answer.
const LIMIT: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let args = Args::parse();
    let text = match &args.what {
        Some(What::Clients(args)) => clients::compare(args),
        None => compare(&args),
    };
    exit_status(match text {
        Ok(text) => write!(std::io::stdout(), "{text}").context("cannot write to stdout"),
        Err(error) => {
            // The redis crate's errors give themselves as their own cause.
            let mut causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            causes.dedup();
            let hint = error.downcast_ref().and_then(service::hint);
            let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            Err(anyhow!("{}{hint}", causes.join(": ")))
        }
    })
}

/// Shows on stderr what is being done. If that is closed, the run continues.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Returns what to print.
#[tokio::main(flavor = "current_thread")]
async fn compare(args: &Args) -> anyhow::Result<String> {
    // Handled before any key exists, as a plain end by the signal would leave keys behind.
    static INTERRUPTED: Notify = Notify::const_new();
    on_ctrl_c(|| INTERRUPTED.notify_one())?;
    let private_redis;
    let url = match &args.redis_url {
        Some(url) => url.clone(),
        None => {
            private_redis = real_redis::start()?;
            private_redis.url()
        }
    };

    let keys = OwnKeys::connect(&url).await?;
    // Host and port: the part of the URL that may be shown.
    let at = || format!("Redis at {}", keys.client.get_connection_info().addr());
    real_redis::check(keys.connection()).await.with_context(at)?;
    let rows = tokio::select! {
        rows = timeout(LIMIT, experiments::run(&keys)) => rows.unwrap_or_else(|_| {
            Err(anyhow!(
                "not finished after {LIMIT:?}: it is slow or far away, or somebody removed the keys"
            ))
        }),
        () = INTERRUPTED.notified() => {
            progress("Interrupted: removing the keys ...");
            Ok(Vec::new())
        }
    };
    // In every case. Nothing that could create a key runs any more.
    let rows = match (rows, keys.remove().await) {
        (Err(error), Err(left)) => Err(error.context(format!("{left:#}, after this"))),
        (rows, removed) => removed.and(rows),
    };
    Ok(match &rows.with_context(at)?[..] {
        // Interrupted.
        [] => String::new(),
        rows if args.json => table::json(rows)?,
        rows if args.markdown => table::comparison(rows),
        rows => table::terminal(rows),
    })
}
