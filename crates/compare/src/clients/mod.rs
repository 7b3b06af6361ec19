//! `cargo compare clients`: what a lost connection does to each client, counted in one run.

mod client;
mod fault;
mod heard;
mod network;
mod page;
mod publisher;
mod run;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{anyhow, ensure};
use local_redis::Server;

use self::client::{CLIENTS, Client, Programs};
use self::fault::{FAULTS, Fault};
use crate::progress;

/// The time between the starts of two clients. If all started at once, they would slow down each
/// other.
const STAGGER: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these faults and clients, such as `hang fred ours`
    #[arg(value_name = "NAME", value_parser = names(), conflicts_with = "markdown")]
    names: Vec<String>,

    /// Write docs/clients.md
    #[arg(long, conflicts_with = "short")]
    markdown: bool,

    /// Build nothing but `ours` and `pubsub`, without optimization, and watch them for 10 s only
    #[arg(long)]
    short: bool,
}

fn names() -> Vec<&'static str> {
    FAULTS.iter().map(|fault| fault.key).chain(CLIENTS.iter().map(|client| client.key)).collect()
}

/// What one client did in one fault.
struct Row {
    fault: &'static Fault,
    /// The name of the client, and what was seen or why nothing was.
    cells: Vec<String>,
}

/// Returns what to print.
pub(crate) fn compare(args: &Args) -> anyhow::Result<String> {
    let faults = named(&FAULTS, |fault| fault.key, &args.names);
    let clients = named(&CLIENTS, |client| client.key, &args.names);
    let pairs = faults.into_iter().flat_map(|fault| clients.iter().map(move |&one| (one, fault)));
    let pairs: Vec<_> = pairs.filter(|(one, fault)| one.takes_part(fault.in_cluster())).collect();
    ensure!(!pairs.is_empty(), "none of these clients has one of these faults");

    // Before anything is built, which takes minutes.
    Server::real()?;
    let programs = Programs::build(args.short)?;
    // How long a client is watched after the fault.
    let watch = Duration::from_secs(if args.short { 10 } else { 30 });
    let done = AtomicUsize::new(0);
    let row = |(client, fault): (&Client, &'static Fault)| {
        let command = programs.command(client, fault.in_cluster());
        let seen = command.and_then(|command| run::run(command, fault, watch));
        let seen = seen.unwrap_or_else(|why| vec![format!("{why:#}")]);
        let (done, all) = (done.fetch_add(1, Ordering::Relaxed) + 1, pairs.len());
        let what = format!("{}: {}: {}", fault.title, client.title, seen.join(", "));
        progress(&format!("{done}/{all} {what}"));
        // The first line of an error is enough for a cell.
        let seen = seen.iter().filter_map(|cell| cell.lines().next());
        Row { fault, cells: [client.title].into_iter().chain(seen).map(str::to_owned).collect() }
    };
    // Alone in a stall, where its memory is measured and Redis is busy.
    let (alone, together): (Vec<_>, Vec<_>) =
        pairs.iter().copied().partition(|(_, fault)| fault.key == "stall");
    let rows: thread::Result<Vec<_>> = thread::scope(|scope| {
        let row = &row;
        let start = |pair| {
            thread::sleep(STAGGER);
            scope.spawn(move || row(pair))
        };
        let running: Vec<_> = together.into_iter().map(start).collect();
        running.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let mut rows = rows.map_err(|_| anyhow!("the thread of a client panicked"))?;
    rows.extend(alone.into_iter().map(row));
    if args.markdown {
        page::write(&rows)?;
        return Ok(String::new());
    }
    Ok(page::tables(&rows))
}

/// Those that have one of these names, or all if none has.
fn named<T>(all: &'static [T], key: fn(&T) -> &str, names: &[String]) -> Vec<&'static T> {
    let named: Vec<_> = all.iter().filter(|one| names.iter().any(|it| it == key(one))).collect();
    if named.is_empty() { all.iter().collect() } else { named }
}
