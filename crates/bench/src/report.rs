//! What was measured, in tables: printed as they come, and put together into a page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use anyhow::{bail, ensure};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

use crate::plot::Plot;

/// The page, with places for what was measured.
const TEMPLATE: &str = include_str!("performance.md");

/// What all measurements together have to say.
#[derive(Default)]
pub struct Report {
    /// What goes into the template, by the name of its place.
    places: BTreeMap<String, String>,
    targets: Vec<Target>,
    pub plot: Plot,
}

struct Target {
    what: String,
    measured: Outcome,
    unit: &'static str,
    limit: Limit,
}

/// What came of a measurement.
#[derive(Clone, Copy)]
pub enum Outcome {
    Is(f64),
    /// Messages were lost: whatever the time was, the target is not met.
    Lost,
    /// There was nothing to measure.
    Unknown,
}

impl From<Option<f64>> for Outcome {
    fn from(measured: Option<f64>) -> Outcome {
        measured.map_or(Outcome::Unknown, Outcome::Is)
    }
}

#[derive(Clone, Copy)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Under(f64),
}

impl Report {
    /// Prints a table. In the page those of one place stand one below the other.
    pub fn table(&mut self, place: &str, title: impl Into<String>, table: Table) {
        let text = format!("{}:\n\n{}\n", title.into(), table.0);
        println!("\n{text}");
        let tables = self.places.entry(place.to_owned()).or_default();
        if !tables.is_empty() {
            tables.push('\n');
        }
        tables.push_str(&text);
    }

    /// A figure that stands in a sentence of the page.
    pub fn figure(&mut self, place: impl Into<String>, figure: impl Into<String>) {
        self.places.insert(place.into(), figure.into());
    }

    /// What is aimed at, and what came of it.
    pub fn target(
        &mut self,
        what: impl Into<String>,
        measured: impl Into<Outcome>,
        unit: &'static str,
        limit: Limit,
    ) {
        self.targets.push(Target { what: what.into(), measured: measured.into(), unit, limit });
    }

    /// The last table: which targets are met.
    pub fn targets(&mut self) {
        let mut table = Table::new(&["", "target", "measured", ""]);
        for Target { what, measured, unit, limit } in &self.targets {
            let (measured, met) = match *measured {
                Outcome::Is(figure) if limit.allows(figure) => (factor(Some(figure)), "met"),
                Outcome::Is(figure) => (factor(Some(figure)), "**not met**"),
                Outcome::Lost => ("lost messages".to_owned(), "**not met**"),
                Outcome::Unknown => ("–".to_owned(), "not measured"),
            };
            table.row([what.clone(), format!("{limit} {unit}"), measured, met.to_owned()]);
        }
        self.table("targets", "Targets", table);
    }

    /// The page.
    ///
    /// # Errors
    ///
    /// When the template has a place for something that was not measured, or none for something
    /// that was.
    pub fn page(&self) -> anyhow::Result<String> {
        self.fill(TEMPLATE)
    }

    fn fill(&self, template: &str) -> anyhow::Result<String> {
        let mut page = String::new();
        let mut unused: BTreeSet<_> = self.places.keys().map(String::as_str).collect();
        let mut rest = template;
        while let Some((text, behind)) = rest.split_once("{{") {
            let Some((place, behind)) = behind.split_once("}}") else {
                bail!("a place in the template does not end: {behind}");
            };
            let Some(filling) = self.places.get(place) else {
                bail!("the template has a place for '{place}', which was not measured");
            };
            unused.remove(place);
            page += text;
            page += filling.trim_end();
            rest = behind;
        }
        ensure!(unused.is_empty(), "the template has no place for {unused:?}");
        Ok(page + rest)
    }
}

impl Limit {
    fn allows(self, figure: f64) -> bool {
        match self {
            Limit::AtMost(limit) => figure <= limit,
            Limit::AtLeast(limit) => figure >= limit,
            Limit::Under(limit) => figure < limit,
        }
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Limit::AtMost(limit) => write!(f, "at most {}", plain(*limit)),
            Limit::AtLeast(limit) => write!(f, "at least {}", plain(*limit)),
            Limit::Under(limit) => write!(f, "under {}", plain(*limit)),
        }
    }
}

/// `6`, `1.5`, `12.3`.
fn plain(limit: f64) -> String {
    let text = format!("{limit:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A table with a name in front of each row.
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

    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.0.add_row(cells.into());
    }

    /// A row that says why there are no figures.
    pub fn missing(&mut self, name: &str, why: &str) {
        let mut cells = vec![name, why];
        cells.resize(self.1, "");
        self.0.add_row(cells);
    }
}

/// `300,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Seconds as milliseconds.
pub fn millis(seconds: Option<f64>) -> String {
    shown(seconds, |seconds| format!("{:.1} ms", seconds * 1e3))
}

/// Seconds as microseconds.
pub fn micros(seconds: Option<f64>) -> String {
    shown(seconds, |seconds| format!("{:.2} µs", seconds * 1e6))
}

/// A ratio, or another plain number.
pub fn factor(ratio: Option<f64>) -> String {
    shown(ratio, |ratio| format!("{ratio:.2}"))
}

/// Bytes as mebibytes.
pub fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or("not known here".to_owned(), |bytes| {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    })
}

fn shown(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or("–".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_met_is_shown_as_not_met() {
        let mut report = Report::default();
        report.target("a", Some(1.6), "×", Limit::AtMost(1.5));
        report.target("b", Some(1.5), "×", Limit::AtMost(1.5));
        report.target("c", Some(0.8), "×", Limit::AtLeast(0.8));
        report.target("d", Some(6.0), "MiB", Limit::Under(6.0));
        report.target("f", Outcome::Lost, "×", Limit::AtMost(1.5));
        report.target("e", None, "×", Limit::AtMost(1.5));
        report.targets();
        let lines: Vec<_> = report.places["targets"].lines().skip(4).collect();
        let shown =
            |line: &&str| line.split('|').map(str::trim).collect::<Vec<_>>()[1..5].join(" ");
        let shown: Vec<_> = lines.iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                "a at most 1.5 × 1.60 **not met**",
                "b at most 1.5 × 1.50 met",
                "c at least 0.8 × 0.80 met",
                "d under 6 MiB 6.00 **not met**",
                "f at most 1.5 × lost messages **not met**",
                "e at most 1.5 × – not measured",
            ]
        );
    }

    #[test]
    fn numbers_in_groups() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(grouped(number), shown);
        }
    }

    /// Words that were changed only here, or only there, would part from the figures.
    #[test]
    fn the_page_was_written_from_this_template() {
        let page = include_str!("../../../docs/performance.md");
        let mut rest = page;
        for text in TEMPLATE.split("{{").map(|it| it.split_once("}}").map_or(it, |(_, text)| text))
        {
            let (filling, behind) = rest.split_once(text).unwrap_or_else(|| {
                panic!("`cargo bench -- --save` writes it anew; docs/performance.md lacks:\n{text}")
            });
            // Before the first words there is nothing to fill.
            let is_filled = !filling.trim().is_empty() && !filling.contains("(not measured)");
            assert!(is_filled || rest.len() == page.len(), "before '{text}': '{filling}'");
            rest = behind;
        }
    }

    #[test]
    fn page_and_measurements_fit_together() {
        let mut report = Report::default();
        report.figure("a", "1 µs");
        assert_eq!(report.fill("It takes {{a}}.").unwrap(), "It takes 1 µs.");
        for (template, error) in [
            ("{{a}} {{b}}", "the template has a place for 'b', which was not measured"),
            ("It takes long.", r#"the template has no place for {"a"}"#),
        ] {
            assert_eq!(report.fill(template).unwrap_err().to_string(), error);
        }
    }
}
