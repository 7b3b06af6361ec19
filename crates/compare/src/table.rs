//! Tables for the terminal and for the pages.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};

use crate::experiments::Row;

/// A table, followed by one conclusion per row.
pub(crate) fn terminal(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL).set_content_arrangement(ContentArrangement::Dynamic);
    // The width of the narrowest common terminal.
    table.set_width(80).set_header(["", "", "Pub/Sub", "List", "Stream"]);
    for counts in table.column_iter_mut().skip(2) {
        counts.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(17)));
    }
    let mut follows = String::new();
    for (number, row) in (1..).zip(rows) {
        follows += &format!("{number}. {}\n", row.follows);
        let [pubsub, list, stream] = &row.counts;
        table.add_row([&number.to_string(), row.question, pubsub, list, stream]);
    }
    format!("{table}\n\nWhat follows:\n{follows}")
}

/// One line per row.
pub(crate) fn comparison(rows: &[Row]) -> String {
    let mut table = markdown(&["", "Pub/Sub", "List", "Stream", "What follows"]);
    for Row { question, counts: [pubsub, list, stream], follows, .. } in rows {
        table.add_row([*question, pubsub, list, stream, *follows]);
    }
    format!("{table}\n")
}

/// An empty table in Markdown.
pub(crate) fn markdown(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    table
}

/// One line of JSON per row.
pub(crate) fn json(rows: &[Row]) -> serde_json::Result<String> {
    rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect()
}

/// `300,000`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
