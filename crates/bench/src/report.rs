//! What was measured, in tables.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

/// What all measurements together have to say.
#[derive(Default)]
pub struct Report {
    sections: Vec<(String, Table)>,
    targets: Vec<Target>,
}

struct Target {
    what: String,
    measured: Option<f64>,
    unit: &'static str,
    limit: Limit,
}

#[derive(Clone, Copy)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub fn table(&mut self, title: impl Into<String>, table: Table) {
        let title = title.into();
        println!("\n{title}\n\n{}", table.markdown());
        self.sections.push((title, table));
    }

    pub fn target(
        &mut self,
        what: impl Into<String>,
        measured: Option<f64>,
        unit: &'static str,
        limit: Limit,
    ) {
        self.targets.push(Target { what: what.into(), measured, unit, limit });
    }

    /// The last table: what was aimed at.
    pub fn targets(&mut self) {
        let mut table = Table::new(&["", "target", "measured", ""]);
        for target in &self.targets {
            let unit = target.unit;
            let (limit, met) = match target.limit {
                Limit::AtMost(limit) => {
                    (format!("at most {limit} {unit}"), target.measured.map(|it| it <= limit))
                }
                Limit::AtLeast(limit) => {
                    (format!("at least {limit} {unit}"), target.measured.map(|it| it >= limit))
                }
            };
            let met = match met {
                Some(true) => "met",
                Some(false) => "not met",
                None => "not measured",
            };
            table.row([target.what.clone(), limit, factor(target.measured), met.to_owned()]);
        }
        self.table("Targets", table);
    }
}

/// A table with a name for each row.
pub struct Table(comfy_table::Table, usize);

impl Table {
    pub fn new(header: &[&str]) -> Table {
        let mut table = comfy_table::Table::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Table(table, header.len())
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }

    /// A row that says why there are no figures.
    pub fn missing(&mut self, name: &str, why: &str) {
        let mut cells = vec![name, why];
        cells.resize(self.1, "");
        self.0.add_row(cells);
    }

    pub fn markdown(&self) -> String {
        self.0.to_string()
    }
}

/// Seconds as milliseconds.
pub fn millis(seconds: Option<f64>) -> String {
    shown(seconds, |seconds| format!("{:.1} ms", seconds * 1e3))
}

/// Seconds as microseconds.
pub fn micros(seconds: Option<f64>) -> String {
    shown(seconds, |seconds| format!("{:.2} µs", seconds * 1e6))
}

pub fn factor(ratio: Option<f64>) -> String {
    shown(ratio, |ratio| format!("{ratio:.2}"))
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or("–".to_owned(), show)
}
