//! The table of patterns in lesson 3, every cell of it asked of a Redis.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::process::ExitCode;

use acceptance::Need;
use libtest_mimic::{Arguments, Failed, Trial};
use local_redis::{LocalRedis, PATIENCE};
use pubsub::{Event, PubSub, Publisher};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/3-patterns.md");
const SECTION: &str = "## What a pattern matches";
const HEADER: [&str; 2] = ["| pattern | matches | does not match |", "|---|---|---|"];
/// How a cell names the channel that no code span can show.
const EMPTY_NAME: &str = "the empty name";

/// Where the stand-in `meebis` answers otherwise: its `*` matches the empty name.
const REAL_REDIS_ONLY: [&str; 1] = ["*"];

struct Row {
    pattern: String,
    matches: Vec<String>,
    does_not_match: Vec<String>,
}

fn main() -> ExitCode {
    let real_redis = Need::real_redis();
    let rows = rows(&std::fs::read_to_string(PAGE).expect(PAGE));
    let patterns: BTreeSet<_> = rows.iter().map(|row| row.pattern.clone()).collect();
    let all = rows.len();
    let mut trials = vec![Trial::test("no_wildcard_is_left_out", move || {
        assert_eq!(patterns.len(), all, "a pattern has two rows");
        for pattern in
            ["news", "news:*", "*", "user:?", "room:[abc]", "room:[^a]", "room:[a-z]", r"\*"]
        {
            assert!(patterns.contains(pattern), "no row for {pattern}");
        }
        Ok(())
    })];
    trials.extend(rows.into_iter().map(|row| {
        let name = format!("'{}'", row.pattern);
        match REAL_REDIS_ONLY.contains(&row.pattern.as_str()) {
            true => real_redis.trial(&name, move || ask(&row)),
            false => Trial::test(name, move || ask(&row)),
        }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn rows(page: &str) -> Vec<Row> {
    let section = page.lines().skip_while(|&line| line != SECTION).skip(1);
    let mut table = section
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    for header in HEADER {
        assert_eq!(table.next(), Some(header), "in '{SECTION}' of {PAGE}");
    }
    table.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let ["", pattern, matches, does_not_match, ""] = cells[..] else {
        panic!("not three cells: {line}");
    };
    let mut pattern = names(pattern);
    assert_eq!(pattern.len(), 1, "not one pattern: {line}");
    Row {
        pattern: pattern.remove(0),
        matches: names(matches),
        does_not_match: names(does_not_match),
    }
}

/// The names in a cell. Nothing may stand there that would not be asked.
fn names(cell: &str) -> Vec<String> {
    let name = |text: &str| match text.strip_prefix('`').and_then(|it| it.strip_suffix('`')) {
        Some(name) if !name.is_empty() && !name.contains('`') => name.to_owned(),
        _ if text == EMPTY_NAME => String::new(),
        _ => panic!("neither `a name` nor {EMPTY_NAME}: {text}"),
    };
    // A comma between two code spans: a name may hold one too.
    cell.replace("`, ", "`\n").split('\n').map(name).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn ask(row: &Row) -> Result<(), Failed> {
    // One of its own: PUBLISH counts the receivers of all other rows, too.
    let redis = LocalRedis::start()?;
    let pubsub = PubSub::connect(&redis.url()).await?;
    let publisher = Publisher::connect(&redis.url()).await?;
    pubsub.psubscribe([&row.pattern]).await?;
    let confirmed = Event::PSubscribe { pattern: row.pattern.clone().into(), count: 1 };
    assert_eq!(pubsub.get_message(PATIENCE).await, Some(confirmed));

    let written = |channels: &[String], receivers| -> Vec<(String, u64)> {
        channels.iter().map(|channel| (channel.clone(), receivers)).collect()
    };
    let written = [written(&row.matches, 1), written(&row.does_not_match, 0)].concat();
    let mut asked = Vec::new();
    for (channel, _) in &written {
        asked.push((channel.clone(), publisher.publish(channel, "x").await?));
    }
    assert_eq!(written, asked, "left: the page, right: Redis (1 means that it matches)");

    for channel in &row.matches {
        let message = Event::PMessage {
            pattern: row.pattern.clone().into(),
            channel: channel.clone().into(),
            payload: "x".into(),
        };
        assert_eq!(pubsub.get_message(PATIENCE).await, Some(message));
    }
    Ok(())
}
