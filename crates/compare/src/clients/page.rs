//! The tables, and the page around them.

use std::process::Command;

use anyhow::{Context, bail, ensure};
use local_redis::Server;

use super::Row;
use super::fault::{FAULTS, Fault, NO_SERVER};
use crate::table::markdown;

const TEMPLATE: &str = include_str!("clients.md");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/clients.md");

/// Prints the date, the version of the server `$0`, and the system.
const RUN: &str = r#"echo "$(date -u +%F), $("$0" --version | sed 's/ sha=.*//'), $(uname -srm)""#;

/// The last column is in the table of the output that is not read.
const COLUMNS: [&str; 9] = [
    "",
    "published",
    "received",
    "missing",
    "announced",
    "again after",
    "false alarms",
    "at the end",
    "peak memory",
];

/// The tables of the faults that have rows.
pub(super) fn tables(rows: &[Row]) -> String {
    let faults = FAULTS.iter().filter(|fault| rows.iter().any(|row| row.fault.key == fault.key));
    faults.map(|fault| format!("\n{}:\n\n{}\n", fault.title, table(rows, fault))).collect()
}

/// Writes docs/clients.md.
pub(super) fn write(rows: &[Row]) -> anyhow::Result<()> {
    let mut page = TEMPLATE.to_owned();
    let mut fill = |place: &str, filling: &str| {
        page = page.replace(&format!("{{{{{place}}}}}"), filling);
    };
    for fault in &FAULTS {
        fill(fault.key, &table(rows, fault));
    }
    let Some(Server::Real(path)) = Server::real() else { bail!(NO_SERVER) };
    let run = Command::new("sh").args(["-c", RUN]).arg(path).output()?;
    fill("run", String::from_utf8(run.stdout)?.trim_end());
    ensure!(!page.contains("{{"), "nothing fills a place of the template");
    std::fs::write(PAGE, page).with_context(|| format!("cannot write {PAGE}"))
}

fn table(rows: &[Row], fault: &Fault) -> String {
    let columns = if fault.is_stall() { &COLUMNS[..] } else { &COLUMNS[..8] };
    let rows = rows.iter().filter(|row| row.fault.key == fault.key);
    markdown(columns, rows.map(|row| row.cells.clone()), 1..4)
}
