//! Tables for the terminal and for the pages.

use std::ops::Range;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use crate::experiments::Row;

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
        let [pubsub, list, stream] = counts(row);
        table.add_row([&number.to_string(), row.question, pubsub, list, stream]);
        text += &format!("\n{number}. {}", row.follows);
    }
    format!("{table}\n\nWhat follows:{text}")
}

/// One line per row.
pub(crate) fn comparison(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        let [pubsub, list, stream] = counts(row);
        [row.question, pubsub, list, stream, row.follows].map(str::to_owned).to_vec()
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

fn counts(row: &Row) -> [&str; 3] {
    [&row.pubsub.text, &row.list.text, &row.stream.text]
}
