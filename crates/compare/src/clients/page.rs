//! The tables, and the page around them.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use local_redis::Server;

use super::client::CLIENTS;
use super::fault::Fault;
use super::heard::Level;
use super::run::{Seen, State};
use super::{Row, WATCH};

const TEMPLATE: &str = include_str!("clients.md");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/clients.md");

pub(super) fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    for &fault in Fault::value_variants() {
        if rows.iter().any(|row| row.fault == fault) {
            let _ = write!(text, "\n{}:\n\n{}\n", fault.title(), table(rows, fault));
        }
    }
    text
}

/// Writes docs/clients.md.
pub(super) fn write(rows: &[Row], server: &Server) -> anyhow::Result<()> {
    let mut page = TEMPLATE.to_owned();
    let mut fill = |place: &str, filling: &str| {
        page = page.replace(&format!("{{{{{place}}}}}"), filling);
    };
    for &fault in Fault::value_variants() {
        fill(&fault.name(), &table(rows, fault));
    }
    for client in CLIENTS.iter() {
        fill(&format!("name {}", client.key), &client.title());
    }
    let Server::Real(path) = server else { anyhow::bail!("no real Redis") };
    let redis = said(Command::new(path).arg("--version"))?;
    fill("redis", redis.split(" sha=").next().unwrap_or_default());
    fill("system", &said(Command::new("uname").args(["-srm"]))?);
    fill("date", &said(Command::new("date").args(["-u", "+%F"]))?);
    ensure!(!page.contains("{{"), "the template has a place for nothing");
    std::fs::write(PAGE, page).with_context(|| format!("cannot write {PAGE}"))
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().context("said nothing")?.to_owned())
}

fn table(rows: &[Row], fault: Fault) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec![
        "",
        "published",
        "received",
        "missing",
        "announced",
        "again after",
        "false alarms",
        "at the end",
    ];
    if fault == Fault::Stall {
        header.push("peak memory");
    }
    let columns = header.len();
    table.set_header(header);
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows.iter().filter(|row| row.fault == fault) {
        let mut cells = vec![row.client.title()];
        match &row.outcome {
            Ok(seen) => cells.extend(seen_cells(seen)),
            Err(why) => cells.push(why.lines().next().unwrap_or_default().to_owned()),
        }
        cells.resize(columns, String::new());
        table.add_row(cells);
    }
    table.to_string()
}

fn seen_cells(seen: &Seen) -> Vec<String> {
    let tally = &seen.tally;
    let mut cells: Vec<_> = [tally.published, tally.received, tally.missing].map(grouped).to_vec();
    cells.extend([announced(seen), again(seen), tally.false_alarms.to_string(), state(seen)]);
    cells.extend(seen.peak_memory.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)));
    cells
}

/// A line of progress.
pub(super) fn in_short(outcome: &Result<Seen, String>) -> String {
    match outcome {
        Err(why) => why.clone(),
        Ok(seen) => format!(
            "{} missing, announced: {}, again after: {}, {}",
            seen.tally.missing,
            announced(seen),
            again(seen),
            state(seen)
        ),
    }
}

fn announced(seen: &Seen) -> String {
    if seen.tally.missing == 0 {
        return "–".to_owned();
    }
    let told: Vec<_> = seen
        .tally
        .announced
        .iter()
        .map(|(level, count)| match (level, *count == seen.tally.missing) {
            (level, true) => format!("all: {}", level.name()),
            (level, false) => format!("{}: {}", grouped(*count), level.name()),
        })
        .collect();
    if told.is_empty() { "**none**".to_owned() } else { told.join(", ") }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Event => "event",
            Level::Beside => "event beside the stream",
            Level::End => "end",
            Level::Counter => "counter",
            Level::Log => "log",
        }
    }
}

fn again(seen: &Seen) -> String {
    match (seen.again, &seen.state) {
        (Some(seconds), _) => format!("{seconds:.1} s"),
        (None, State::Ended { .. }) => "never".to_owned(),
        (None, _) => format!("not in {} s", WATCH.as_secs()),
    }
}

fn state(seen: &Seen) -> String {
    match seen.state {
        State::Alive => "alive".to_owned(),
        State::Deaf => format!("**deaf** (subscribers: {})", seen.subscribers),
        State::Ended { code: Some(code) } => format!("ended, status {code}"),
        State::Ended { code: None } => "killed".to_owned(),
    }
}

/// `300,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
