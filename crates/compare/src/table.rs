//! Prints the counts for people, for the README and for programs.

use std::fmt;
use std::ops::Range;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use service::plural;

use crate::experiments::{Counts, Row};

/// The width of the narrowest common terminal.
const WIDTH: u16 = 80;

/// A table, followed by one conclusion per row.
pub(crate) fn terminal(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH).set_header(["", "", "Pub/Sub", "List", "Stream"]);
    for counts in table.column_iter_mut().skip(2) {
        counts.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(17)));
    }
    let mut text = String::new();
    for (number, row) in (1..).zip(rows) {
        let [pubsub, list, stream] = cells(row);
        table.add_row([&number.to_string(), row.question, &pubsub, &list, &stream]);
        text += &format!("\n{number}. {}", row.follows);
    }
    format!("{table}\n\nWhat follows:{text}")
}

/// One line per row.
pub(crate) fn comparison(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        let [pubsub, list, stream] = cells(row);
        vec![row.question.to_owned(), pubsub, list, stream, row.follows.to_owned()]
    });
    markdown(&["", "Pub/Sub", "List", "Stream", "What follows"], cells, 0..0)
}

/// A table in Markdown, with these columns aligned to the right.
pub(crate) fn markdown(
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    numbers: Range<usize>,
) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut().take(numbers.end).skip(numbers.start) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for mut cells in rows {
        cells.resize(header.len(), String::new());
        table.add_row(cells);
    }
    table.to_string()
}

/// `300,000`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// One object per line.
pub(crate) fn json(rows: &[Row]) -> serde_json::Result<String> {
    let lines: Vec<_> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(lines.join("\n"))
}

fn cells(row: &Row) -> [String; 3] {
    [&row.pubsub, &row.list, &row.stream].map(Counts::to_string)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Counts::Received(count) => write!(f, "{count}"),
            Counts::PerConsumer(counts) => write!(f, "{}", sum(counts)),
            Counts::PerGroup(groups) => {
                let groups: Vec<_> = groups.iter().map(|counts| sum(counts)).collect();
                write!(f, "{}", groups.join(" and "))
            }
            Counts::AfterDeath { waiting, claiming } => {
                write!(f, "{waiting}, after claiming {claiming}")
            }
            Counts::Left(left) => write!(
                f,
                "{}: {}, {}",
                plural(left.keys, "key"),
                plural(left.messages, "message"),
                plural(left.bytes, "byte")
            ),
        }
    }
}

fn sum(counts: &[usize]) -> String {
    let counts: Vec<_> = counts.iter().map(ToString::to_string).collect();
    counts.join(" + ")
}
