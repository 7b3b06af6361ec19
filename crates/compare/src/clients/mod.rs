//! `cargo compare clients`: what a lost connection does to each client, counted in one run.

mod client;
mod fault;
mod heard;
mod network;
mod page;
mod publisher;
mod run;

use std::io::Write;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use local_redis::Server;

use self::client::{CLIENTS, Client, Programs};
use self::fault::{FAULTS, Fault, NO_SERVER};

/// The time between the starts of two clients. If all started at once, they would slow down each
/// other.
const STAGGER: Duration = Duration::from_millis(250);
/// How long a client is watched after the fault. The two clients of `--short` need less.
const WATCH: Duration = Duration::from_secs(30);
const SHORT_WATCH: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these faults and clients, such as `hang fred ours`
    #[arg(value_name = "NAME", value_parser = names(), conflicts_with_all = ["markdown", "short"])]
    names: Vec<String>,

    /// Write docs/clients.md
    #[arg(long, conflicts_with = "short")]
    markdown: bool,

    /// Run `restart revoked ours pubsub`, which needs no other clients to be built
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

pub(crate) fn compare(args: &Args) -> anyhow::Result<()> {
    let short = ["restart", "revoked", "ours", "pubsub"].map(str::to_owned);
    let names = if args.short { &short[..] } else { &args.names };
    let watch = if args.short { SHORT_WATCH } else { WATCH };
    let faults = named(&FAULTS, |fault| fault.key, names);
    let clients = named(&CLIENTS, |client| client.key, names);
    let pairs = faults.into_iter().flat_map(|fault| clients.iter().map(move |&one| (one, fault)));
    let pairs: Vec<_> = pairs.filter(|(one, fault)| one.takes_part(fault.in_cluster())).collect();
    ensure!(!pairs.is_empty(), "none of these clients has one of these faults");

    // Before anything is built, which takes minutes.
    Server::real().context(NO_SERVER)?;
    let programs = Programs::build(args.short)?;
    let (machine, done) = (RwLock::new(()), AtomicUsize::new(0));
    let row = |client: &Client, fault: &'static Fault| {
        // Alone in a stall, where its memory is measured and Redis is busy.
        let _whole = fault.is_stall().then(|| machine.write());
        let _part = (!fault.is_stall()).then(|| machine.read());
        let command = programs.command(client, fault.in_cluster());
        let seen = command.and_then(|command| run::run(command, fault, watch));
        let outcome = match &seen {
            Ok(cells) => cells.join(", "),
            Err(why) => format!("{why:#}"),
        };
        let seen = seen.unwrap_or_else(|_| vec![outcome.lines().take(1).collect()]);
        let (done, all) = (done.fetch_add(1, Ordering::Relaxed) + 1, pairs.len());
        // A stderr that nobody reads is no reason to stop.
        let _ = writeln!(
            std::io::stderr(),
            "{done}/{all} {}: {}: {outcome}",
            fault.title,
            client.title
        );
        Row { fault, cells: [vec![client.title.to_owned()], seen].concat() }
    };
    let rows: anyhow::Result<Vec<_>> = thread::scope(|scope| {
        let row = &row;
        let start = |(number, &(client, fault))| {
            scope.spawn(move || {
                thread::sleep(STAGGER * number);
                row(client, fault)
            })
        };
        let running: Vec<_> = (0..).zip(&pairs).map(start).collect();
        let panicked = |_| anyhow!("the thread of a client panicked");
        running.into_iter().map(|running| running.join().map_err(panicked)).collect()
    });
    let rows = rows?;
    if args.markdown {
        return page::write(&rows);
    }
    Ok(write!(std::io::stdout(), "{}", page::tables(&rows))?)
}

/// Those that have one of these names, or all if none has.
fn named<T>(all: &'static [T], key: fn(&T) -> &str, names: &[String]) -> Vec<&'static T> {
    let named: Vec<_> =
        all.iter().filter(|one| names.iter().any(|name| name == key(one))).collect();
    if named.is_empty() { all.iter().collect() } else { named }
}
