use std::collections::HashMap;

/// Counts what the services say that they published and received.
#[derive(Default)]
pub(crate) struct Tally {
    published: HashMap<String, u64>,
    received: HashMap<String, u64>,
}

impl Tally {
    /// Counts the line if it reports a message.
    pub(crate) fn note(&mut self, line: &str) {
        if let Some(message) = published(line) {
            *self.published.entry(message).or_default() += 1;
        } else if let Some(message) = received(line) {
            *self.received.entry(message).or_default() += 1;
        }
    }

    pub(crate) fn published(&self) -> u64 {
        self.published.values().sum()
    }

    /// How many of the published messages arrived. (On a shared Redis, others may have published
    /// more on the same channels.)
    pub(crate) fn arrived(&self) -> u64 {
        let arrived = |(message, &count): (&String, &u64)| {
            count.min(self.received.get(message).copied().unwrap_or(0))
        };
        self.published.iter().map(arrived).sum()
    }
}

/// `'channel': message` of the publisher's line.
fn published(line: &str) -> Option<String> {
    let (message, _receivers) = line.rsplit_once(" (")?;
    if let Some(message) = message.strip_prefix("Published: ") {
        return Some(format!("'notifications': {message}"));
    }
    message.strip_prefix("Published to ").map(str::to_owned)
}

/// `'channel': message` of a subscriber's line.
fn received(line: &str) -> Option<String> {
    let message = line
        .strip_prefix("Received on channel ")
        .or_else(|| line.strip_prefix("Pattern 'news:*' matched channel "))?;
    Some(message.to_owned())
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
        assert_eq!(tally.published(), 3);
        assert_eq!(tally.arrived(), 1);
        tally.note("Received on channel 'notifications': Hello (again)");
        tally.note("Pattern 'news:*' matched channel 'news:sports': Hello");
        assert_eq!(tally.arrived(), 3);
    }
}
