//! `cargo bench -- --quick` runs, and measures everybody: so that the benchmark can't rot.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use demo::Binaries;
use local_redis::Server;

/// The tables: of each title, the rows, of each row the cells.
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

    /// The rows of the table whose title begins like this, by their first cells. Checks that there
    /// is something in all of them.
    #[track_caller]
    fn rows(&self, title: &str) -> BTreeMap<String, Vec<String>> {
        let mut tables = self.0.iter().filter(|(name, _)| name.starts_with(title));
        let (_, rows) = tables.next().unwrap_or_else(|| panic!("no '{title}': {:?}", self.0));
        assert!(tables.next().is_none(), "more than one '{title}'");
        let header = &rows[0];
        // Behind the header there is a line of dashes.
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
    "floor: a raw reader",
    "`subscriber`",
    "`subscriber --json`",
    "`redis_crate_alone`",
    "`redis-cli --csv SUBSCRIBE`",
    "Python: `subscriber.py`",
];
const PATTERN_READERS: [&str; 4] = [
    "floor: a raw reader",
    "`pattern-subscriber`",
    "`pattern-subscriber --json`",
    "Python: `pattern_subscriber.py`",
];

/// The rows of these, each of them either with figures or with the reason why there are none.
#[track_caller]
fn assert_has(rows: &BTreeMap<String, Vec<String>>, names: &[&str]) {
    for name in names {
        let row = rows.iter().find(|(row, _)| row.split(" (").next() == Some(*name));
        let (_, cells) = row.unwrap_or_else(|| panic!("no {name}: {rows:#?}"));
        let why = cells[0].starts_with("left out") || cells[0].starts_with("there is no ");
        let may_be_missing = name.contains("redis-") || name.starts_with("Python");
        assert!(!why || may_be_missing, "{name}: {cells:?}");
        assert!(why || cells[0].starts_with(|c: char| c.is_ascii_digit() || c == '–'), "{cells:?}");
        assert!(!name.starts_with("Python") || why, "no Python in a quick run: {cells:?}");
    }
}

#[track_caller]
fn assert_bus(tables: &Tables) {
    let sent = tables.rows("On the bus, for each of 200 messages of 64 bytes");
    if Server::real().is_none() {
        return assert!(sent["cluster"][0].starts_with("there is no redis-server"), "{sent:?}");
    }
    // A plain message goes to each other node, a sharded one to the replica of its shard.
    for (nodes, messages) in [
        ("one node: plain", "0.00"),
        ("one node: sharded", "0.00"),
        ("3 primaries, 3 replicas: plain", "5.00"),
        ("3 primaries, 3 replicas: sharded", "1.00"),
    ] {
        let cells = &sent[nodes];
        assert_eq!(cells[0], messages, "{nodes}");
        if cfg!(target_os = "linux") {
            // One that sends nothing to others has nothing but its clients to write to.
            assert_eq!(cells[1] == "0", messages == "0.00", "{nodes}: {cells:?}");
            // There may be a heartbeat more or less than was counted.
            let each = cells[2].replace(',', "");
            let plausible = each.parse().is_ok_and(|each: u64| (80..3000).contains(&each));
            assert_eq!(plausible, messages != "0.00", "{nodes}: {cells:?}");
        }
        let work = &tables.rows("CPU for each of these messages")[nodes];
        // Another node delivers a plain one, and with it or after it others get it.
        let others = messages != "0.00";
        let is_there: Vec<_> = work.iter().map(|cell| cell.ends_with(" µs")).collect();
        assert_eq!(is_there, [true, messages == "5.00", others, true], "{nodes}: {work:?}");
    }
    let work = tables.rows("CPU for each of these messages");
    assert!(work.contains_key("one node: each further subscriber"), "{work:?}");
    assert_eq!(tables.rows("Messages that they carry")["12 nodes"][2], "12.00");
}

#[test]
fn everything_is_measured() {
    let benches = Binaries::build_benches(&["bench"]).unwrap();
    // As cargo runs it.
    let output =
        benches.command("services").unwrap().args(["--quick", "--bench"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let tables = Tables::of(&String::from_utf8(output.stdout).unwrap());

    for (names, readers) in
        [("notifications", &CHANNEL_READERS[..]), ("news:*", &PATTERN_READERS[..])]
    {
        for size in [16, 64, 1024] {
            let rows = tables.rows(&format!("Drain: 1,000 messages of {size} bytes, {names}"));
            assert_has(&rows, readers);
            for (name, cells) in &rows {
                assert!(["0", ""].contains(&cells[4].as_str()), "{name} lost {}", cells[4]);
            }
        }
    }
    let publishers = [
        "`redis-benchmark -c 1 -P 1024`",
        "floor: a raw writer",
        "`publisher --interval 0s`",
        "`redis-cli`, one at a time",
        "Python: `pipeline`",
        "Python: `publish`, one at a time",
    ];
    assert_has(&tables.rows("Publish rate: 5,120 messages"), &publishers);
    assert_has(&tables.rows("Latency from publishing to the printed line"), &CHANNEL_READERS);
    assert_has(&tables.rows("Start until subscribed"), &CHANNEL_READERS[..2]);
    assert_has(&tables.rows("Start until subscribed"), &["`pattern-subscriber`"]);
    let memory = tables.rows("Resident memory");
    assert!(memory.contains_key("`subscriber`") && memory.contains_key("`publisher`"));
    assert_has(
        &tables.rows("Release binaries"),
        &["`publisher`", "`subscriber`", "`pattern-subscriber`"],
    );
    for reader in ["floor: a raw reader", "`subscriber`", "`subscriber --json`"] {
        let figures = [format!("{reader}: wall"), format!("{reader}: CPU")];
        let figures = figures.each_ref().map(String::as_str);
        assert_has(&tables.rows("1,000 messages of 64 bytes, on so many channels"), &figures);
        assert_has(&tables.rows("1,200 lines in all"), &figures);
    }
    assert_bus(&tables);
    assert!(tables.rows("Measured on")["cores"][0].parse::<u32>().unwrap() > 0);

    // Each target is decided, except that where a figure is too small for its clock.
    let targets = tables.rows("Targets");
    for target in [
        "drain, `subscriber`: wall",
        "drain, `subscriber --json`: CPU",
        "drain, `pattern-subscriber`: CPU",
        "publish rate of `publisher --interval 0s`",
        "latency, `subscriber`: p99",
        "start until subscribed, `pattern-subscriber`",
        "`subscriber`, idle",
        "`subscriber --json`, in a flood",
    ] {
        let cells = &targets[target];
        let decided = ["met", "**not met**"].contains(&cells[2].as_str());
        assert_eq!(decided, cells[1] != "–", "{target}: {cells:?}");
    }
}
