//! `cargo compare clients`: what a lost connection does to each client, counted in one run.

mod client;
mod fault;
mod heard;
mod network;
mod page;
mod publisher;
mod run;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use local_redis::Server;
use serde_json::json;

use self::client::{CLIENTS, Client, Programs};
use self::fault::Fault;
use self::network::Network;
use self::run::Seen;

const CHANNEL: &str = "notifications";
/// Between the starts of two clients: all at once would slow down each other.
const STAGGER: Duration = Duration::from_millis(250);
/// For messages to come again after a fault. The two clients of `--short` need less.
const WATCH: Duration = Duration::from_secs(30);
const SHORT_WATCH: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write docs/clients.md
    #[arg(long, conflicts_with_all = ["json", "client", "fault", "short"])]
    markdown: bool,

    /// Print a line of JSON for each client and fault
    #[arg(long)]
    json: bool,

    /// Only this client (repeatable)
    #[arg(long, value_name = "NAME", value_parser = CLIENTS.each_ref().map(|client| client.key))]
    client: Vec<String>,

    /// Only this fault (repeatable)
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,

    /// Only the redis crate's get_async_pubsub and our subscriber, with the two shortest faults
    #[arg(long, conflicts_with_all = ["client", "fault"])]
    short: bool,
}

/// What came of a client and a fault.
struct Row {
    client: &'static Client,
    fault: Fault,
    /// Or why there is nothing.
    outcome: Result<Seen, String>,
}

impl Fault {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

pub(crate) fn compare(args: &Args) -> anyhow::Result<()> {
    let server = Server::real().context(fault::NO_SERVER)?;
    let programs = match args.short {
        true => Programs::build_short()?,
        false => Programs::build_all()?,
    };
    let (clients, faults) = match args.short {
        true => (vec!["ours".into(), "pubsub".into()], vec![Fault::Restart, Fault::Revoked]),
        false => (args.client.clone(), args.fault.clone()),
    };
    let mut pairs = Vec::new();
    for &fault in Fault::value_variants() {
        let wanted = |client: &&Client| {
            let asked = clients.is_empty() || clients.iter().any(|key| key == client.key);
            asked && client.has(fault)
        };
        if faults.is_empty() || faults.contains(&fault) {
            pairs.extend(CLIENTS.iter().filter(wanted).map(|client| (client, fault)));
        }
    }
    ensure!(!pairs.is_empty(), "no such client has this fault");

    let watch = if args.short { SHORT_WATCH } else { WATCH };
    let progress = Progress { done: AtomicUsize::new(0), all: pairs.len(), watch };
    let (alone, together): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(_, fault)| *fault == Fault::Stall);
    let mut rows = std::thread::scope(|scope| {
        let start = |(number, (client, fault))| {
            let (programs, progress) = (&programs, &progress);
            scope.spawn(move || {
                std::thread::sleep(STAGGER * number);
                progress.row(client, fault, programs)
            })
        };
        let running: Vec<_> = (0..).zip(together).map(start).collect();
        running.into_iter().filter_map(|running| running.join().ok()).collect::<Vec<_>>()
    });
    // Their memory is measured, and Redis is kept busy.
    rows.extend(alone.into_iter().map(|(client, fault)| progress.row(client, fault, &programs)));

    if args.json {
        for row in &rows {
            let (client, fault) = (row.client.key, row.fault.name());
            let line = match &row.outcome {
                Ok(seen) => json!({ "client": client, "fault": fault, "seen": seen }),
                Err(why) => json!({ "client": client, "fault": fault, "skipped": why }),
            };
            writeln!(std::io::stdout(), "{line}")?;
        }
    } else if args.markdown {
        page::write(&rows, &server)?;
    } else {
        write!(std::io::stdout(), "{}", page::tables(&rows))?;
    }
    Ok(())
}

struct Progress {
    done: AtomicUsize,
    all: usize,
    watch: Duration,
}

impl Progress {
    fn row(&self, client: &'static Client, fault: Fault, programs: &Programs) -> Row {
        let missing = if fault == Fault::Dropped { Network::missing() } else { None };
        let outcome = match missing {
            Some(why) => Err(why.to_owned()),
            None => run::run(client, fault, programs, self.watch)
                .map_err(|error| format!("failed: {error:#}")),
        };
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let (all, title, client_title) = (self.all, fault.title(), client.title());
        let short = page::in_short(&outcome);
        // A stderr that nobody reads is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{done}/{all} {title}: {client_title}: {short}");
        Row { client, fault, outcome }
    }
}
