//! Names and numbers as they appear in a sentence.

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
pub fn plural(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        assert_eq!(channels(&["a"]), "channel 'a'");
        assert_eq!(channels(&["a", "b\n"]), r"channels 'a', 'b\n'");
        assert_eq!(plural(0, "receiver"), "0 receivers");
        assert_eq!(plural(1, "receiver"), "1 receiver");
    }
}
