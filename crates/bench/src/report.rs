//! The tables: printed as they are measured, and filled into docs/performance.md.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

use crate::chart::Dots;
use crate::programs::Program;

#[derive(Default)]
pub(crate) struct Report {
    /// The tables of each section, as Markdown.
    sections: BTreeMap<&'static str, String>,
    targets: Vec<[String; 4]>,
    pub dots: Vec<Dots>,
}

#[derive(Clone, Copy)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    /// Prints a table, and adds it to its section of the page.
    pub(crate) fn table(&mut self, section: &'static str, title: &str, mut table: Table) {
        table.rows.add_rows(table.missing);
        let text = format!("{title}:\n\n{}\n", table.rows);
        println!("\n{text}");
        let tables = self.sections.entry(section).or_default();
        tables.push('\n');
        tables.push_str(&text);
    }

    /// Adds a target. `measured` is infinite if messages were lost, and `None` if there was too
    /// little to measure.
    pub(crate) fn target(&mut self, what: String, limit: Limit, unit: &str, measured: Option<f64>) {
        let (limit, met) = match limit {
            Limit::AtMost(limit) => (format!("at most {limit}"), measured.map(|it| it <= limit)),
            Limit::AtLeast(limit) => (format!("at least {limit}"), measured.map(|it| it >= limit)),
        };
        let shown = match measured {
            Some(f64::INFINITY) => "lost messages".to_owned(),
            _ => factor(measured),
        };
        let met = met.map_or("not measured", |met| if met { "met" } else { "**not met**" });
        self.targets.push([what, shown, format!("{limit} {unit}"), met.to_owned()]);
    }

    /// Adds the table of the targets, if the sections that ran have any.
    pub(crate) fn targets(&mut self) {
        if self.targets.is_empty() {
            return;
        }
        let mut table = Table::new(&["", "measured", "target", ""]);
        for target in std::mem::take(&mut self.targets) {
            table.row(target);
        }
        self.table("targets", "Targets", table);
    }

    /// Replaces the tables in a page. Those of a section are between `<!-- bench: NAME -->` and
    /// `<!-- end -->`.
    pub(crate) fn fill(&self, page: &str) -> anyhow::Result<String> {
        let places = page.matches("<!-- bench: ").count();
        ensure!(places == self.sections.len(), "{places} places for {:?}", self.sections.keys());
        let mut page = page.to_owned();
        for (section, tables) in &self.sections {
            let start = format!("<!-- bench: {section} -->\n");
            let no_place = || format!("the page has no place for '{section}'");
            let at = page.find(&start).with_context(no_place)? + start.len();
            let length = page[at..].find("<!-- end -->").with_context(no_place)?;
            page.replace_range(at..at + length, &format!("{tables}\n"));
        }
        Ok(page)
    }
}

/// A table with a name at the start of each row.
pub(crate) struct Table {
    rows: comfy_table::Table,
    /// Rows without figures, which come last.
    missing: Vec<[String; 2]>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Table {
        let mut rows = comfy_table::Table::new();
        rows.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        rows.set_header(header);
        for column in rows.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Table { rows, missing: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.add_row(cells.into());
    }

    /// Adds a row that says why there are no figures.
    pub(crate) fn missing(&mut self, name: &str, why: &str) {
        self.missing.push([name.to_owned(), why.to_owned()]);
    }

    /// Removes the programs that this machine lacks, and adds a row with the reason for each.
    pub(crate) fn without_missing(&mut self, mut programs: Vec<Program>) -> Vec<Program> {
        programs.retain(|program| match &program.template {
            Ok(_) => true,
            Err(why) => {
                self.missing(&program.name, why);
                false
            }
        });
        programs
    }
}

/// `300,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Seconds as microseconds.
pub(crate) fn micros(seconds: Option<f64>) -> String {
    let decimals = if seconds.is_some_and(|seconds| seconds < 10e-6) { 2 } else { 0 };
    shown(seconds.map(|seconds| seconds * 1e6), decimals, " µs")
}

/// A ratio or another plain number.
pub(crate) fn factor(ratio: Option<f64>) -> String {
    shown(ratio, 2, "")
}

pub(crate) fn shown(value: Option<f64>, decimals: usize, unit: &str) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.decimals$}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_not() {
        let mut report = Report::default();
        report.target("a".to_owned(), Limit::AtMost(1.15), "×", Some(1.16));
        report.target("b".to_owned(), Limit::AtMost(1.5), "×", Some(1.5));
        report.target("c".to_owned(), Limit::AtLeast(0.8), "×", Some(0.8));
        report.target("d".to_owned(), Limit::AtMost(1.5), "×", Some(f64::INFINITY));
        report.target("e".to_owned(), Limit::AtMost(1.5), "×", None);
        assert_eq!(
            report.targets,
            [
                ["a", "1.16", "at most 1.15 ×", "**not met**"],
                ["b", "1.50", "at most 1.5 ×", "met"],
                ["c", "0.80", "at least 0.8 ×", "met"],
                ["d", "lost messages", "at most 1.5 ×", "**not met**"],
                ["e", "–", "at most 1.5 ×", "not measured"],
            ]
        );
    }

    #[test]
    fn numbers_in_groups() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(grouped(number), shown);
        }
    }

    #[test]
    fn only_the_tables_of_a_page_are_replaced() {
        let mut report = Report::default();
        report.sections.insert("a", "\nnew\n".to_owned());
        let page = "text\n\n<!-- bench: a -->\n\nold\n\n<!-- end -->\n\nmore\n";
        let filled = page.replace("old", "new");
        assert_eq!(report.fill(page).unwrap(), filled);
        assert_eq!(report.fill(&filled).unwrap(), filled);
        for wrong in ["", "<!-- bench: b -->\n<!-- end -->", "<!-- bench: a -->\n"] {
            assert!(report.fill(wrong).is_err(), "{wrong}");
        }
    }
}
