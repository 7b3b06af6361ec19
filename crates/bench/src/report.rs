//! The tables: printed as they are measured, and filled into docs/performance.md.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

#[derive(Default)]
pub(crate) struct Report {
    /// The text of each section, as Markdown.
    sections: BTreeMap<&'static str, String>,
    targets: Vec<Vec<String>>,
}

impl Report {
    /// Prints a text, and adds it to its section of the page.
    pub(crate) fn add(&mut self, section: &'static str, text: &str) {
        println!("\n{text}\n");
        *self.sections.entry(section).or_default() += &format!("\n{text}\n");
    }

    /// Adds a table with a name at the start of each row.
    pub(crate) fn table(
        &mut self,
        section: &'static str,
        title: &str,
        header: &[&str],
        rows: Vec<Vec<String>>,
    ) {
        let mut table = comfy_table::Table::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header).add_rows(rows);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self.add(section, &format!("{title}:\n\n{table}"));
    }

    /// Adds a target. `measured` is infinite if messages were lost, and `None` if there was too
    /// little to measure. `limit` is such as `("at most", 4.0, "MiB")`.
    pub(crate) fn target(&mut self, what: String, measured: Option<f64>, limit: (&str, f64, &str)) {
        let (bound, limit, unit) = limit;
        let is_met = |it: f64| if bound == "at most" { it <= limit } else { it >= limit };
        let (shown, met) = match measured {
            None => (factor(None), "not measured"),
            Some(f64::INFINITY) => ("lost messages".to_owned(), "**not met**"),
            Some(it) => (factor(measured), if is_met(it) { "met" } else { "**not met**" }),
        };
        self.targets.push(vec![what, shown, format!("{bound} {limit} {unit}"), met.to_owned()]);
    }

    /// Adds the table of the targets, if the sections that ran have any.
    pub(crate) fn targets(&mut self) {
        let targets = std::mem::take(&mut self.targets);
        if !targets.is_empty() {
            self.table("targets", "Targets", &["", "measured", "target", ""], targets);
        }
    }

    /// Replaces the sections of a page. Each is between `<!-- bench: NAME -->` and `<!-- end -->`.
    pub(crate) fn fill(&self, page: &str) -> anyhow::Result<String> {
        let places = page.matches("<!-- bench: ").count();
        ensure!(places == self.sections.len(), "{places} places for {:?}", self.sections.keys());
        let mut page = page.to_owned();
        for (section, text) in &self.sections {
            let start = format!("<!-- bench: {section} -->\n");
            let no_place = || format!("the page has no place for '{section}'");
            let at = page.find(&start).with_context(no_place)? + start.len();
            let length = page[at..].find("<!-- end -->").with_context(no_place)?;
            page.replace_range(at..at + length, &format!("{text}\n"));
        }
        Ok(page)
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
        report.target("a".to_owned(), Some(1.16), ("at most", 1.15, "×"));
        report.target("b".to_owned(), Some(1.5), ("at most", 1.5, "×"));
        report.target("c".to_owned(), Some(0.8), ("at least", 0.8, "×"));
        report.target("d".to_owned(), Some(f64::INFINITY), ("at most", 1.5, "×"));
        report.target("e".to_owned(), None, ("at most", 1.5, "×"));
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
