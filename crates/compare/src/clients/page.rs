//! The tables, and the page around them.

use std::process::Command;

use anyhow::{Context, ensure};
use comfy_table::CellAlignment;

use super::Row;
use super::fault::{FAULTS, Fault};
use crate::table::markdown;

const TEMPLATE: &str = include_str!("clients.md");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/clients.md");

/// Prints the date, the version of the server, and the system.
const RUN: &str = r#"
    server=$(redis-server --version || valkey-server --version)
    echo "$(date -u +%F), ${server%% sha=*}, $(uname -srm)""#;

/// The first one is the client. The last one is in the table of the output that is not read.
const COLUMNS: &str =
    ", published, received, missing, announced, again after, false alarms, at the end, peak memory";

/// The tables of the faults that have rows.
pub(super) fn tables(rows: &[Row]) -> String {
    let faults = FAULTS.iter().filter(|fault| rows.iter().any(|row| row.fault.key == fault.key));
    faults.map(|fault| format!("\n{}:\n\n{}\n", fault.title, table(rows, fault))).collect()
}

/// Writes docs/clients.md.
pub(super) fn write(rows: &[Row]) -> anyhow::Result<()> {
    let run = Command::new("sh").args(["-c", RUN]).output()?;
    let mut page = TEMPLATE.replace("{{run}}", String::from_utf8(run.stdout)?.trim_end());
    for fault in &FAULTS {
        page = page.replace(&format!("{{{{{}}}}}", fault.key), &table(rows, fault));
    }
    ensure!(!page.contains("{{"), "nothing fills a place of the template");
    std::fs::write(PAGE, page).with_context(|| format!("cannot write {PAGE}"))
}

fn table(rows: &[Row], fault: &Fault) -> String {
    let columns = COLUMNS.split(", ").take(if fault.key == "stall" { 9 } else { 8 });
    let mut table = markdown(&columns.collect::<Vec<_>>());
    for counts in table.column_iter_mut().skip(1).take(3) {
        counts.set_cell_alignment(CellAlignment::Right);
    }
    table.add_rows(rows.iter().filter(|row| row.fault.key == fault.key).map(|row| &row.cells));
    table.to_string()
}
