//! What a client printed, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

/// How a client says that messages may be lost; the plainest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// An item in the stream of messages.
    Event,
    /// An event on a channel of its own.
    Beside,
    /// The stream or the program ends.
    End,
    /// A number that the program must ask for.
    Counter,
    /// A line in the log.
    Log,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Heard {
    Message(u64),
    Lost(Level, Option<u64>),
}

impl Heard {
    /// A line of stdout. Others than these say nothing about messages.
    pub(super) fn parse(line: &str) -> Option<Heard> {
        let line: Value = serde_json::from_str(line).ok()?;
        let level = match line["type"].as_str()? {
            "message" | "smessage" => {
                let number = line["data"].as_str()?.trim_end_matches('.');
                return Some(Heard::Message(number.parse().ok()?));
            }
            "lost" if line["by"] == "beside" => Level::Beside,
            "lost" if line["by"] == "counter" => Level::Counter,
            // The first are those of our own subscriber.
            "disconnected" | "missed" | "refused" | "lost" => Level::Event,
            _ => return None,
        };
        Some(Heard::Lost(level, line["count"].as_u64()))
    }
}

/// What became of the messages.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Tally {
    pub published: usize,
    pub received: usize,
    pub missing: usize,
    /// Of the missing ones.
    pub announced: BTreeMap<Level, usize>,
    /// How often messages were called lost when none were.
    pub false_alarms: usize,
}

/// How much later than the next message an announcement may come: those on other channels have
/// their own way.
const LATE: Duration = Duration::from_secs(2);

impl Tally {
    /// Of what was published, in order, and what was heard, in order.
    pub(super) fn of(published: &[u64], heard: &[(Instant, Heard)]) -> Tally {
        let received: BTreeMap<u64, Instant> = heard
            .iter()
            .filter_map(|(when, heard)| match heard {
                Heard::Message(number) => Some((*number, *when)),
                Heard::Lost(..) => None,
            })
            .collect();
        // A message that arrived was published, though Redis may have died before it said so.
        let all: BTreeSet<u64> = published.iter().chain(received.keys()).copied().collect();
        let lost = || {
            heard.iter().filter_map(|(when, heard)| match heard {
                Heard::Lost(level, count) => Some((*when, *level, *count)),
                Heard::Message(_) => None,
            })
        };

        let mut tally = Tally {
            published: all.len(),
            received: received.len(),
            missing: all.len() - received.len(),
            ..Tally::default()
        };
        let gaps = gaps(&all, &received);
        let mut uncovered = 0;
        for (window, missing) in &gaps {
            let told = lost().filter(|(when, _, count)| window.contains(when) && count.is_none());
            match told.map(|(_, level, _)| level).min() {
                Some(level) => *tally.announced.entry(level).or_default() += missing,
                None => uncovered += missing,
            }
        }
        // A count says how many are missing, wherever they are.
        for (_, level, count) in lost() {
            let Some(count) = count else { continue };
            let told = usize::try_from(count).unwrap_or(usize::MAX).min(uncovered);
            tally.false_alarms += usize::from(told == 0 && count > 0 && tally.missing == 0);
            uncovered -= told;
            if told > 0 {
                *tally.announced.entry(level).or_default() += told;
            }
        }
        tally.false_alarms += false_alarms(heard, &gaps);
        tally
    }
}

/// Runs of missing messages: when they can have been announced, and how many they are.
fn gaps(all: &BTreeSet<u64>, received: &BTreeMap<u64, Instant>) -> Vec<(Range<Instant>, usize)> {
    let Some(first) = received.values().min().copied() else { return Vec::new() };
    let end = received.values().max().copied().unwrap_or(first) + Duration::from_secs(3600);
    let mut gaps: Vec<(Range<Instant>, usize)> = Vec::new();
    let mut before = first;
    let mut open = false;
    for number in all {
        if let Some(when) = received.get(number) {
            if let (true, Some((window, _))) = (open, gaps.last_mut()) {
                window.end = *when + LATE;
            }
            (before, open) = (*when, false);
        } else if let (true, Some((_, missing))) = (open, gaps.last_mut()) {
            *missing += 1;
        } else {
            gaps.push((before..end, 1));
            open = true;
        }
    }
    gaps
}

/// Announcements without a message between them are one alarm. Of a log's lines nothing is said
/// here: they are not meant for the program.
fn false_alarms(heard: &[(Instant, Heard)], gaps: &[(Range<Instant>, usize)]) -> usize {
    let mut alarms = 0;
    let mut ringing = None;
    for (when, heard) in heard {
        match heard {
            Heard::Lost(Level::Log, _) | Heard::Lost(_, Some(_)) => {}
            Heard::Lost(..) => {
                let real = gaps.iter().any(|(window, _)| window.contains(when));
                ringing = Some(ringing.unwrap_or(false) || real);
            }
            Heard::Message(_) => {
                alarms += usize::from(ringing.take() == Some(false));
            }
        }
    }
    alarms + usize::from(ringing == Some(false))
}

/// The longest time from one message to the next, of those that begin within this time. What a
/// busy machine delays later has nothing to do with the fault.
pub(super) fn longest_silence(
    heard: &[(Instant, Heard)],
    within: Range<Instant>,
) -> Range<Instant> {
    let mut longest = within.start..within.start;
    let mut last = within.start;
    for (when, heard) in heard {
        if matches!(heard, Heard::Message(_)) && *when >= within.start && last < within.end {
            if *when - last > longest.end - longest.start {
                longest = last..*when;
            }
            last = *when;
        }
    }
    longest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn heard(lines: &[(u64, Heard)]) -> Vec<(Instant, Heard)> {
        let start = Instant::now();
        lines.iter().map(|(second, heard)| (start + Duration::from_secs(*second), *heard)).collect()
    }

    use Heard::{Lost, Message};

    #[test]
    fn a_gap_is_announced_between_its_neighbours() {
        let lines = [(0, Message(1)), (5, Lost(Level::Event, None)), (9, Message(5))];
        let tally = Tally::of(&[1, 2, 4, 5], &heard(&lines));
        let announced = BTreeMap::from([(Level::Event, 2)]);
        let expected = Tally { published: 4, received: 2, missing: 2, announced, false_alarms: 0 };
        assert_eq!(tally, expected);
    }

    #[test]
    fn a_gap_elsewhere_is_not_announced_and_the_alarm_is_false() {
        let lines =
            [(0, Message(1)), (1, Message(4)), (9, Lost(Level::Beside, None)), (9, Message(5))];
        let tally = Tally::of(&[1, 2, 3, 4, 5], &heard(&lines));
        assert_eq!((tally.missing, tally.announced.len(), tally.false_alarms), (2, 0, 1));
    }

    #[test]
    fn several_announcements_of_one_outage_are_one_alarm() {
        let lost = (1, Lost(Level::Beside, None));
        let tally = Tally::of(&[1, 2], &heard(&[(0, Message(1)), lost, lost, (1, Message(2))]));
        assert_eq!((tally.missing, tally.false_alarms), (0, 1));
    }

    #[test]
    fn a_count_announces_so_many_and_no_more() {
        let lines = [(0, Message(1)), (0, Lost(Level::Counter, Some(2))), (1, Message(5))];
        let tally = Tally::of(&[1, 2, 3, 4, 5], &heard(&lines));
        assert_eq!(tally.announced, BTreeMap::from([(Level::Counter, 2)]));
        assert_eq!((tally.missing, tally.false_alarms), (3, 0));
    }

    #[test]
    fn the_best_level_counts_for_a_gap_without_an_end() {
        let lines = [(0, Message(1)), (1, Lost(Level::Log, None)), (2, Lost(Level::End, None))];
        let tally = Tally::of(&[1, 2], &heard(&lines));
        assert_eq!(tally.announced, BTreeMap::from([(Level::End, 1)]));
    }

    #[test]
    fn the_silence_of_a_fault_begins_in_its_time() {
        let lines = heard(&[0, 1, 5, 30].map(|second| (second, Message(second))));
        let (start, five) = (lines[0].0, lines[2].0);
        let silence = longest_silence(&lines, start..start + Duration::from_secs(3));
        assert_eq!(silence.end, five);
    }

    #[test]
    fn lines_of_all_clients() {
        let ours = r#"{"type":"message","pattern":null,"channel":"n","data":"17"}"#;
        assert_eq!(Heard::parse(ours), Some(Message(17)));
        let padded = r#"{"type":"message","data":"17......"}"#;
        assert_eq!(Heard::parse(padded), Some(Message(17)));
        let missed = r#"{"type":"missed","count":3}"#;
        assert_eq!(Heard::parse(missed), Some(Lost(Level::Event, Some(3))));
        let beside = r#"{"type":"lost","by":"beside","count":null,"reason":"reconnected"}"#;
        assert_eq!(Heard::parse(beside), Some(Lost(Level::Beside, None)));
        assert_eq!(Heard::parse(r#"{"type":"subscribe","channel":"n","count":1}"#), None);
    }
}
