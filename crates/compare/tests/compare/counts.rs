//! What is counted, and how it is shown.

use std::time::Instant;

use acceptance::PATIENCE;
use serde_json::{Value, json};

use crate::{compare, succeeds, text};

/// The page that shows the table, between `<!-- compare -->` and `<!-- /compare -->`.
const LESSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/6-list-or-stream.md");

pub(crate) fn every_count() {
    let start = Instant::now();
    let output = succeeds(&mut compare(&["--json"]));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());

    let rows: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut expected = vec![
        ("absent", json!({"received": 0}), json!({"received": 5}), json!({"received": 5})),
        (
            "consumers",
            json!({"per_consumer": [10, 10]}),
            json!({"per_consumer": [5, 5]}),
            json!({"per_consumer": [5, 5]}),
        ),
        (
            "groups",
            json!({"per_group": [[8, 8], [8, 8]]}),
            json!({"per_group": [[2, 2], [2, 2]]}),
            json!({"per_group": [[4, 4], [4, 4]]}),
        ),
        (
            "death",
            json!({"after_death": {"waiting": 0, "claiming": 0}}),
            json!({"after_death": {"waiting": 0, "claiming": 1}}),
            json!({"after_death": {"waiting": 0, "claiming": 1}}),
        ),
        ("history", json!({"received": 0}), json!({"received": 0}), json!({"received": 10})),
    ];
    // How many bytes 20 messages take is Redis's business.
    let bytes = &rows[5]["stream"]["left"]["bytes"];
    assert!(bytes.as_u64().unwrap() > 20 * "message 30".len() as u64, "{bytes}");
    let nothing = json!({"left": {"keys": 0, "messages": 0, "bytes": 0}});
    let trimmed = json!({"left": {"keys": 1, "messages": 20, "bytes": bytes}});
    expected.push(("left", nothing.clone(), nothing, trimmed));

    for (row, (experiment, pubsub, list, stream)) in rows.iter().zip(&expected) {
        assert_eq!(row["experiment"], *experiment);
        assert_eq!(row["pubsub"], *pubsub, "{experiment}");
        assert_eq!(row["list"], *list, "{experiment}");
        assert_eq!(row["stream"], *stream, "{experiment}");
        assert!(row["follows"].as_str().unwrap().ends_with('.'), "{row}");
    }
    assert_eq!(rows.len(), expected.len());

    let progress: Vec<_> = text(&output.stderr).lines().map(str::to_owned).collect();
    assert_eq!(progress.len(), rows.len(), "{progress:#?}");
    for (number, (line, row)) in (1..).zip(progress.iter().zip(&rows)) {
        assert_eq!(*line, format!("{number}/6 {} ...", row["question"].as_str().unwrap()));
    }
}

pub(crate) fn markdown_is_one_line_per_row() {
    let table = cells(text(&succeeds(&mut compare(&["--markdown"])).stdout));
    assert_eq!(table[0], ["", "Pub/Sub", "List", "Stream", "What follows"]);
    assert_eq!(table[1], ["-"; 5]);
    assert_eq!(table[3][1..4], ["10 + 10", "5 + 5", "5 + 5"]);
    assert_eq!(table.len(), 2 + 6);
    for row in &table {
        assert_eq!(row.len(), 5, "{row:?}");
    }
}

pub(crate) fn the_lesson_has_this_table() {
    let lesson = std::fs::read_to_string(LESSON).unwrap();
    let (_, rest) = lesson.split_once("<!-- compare -->\n").expect("no <!-- compare -->");
    let (table, _) = rest.split_once("<!-- /compare -->").expect("no <!-- /compare -->");
    let printed = succeeds(&mut compare(&["--markdown"]));
    assert_eq!(cells(table.trim()), cells(text(&printed.stdout)));
}

pub(crate) fn the_terminal_table_fits_80_columns() {
    let output = succeeds(&mut compare(&[]));
    let (table, follows) = text(&output.stdout).split_once("\n\nWhat follows:\n").unwrap();
    for line in table.lines() {
        assert_eq!(line.chars().count(), 80, "{line}");
    }
    assert_eq!(follows.lines().count(), 6);
    assert!(follows.starts_with("1. "), "{follows}");
}

/// The cells of a Markdown table, without what differs between versions of Redis: the bytes, and
/// with them the width of their column.
fn cells(table: &str) -> Vec<Vec<String>> {
    let cell = |cell: &str| {
        let words: Vec<_> = cell.split_whitespace().collect();
        match words.as_slice() {
            [words @ .., bytes, "bytes"] if *bytes != "0" => format!("{} N bytes", words.join(" ")),
            [line] if line.chars().all(|character| character == '-') => "-".to_owned(),
            words => words.join(" "),
        }
    };
    let row = |line: &str| {
        let line = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        line.expect("no row of a table").split('|').map(cell).collect()
    };
    table.lines().map(row).collect()
}
