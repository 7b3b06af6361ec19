use std::collections::HashMap;

/// Counts the messages that the services report.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) published: u64,
    /// How often each message was published, less how often it was received. (On a shared Redis,
    /// others may have published more on the same channels.)
    open: HashMap<String, i64>,
}

impl Tally {
    /// Counts the line if it reports a message.
    pub(crate) fn note(&mut self, line: &str) {
        if let Some(message) = published(line) {
            self.published += 1;
            *self.open.entry(message).or_default() += 1;
        } else if let Some(message) = received(line) {
            *self.open.entry(message.to_owned()).or_default() -= 1;
        }
    }

    /// How many of the published messages did not arrive.
    pub(crate) fn missing(&self) -> u64 {
        self.open.values().filter_map(|&open| u64::try_from(open).ok()).sum()
    }
}

/// `'channel': message` in the publisher's line.
fn published(line: &str) -> Option<String> {
    let (message, _receivers) = line.strip_prefix("Published")?.rsplit_once(" (")?;
    Some(match message.strip_prefix(" to ") {
        Some(message) => message.to_owned(),
        None => format!("'notifications'{message}"),
    })
}

/// `'channel': message` in a subscriber's line.
fn received(line: &str) -> Option<&str> {
    line.strip_prefix("Received on channel ")
        .or_else(|| line.strip_prefix("Pattern 'news:*' matched channel "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_arrived() {
        let mut tally = Tally::default();
        for line in [
            "Publisher: Sending messages to channel 'notifications'...",
            "Published: Hello (again) (1 receiver)",
            "Published: Hello (again) (1 receiver)",
            "Published to 'news:sports': Hello (0 receivers)",
            "Received on channel 'notifications': Hello (again)",
            "Received on channel 'notifications': somebody else's",
            "Pattern 'news:*' matched channel 'news:politics': Hello",
        ] {
            tally.note(line);
        }
        assert_eq!((tally.published, tally.missing()), (3, 2));
        tally.note("Received on channel 'notifications': Hello (again)");
        tally.note("Pattern 'news:*' matched channel 'news:sports': Hello");
        assert_eq!((tally.published, tally.missing()), (3, 0));
    }
}
