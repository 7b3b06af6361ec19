//! Runs `cargo bench -- --quick`, and checks that every program is measured.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use demo::Binaries;

/// By title, the rows of each table, and their cells.
struct Tables(BTreeMap<String, Vec<Vec<String>>>);

impl Tables {
    fn of(stdout: &str) -> Tables {
        let mut tables = BTreeMap::new();
        let mut title = String::new();
        for line in stdout.lines() {
            if let Some(cells) = line.strip_prefix('|') {
                let cells = cells.trim_end_matches('|').split('|').map(|cell| cell.trim().into());
                tables.entry(title.clone()).or_insert_with(Vec::new).push(cells.collect());
            } else if let Some(name) = line.strip_suffix(':') {
                title = name.to_owned();
            }
        }
        Tables(tables)
    }

    /// The rows of the table whose title starts with `title`, by their first cells.
    #[track_caller]
    fn rows(&self, title: &str) -> BTreeMap<String, Vec<String>> {
        let mut tables = self.0.iter().filter(|(name, _)| name.starts_with(title));
        let (_, rows) =
            tables.next().unwrap_or_else(|| panic!("no '{title}': {:?}", self.0.keys()));
        assert!(tables.next().is_none(), "more than one '{title}'");
        let header = &rows[0];
        // A line of dashes follows the header.
        let rows = rows[2..].iter().map(|row| {
            assert_eq!(row.len(), header.len(), "{title}: {row:?}");
            for figure in row {
                assert!(!figure.contains("NaN") && !figure.contains("inf"), "{title}: {row:?}");
            }
            (row[0].clone(), row[1..].to_vec())
        });
        rows.collect()
    }
}

const CHANNEL_READERS: [&str; 6] = [
    "raw reader",
    "`subscriber`",
    "`subscriber --json`",
    "redis crate alone",
    "`redis-cli --csv SUBSCRIBE`",
    "Python: `subscriber.py`",
];
const PATTERN_READERS: [&str; 3] =
    ["raw reader", "`pattern-subscriber`", "`pattern-subscriber --json`"];

/// Checks that these have a row, with figures or with the reason why there are none.
#[track_caller]
fn assert_has(rows: &BTreeMap<String, Vec<String>>, names: &[&str]) {
    for name in names {
        let row = rows.iter().find(|(row, _)| row.split(" (").next() == Some(*name));
        let (_, cells) = row.unwrap_or_else(|| panic!("no {name}: {rows:#?}"));
        let why = cells[0].starts_with("left out") || cells[0].starts_with("there is no ");
        let may_be_missing = name.contains("redis-") || name.contains("Python");
        assert!(!why || may_be_missing, "{name}: {cells:?}");
        assert!(why || cells[0].starts_with(|c: char| c.is_ascii_digit() || c == '–'), "{cells:?}");
        assert!(!name.contains("Python") || why, "no Python in a quick run: {cells:?}");
    }
}

#[test]
fn everything_is_measured() {
    let benches = Binaries::build(&["bench"], &["--benches"]).unwrap();
    // Cargo adds `--bench`.
    let output =
        benches.command("services").unwrap().args(["--quick", "--bench"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let tables = Tables::of(&stdout);

    for (messages, readers) in [
        ("1,000 messages of 64 bytes, notifications", &CHANNEL_READERS[..]),
        ("1,000 messages of 16 bytes, notifications", &CHANNEL_READERS),
        ("333 messages of 1024 bytes, notifications", &CHANNEL_READERS),
        ("1,666 messages of 1024 bytes, notifications", &CHANNEL_READERS[..3]),
        ("1,000 messages of 64 bytes, news:*", &PATTERN_READERS),
        ("1,000 messages of 16 bytes, news:*", &PATTERN_READERS),
    ] {
        let rows = tables.rows(&format!("Drain: {messages}"));
        assert_has(&rows, readers);
        for (name, cells) in &rows {
            assert!(["0", ""].contains(&cells[4].as_str()), "{name} lost {}", cells[4]);
        }
    }
    let (_, bars) = stdout.split_once("```text\n").unwrap();
    let bars: Vec<_> = bars.split("```").next().unwrap().lines().collect();
    // The others may be missing on this machine.
    for reader in &CHANNEL_READERS[..4] {
        let name = format!("{} ", reader.replace('`', ""));
        let bar = bars.iter().find(|bar| bar.starts_with(&name)).unwrap();
        let (bar, figure) = bar.rsplit_once(' ').unwrap();
        // Too little for the clock, or as many blocks. (The figure is rounded, too.)
        let blocks = bar.matches('█').count() as f64;
        let is_right = |figure: f64| (figure - blocks).abs() < 0.51;
        assert!(figure == "–" || figure.parse().is_ok_and(is_right), "{bar} {figure}");
    }
    let writers = [
        "raw writer",
        "`redis-benchmark -c 1 -P 1024`",
        "`flood`",
        "Python: `pipeline`",
        "one at a time: `publisher --interval 0s`",
        "one at a time: Python, `publish`",
    ];
    assert_has(&tables.rows("Publish rate: 5,120 messages"), &writers);
    assert_has(&tables.rows("Latency from publishing to the printed line"), &CHANNEL_READERS);
    assert_has(&tables.rows("Start until subscribed"), &CHANNEL_READERS);
    assert_has(&tables.rows("Start until subscribed"), &["`pattern-subscriber`"]);
    assert_has(&tables.rows("Resident memory"), &CHANNEL_READERS);
    assert_has(&tables.rows("Resident memory"), &["`publisher`"]);
    let (_, machine) = stdout.split_once("Measured on ").unwrap();
    let (cores, machine) = machine.split_once(" cores of ").unwrap();
    assert!(cores.parse::<u32>().unwrap() > 0, "{cores}");
    let machine = machine.lines().next().unwrap();
    assert!(machine.contains(", rustc 1.") && !machine.contains(", ,"), "{machine}");

    // Every target is decided, unless its figure is too small for the clock.
    let targets = tables.rows("Targets");
    for target in [
        "drain, 1,000 × 64 bytes, `subscriber`: wall",
        "drain, 1,000 × 64 bytes, `pattern-subscriber --json`: CPU",
        "drain, 1,000 × 16 bytes, `subscriber --json`: CPU",
        "drain, 1,666 × 1024 bytes, `subscriber`: wall",
        "publish rate, `flood`",
        "latency, `subscriber`: p99",
        "start until subscribed, `pattern-subscriber`",
        "`subscriber`, idle",
        "`subscriber --json`, in a flood",
    ] {
        let cells = &targets[target];
        let decided = ["met", "**not met**"].contains(&cells[2].as_str());
        assert_eq!(decided, cells[0] != "–", "{target}: {cells:?}");
    }
}
