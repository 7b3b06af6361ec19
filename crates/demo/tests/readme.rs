//! The README's console blocks, executed and compared.
//!
//! A block ```` ```console terminal-1 ```` shows commands and what they print. All blocks of a
//! section run beside one private Redis, in the order of the page; a subscriber stays running
//! until the text says "Press Ctrl+C in terminal 1" or the section ends. What is random (the
//! notification) is compared by shape, and what one terminal published must be what the others
//! received: on the page as well as in the run.
//!
//! `UPDATE_README=1 cargo test -p demo --test readme` writes the blocks anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod terminal;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use local_redis::LocalRedis;
use terminal::*;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

const NOTIFICATIONS: [&str; 4] = [
    "New user registered!",
    "Server backup completed.",
    "Payment received for order #12345.",
    "System maintenance scheduled for tonight.",
];

/// A piece of the page: text, or a console block.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Line(String),
    Block { terminal: String, lines: Vec<String> },
}

#[test]
fn every_console_block_is_what_its_commands_print() {
    let page = parse(&std::fs::read_to_string(README).unwrap());
    let mut printed = Vec::new();
    for section in page.split_inclusive(|piece| matches!(piece, Piece::Line(l) if l == SECTION_END))
    {
        printed.extend(run_section(section));
    }
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(README, format(&printed)).unwrap();
        return;
    }
    let update = "UPDATE_README=1 cargo test -p demo --test readme";
    for (written, printed) in page.iter().zip(&printed) {
        assert_eq!(shape(written), shape(printed), "is the README out of date? {update}");
    }
}

/// Stands before each section, so that a section is what ends with it.
const SECTION_END: &str = "<section ends>";

fn parse(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(terminal) = line.strip_prefix("```console ") {
            let lines = lines.by_ref().take_while(|&line| line != "```").map(str::to_owned);
            pieces.push(Piece::Block { terminal: terminal.to_owned(), lines: lines.collect() });
            continue;
        }
        assert_ne!(line, "```console", "a console block without a terminal is not executed");
        if line.starts_with("## ") {
            pieces.push(Piece::Line(SECTION_END.to_owned()));
        }
        pieces.push(Piece::Line(line.to_owned()));
    }
    pieces
}

fn format(page: &[Piece]) -> String {
    let mut text = String::new();
    for piece in page {
        match piece {
            Piece::Line(line) if line == SECTION_END => {}
            Piece::Line(line) => text += &format!("{line}\n"),
            Piece::Block { terminal, lines } => {
                text += &format!("```console {terminal}\n{}\n```\n", lines.join("\n"));
            }
        }
    }
    text
}

/// A subscriber that runs, and which piece of the section shows it.
struct Running {
    terminal: String,
    piece: usize,
    service: Terminal,
}

/// The section with its blocks as they were printed now.
fn run_section(section: &[Piece]) -> Vec<Piece> {
    let mut printed = section.to_vec();
    if !section.iter().any(|piece| matches!(piece, Piece::Block { .. })) {
        return printed;
    }
    let redis = LocalRedis::start().unwrap();
    let mut running: Vec<Running> = Vec::new();
    for (index, piece) in section.iter().enumerate() {
        match piece {
            Piece::Line(line) => {
                if let Some(terminal) = pressed_ctrl_c(line) {
                    receive_all(&mut printed, &mut running);
                    let at = running.iter().position(|r| r.terminal == terminal).unwrap();
                    let Running { piece, service, .. } = running.remove(at);
                    block(&mut printed, piece).push("^C".to_owned());
                    block(&mut printed, piece).extend(service.ctrl_c().with(0).stdout);
                }
            }
            Piece::Block { terminal, lines } => {
                block(&mut printed, index).clear();
                for command in lines.iter().filter(|line| line.starts_with("$ ")) {
                    block(&mut printed, index).push(command.clone());
                    let mut process = command_of(command);
                    let service = Terminal::start_command(process.env("REDIS_URL", redis.url()));
                    if command.contains("subscriber") {
                        let terminal = terminal.clone();
                        let shown = block(&mut printed, index);
                        wait_for_confirmation(&service, shown);
                        running.push(Running { terminal, piece: index, service });
                    } else {
                        let ended = service.end().with(0);
                        assert!(command.contains("demo") || ended.stderr.is_empty(), "{ended:#?}");
                        block(&mut printed, index).extend(ended.stdout);
                    }
                }
            }
        }
    }
    receive_all(&mut printed, &mut running);
    assert_received_is_published(section);
    assert_received_is_published(&printed);
    printed
}

fn block(page: &mut [Piece], index: usize) -> &mut Vec<String> {
    match &mut page[index] {
        Piece::Block { lines, .. } => lines,
        Piece::Line(line) => panic!("'{line}' is no console block"),
    }
}

fn pressed_ctrl_c(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Press Ctrl+C in terminal ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("terminal-{number}"))
}

/// `$ cargo run -qp SERVICE -- ARGUMENTS` or `$ cargo demo`, without cargo between.
fn command_of(line: &str) -> Command {
    let words = shell_words::split(line).unwrap();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (mut command, arguments) = match &words[..] {
        ["$", "cargo", "run", "-qp", service, "--", arguments @ ..] => {
            (service_command(service), arguments)
        }
        ["$", "cargo", "run", "-qp", service] => (service_command(service), &[][..]),
        ["$", "cargo", "demo", arguments @ ..] => {
            (Command::new(env!("CARGO_BIN_EXE_demo")), arguments)
        }
        _ => panic!("no command that a reader of the README runs: {line}"),
    };
    command.args(arguments);
    command
}

fn wait_for_confirmation(service: &Terminal, shown: &mut Vec<String>) {
    loop {
        let line = service.line();
        let confirmed = ["Subscribed ", r#"{"type":"subscribe""#, r#"{"type":"psubscribe""#]
            .iter()
            .any(|start| line.starts_with(start));
        shown.push(line);
        if confirmed {
            return;
        }
    }
}

/// Waits until the running subscribers have shown as many messages as Redis counted receivers.
fn receive_all(printed: &mut [Piece], running: &mut [Running]) {
    let start = Instant::now();
    loop {
        for Running { piece, service, .. } in &mut *running {
            block(printed, *piece).extend(service.lines_so_far());
        }
        let (published, received) = messages(printed);
        if published.values().sum::<u64>() <= received.values().sum() {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{published:#?} but {received:#?}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn assert_received_is_published(section: &[Piece]) {
    let (mut published, received) = messages(section);
    published.retain(|_, &mut receivers| receivers > 0);
    assert_eq!(published, received);
}

/// How many receivers each message had, and how often it was received.
fn messages(section: &[Piece]) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let (mut published, mut received) = (BTreeMap::new(), BTreeMap::new());
    let blocks = section.iter().filter_map(|piece| match piece {
        Piece::Block { lines, .. } => Some(lines),
        Piece::Line(_) => None,
    });
    for line in blocks.flatten() {
        // `cargo demo` puts the name of the service before each line.
        let line = line.split_once(" | ").map_or(line.as_str(), |(_, line)| line);
        let after_colon = || line.split_once("': ").or(line.split_once(": ")).unwrap().1;
        if line.starts_with("Published") && line.ends_with(')') {
            let (message, receivers) = after_colon().rsplit_once(" (").unwrap();
            let receivers: u64 = receivers.split(' ').next().unwrap().parse().unwrap();
            *published.entry(message.to_owned()).or_default() += receivers;
        } else if line.starts_with("Received on channel") || line.contains("' matched channel '") {
            *received.entry(after_colon().to_owned()).or_default() += 1;
        } else if let Some((_, data)) = line.split_once(r#","data":""#) {
            let message = data.trim_end_matches("\"}").to_owned();
            *received.entry(message).or_default() += 1;
        }
    }
    (published, received)
}

/// What must be the same on the page and in the run: everything but which notification was
/// picked, and in `cargo demo` the order of lines from processes that run at the same time.
fn shape(piece: &Piece) -> Piece {
    let Piece::Block { terminal, lines } = piece else { return piece.clone() };
    let random = |line: &String| {
        let picked = NOTIFICATIONS.iter().chain(&HEADLINES).find(|text| line.contains(**text));
        picked.map_or(line.clone(), |text| line.replace(text, "<at random>"))
    };
    let mut lines: Vec<_> = lines.iter().map(random).collect();
    if terminal == "cargo-demo" {
        lines.sort();
    }
    Piece::Block { terminal: terminal.clone(), lines }
}

const HEADLINES: [&str; 4] = [
    "Late result surprises everyone.",
    "Both sides claim victory.",
    "The favourite stumbles again.",
    "Record turnout expected on Sunday.",
];
