//! What a client printed, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::table::grouped;

/// How a client says that messages may be lost: the plainest way first, and last not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Event,
    Beside,
    End,
    Counter,
    Log,
    Nothing,
}

const LEVELS: [&str; 5] = ["event", "event beside the stream", "end", "counter", "log"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Heard {
    Message(u64),
    /// How many, if the client knows.
    Lost(Level, Option<usize>),
}

use Heard::{Lost, Message};

impl Heard {
    /// Reads a line of stdout. `None` for a line that says nothing about messages.
    pub(super) fn parse(line: &str) -> Option<Heard> {
        let line: Value = serde_json::from_str(line).ok()?;
        let level = match line["type"].as_str()? {
            "message" => {
                let number = line["data"].as_str()?.trim_end_matches('.');
                return Some(Message(number.parse().ok()?));
            }
            "lost" if line["by"] == "beside" => Level::Beside,
            "lost" if line["by"] == "counter" => Level::Counter,
            // All but the last are from our own subscriber.
            "disconnected" | "missed" | "refused" | "lost" => Level::Event,
            _ => return None,
        };
        Some(Lost(level, line["count"].as_u64().map(|count| count as usize)))
    }
}

/// The messages alone, with their numbers.
pub(super) fn messages(
    heard: &[(Instant, Heard)],
) -> impl DoubleEndedIterator<Item = (Instant, u64)> {
    heard.iter().filter_map(|&(when, heard)| match heard {
        Message(number) => Some((when, number)),
        Lost(..) => None,
    })
}

/// What became of the messages.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub published: usize,
    pub received: usize,
    pub missing: usize,
    /// How many of the missing ones were announced.
    pub announced: BTreeMap<Level, usize>,
    /// How often messages were called lost when none were.
    pub false_alarms: usize,
}

/// How much later than the next message an announcement may come: another stream may be slower.
const LATE: Duration = Duration::from_secs(2);

impl Tally {
    /// Compares what was published with what was heard.
    pub(super) fn of(published: &[u64], heard: &[(Instant, Heard)]) -> Tally {
        let received: BTreeSet<u64> = messages(heard).map(|(_, number)| number).collect();
        let lost: BTreeSet<u64> =
            published.iter().copied().filter(|number| !received.contains(number)).collect();
        let mut tally = Tally {
            // One that arrived was published, though Redis may have died before it said so.
            published: received.len() + lost.len(),
            received: received.len(),
            missing: lost.len(),
            ..Tally::default()
        };

        // For each gap its messages, until when it can be announced, and how it was.
        let mut gaps: Vec<(usize, Instant, Level)> = Vec::new();
        let mut counts = Vec::new();
        let mut last = 0;
        // The announcements since the last message are one alarm. It is true if a gap follows, or
        // if it belongs to the gap before.
        let (mut alarm, mut is_late) = (Level::Nothing, false);
        for &(when, heard) in heard.iter().chain([&(Instant::now(), Message(u64::MAX))]) {
            match heard {
                Message(number) => {
                    let missing = lost.range(last..number.max(last)).count();
                    last = number.max(last);
                    if missing > 0 {
                        gaps.push((missing, when + LATE, alarm));
                    } else {
                        // Log lines do not count, as they are not meant for the program.
                        tally.false_alarms += usize::from(alarm < Level::Log && !is_late);
                    }
                    (alarm, is_late) = (Level::Nothing, false);
                }
                Lost(level, Some(count)) => counts.push((level, count)),
                Lost(level, None) => {
                    alarm = alarm.min(level);
                    if let Some((_, _, before)) = gaps.last_mut().filter(|gap| when < gap.1) {
                        *before = level.min(*before);
                        is_late = true;
                    }
                }
            }
        }

        for (missing, _, level) in gaps {
            *tally.announced.entry(level).or_default() += missing;
        }
        let mut rest = tally.announced.remove(&Level::Nothing).unwrap_or(0);
        // A count says how many are missing, wherever they are.
        for (level, count) in counts {
            let announced = rest.min(count);
            *tally.announced.entry(level).or_default() += announced;
            rest -= announced;
            tally.false_alarms += usize::from(tally.missing == 0 && count > 0);
        }
        tally.announced.retain(|_, messages| *messages > 0);
        tally
    }

    /// How many of the missing messages were announced, and how.
    pub(super) fn announced(&self) -> String {
        if self.announced.is_empty() {
            return if self.missing == 0 { "–" } else { "**none**" }.to_owned();
        }
        let announced = self.announced.iter().map(|(&level, &count)| {
            let messages = if count == self.missing { "all" } else { &grouped(count) };
            format!("{messages}: {}", LEVELS[level as usize])
        });
        announced.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[(u64, Heard)]) -> Vec<(Instant, Heard)> {
        let start = Instant::now();
        lines.iter().map(|(second, heard)| (start + Duration::from_secs(*second), *heard)).collect()
    }

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
    fn messages_are_found_between_other_lines() {
        let heard = heard(&[(0, Message(1)), (1, Lost(Level::Log, None)), (5, Message(3))]);
        let found = messages(&heard).find(|(_, number)| *number >= 2);
        assert_eq!(found, Some((heard[2].0, 3)));
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
