//! Compares a page with its run, except for the parts that differ from run to run.

use std::collections::BTreeMap;

use crate::page::{Block, Piece, Section};
use acceptance::line::shape_of;

/// The section with placeholders for the parts that differ from run to run.
pub(crate) fn of(section: &Section) -> String {
    let is_about_loss = messages(section).are_lost_on_purpose;
    let shape = section.0.iter().map(|piece| match piece {
        Piece::Text(_) | Piece::File(_) => piece.clone(),
        Piece::Block(block) => {
            let mut block = of_block(block);
            if is_about_loss {
                // The number of equal lines depends on the pace of the reader.
                block.lines.dedup();
            }
            Piece::Block(block)
        }
    });
    Section(shape.collect()).text()
}

fn of_block(block: &Block) -> Block {
    let lines = block.lines.iter().map(|line| shape_of(line));
    // stdout and stderr arrive in a terminal in no certain order, so each is compared by itself.
    let is_stderr = |line: &String| {
        ["<time>", "error: ", "  hint: "].iter().any(|start| line.starts_with(start))
    };
    let (logs, mut lines): (Vec<_>, Vec<_>) = lines.partition(is_stderr);
    if block.lines.iter().any(|line| line.starts_with("$ cargo demo")) {
        // Its four processes print in no certain order.
        lines.sort();
    }
    // A message that matches several patterns is received once for each, in no certain order.
    let tail = |line: &String| line.split_once(" matched ").map(|(_, tail)| tail.to_owned());
    for same in lines.chunk_by_mut(|line, next| tail(line).is_some() && tail(line) == tail(next)) {
        same.sort();
    }
    lines.extend(logs);
    // The progress of a flood on a slow machine.
    lines.retain(|line| !(line.contains(" of ") && line.ends_with(" published")));
    // Printed until the next command is typed.
    lines.dedup_by(|line, last| line == last && line.starts_with("No message yet"));
    Block { terminal: block.terminal.clone(), lines }
}

/// Programs that do not print every message, or print it in another form than the services.
const OWN_LINES: [&str; 4] =
    ["--example exercise_", "--example solution_", "--example silent_loss", "--example leak"];

/// How many receivers each message had, and how often it was received.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    published: BTreeMap<String, u64>,
    received: BTreeMap<String, u64>,
    /// Whether the section is about an outage or a slow reader.
    pub are_lost_on_purpose: bool,
}

impl Messages {
    pub(crate) fn all_received(&self) -> bool {
        self.published.values().sum::<u64>() <= self.received.values().sum()
    }
}

/// Asserts that each published message was received as often as Redis counted receivers.
#[track_caller]
pub(crate) fn assert_received_is_published(section: &Section) {
    let Messages { mut published, received, are_lost_on_purpose } = messages(section);
    published.retain(|_, &mut receivers| receivers > 0);
    if !are_lost_on_purpose {
        assert_eq!(published, received, "published and received in:\n{}", section.text());
    }
}

pub(crate) fn messages(section: &Section) -> Messages {
    let mut messages = Messages::default();
    let mut command = None;
    for line in section.blocks().flat_map(|block| &block.lines) {
        // `cargo demo` puts the name of the service before each line.
        let line = line.split_once(" | ").map_or(line.as_str(), |(_, line)| line);
        let after_colon = || line.split_once("': ").or(line.split_once(": ")).unwrap().1;
        if let Some(published) = line.strip_prefix("$ redis-cli PUBLISH ") {
            // The next line has the answer.
            command = published.split_once(' ').map(|(_, message)| message.trim_matches('"'));
        } else if let (Some(message), Some(receivers)) = (command, line.strip_prefix("(integer) "))
        {
            *messages.published.entry(message.to_owned()).or_default() +=
                receivers.parse::<u64>().unwrap();
            command = None;
        } else if line.starts_with("Published") && line.ends_with(')') {
            let (message, receivers) = after_colon().rsplit_once(" (").unwrap();
            let receivers = receivers.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>();
            let receivers = receivers.unwrap_or_else(|_| panic!("how many receivers? {line}"));
            *messages.published.entry(message.to_owned()).or_default() += receivers;
        } else if line.starts_with("Received on channel") || line.contains("' matched channel '") {
            *messages.received.entry(after_colon().to_owned()).or_default() += 1;
        } else if let Some(message) = line.strip_prefix("Received: ") {
            *messages.received.entry(message.to_owned()).or_default() += 1;
        } else if let Some((_, data)) = line.split_once(r#","data":""#) {
            let message = data.trim_end_matches("\"}").to_owned();
            *messages.received.entry(message).or_default() += 1;
        } else if line.contains("not confirmed")
            || line.contains("Missed ")
            || line.contains(" | {")
            || OWN_LINES.iter().any(|program| line.contains(program))
        {
            messages.are_lost_on_purpose = true;
        }
    }
    messages
}
