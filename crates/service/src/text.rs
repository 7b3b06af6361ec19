//! Names and numbers as they appear in a sentence.

use std::fmt::{self, Display, Formatter};

use pubsub::escape::escaped;

/// `channel 'a'`, or `channels 'a', 'b'`.
pub fn channels<Name: AsRef<[u8]>>(names: &[Name]) -> String {
    let channels = if names.len() == 1 { "channel" } else { "channels" };
    format!("{channels} {}", quoted(names))
}

/// `'a', 'b'`, escaped for a terminal.
pub fn quoted<Name: AsRef<[u8]>>(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("'{}'", escaped(name))).collect();
    names.join(", ")
}

/// `1 receiver`, or `2 receivers`.
pub fn plural(count: u64, noun: &str) -> impl Display + '_ {
    Plural { count, noun }
}

struct Plural<'a> {
    count: u64,
    noun: &'a str,
}

impl Display for Plural<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let s = if self.count == 1 { "" } else { "s" };
        write!(f, "{} {}{s}", self.count, self.noun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        assert_eq!(channels(&["a"]), "channel 'a'");
        assert_eq!(channels(&["a", "b\n"]), r"channels 'a', 'b\n'");
        assert_eq!(plural(0, "receiver").to_string(), "0 receivers");
        assert_eq!(plural(1, "receiver").to_string(), "1 receiver");
    }
}
