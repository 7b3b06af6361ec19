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
use local_redis::{exit_status, is_broken_pipe, on_ctrl_c};
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
    let result = match &args.what {
        Some(What::Clients(args)) => clients::compare(args),
        None => compare(&args),
    };
    match result {
        Err(error) if !is_broken_pipe(&error) => {
            // The redis crate's errors give themselves as their own cause.
            let mut causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            causes.dedup();
            let hint = service::hint(&error).map(|hint| format!("\n  hint: {hint}"));
            exit_status(Err(anyhow!("{}{}", causes.join(": "), hint.unwrap_or_default())))
        }
        result => exit_status(result),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn compare(args: &Args) -> anyhow::Result<()> {
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
    let at = || format!("Redis at {}", keys.address());
    real_redis::check(keys.connection()).await.with_context(at)?;
    let rows = tokio::select! {
        rows = timeout(LIMIT, experiments::run(&keys)) => match rows {
            Ok(rows) => rows.map(Some),
            Err(_) => Err(anyhow!(
                "not finished after {LIMIT:?}: it is slow or far away, or somebody removed the keys"
            )),
        },
        () = INTERRUPTED.notified() => {
            let _ = writeln!(std::io::stderr(), "Interrupted: removing the keys ...");
            Ok(None)
        }
    };
    // In every case. Nothing that could create a key runs any more.
    let rows = match (rows, keys.remove().await) {
        (rows, Ok(())) => rows,
        (Ok(_), Err(left)) => Err(left),
        (Err(error), Err(left)) => Err(error.context(format!("{left:#}, after this"))),
    };
    if let Some(rows) = rows.with_context(at)? {
        let text = match args {
            Args { json: true, .. } => {
                let lines: Result<Vec<_>, _> = rows.iter().map(serde_json::to_string).collect();
                lines?.join("\n")
            }
            Args { markdown: true, .. } => table::comparison(&rows),
            _ => table::terminal(&rows),
        };
        writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")?;
    }
    Ok(())
}
