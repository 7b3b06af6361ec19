//! Bytes from strangers, made fit for a terminal.

use std::fmt::{self, Display, Formatter};

/// Shows bytes as text on one line, whatever they are.
///
/// A payload is anybody's bytes. Printed as they are, an escape sequence could rewrite the
/// reader's screen, a line break could forge a line of output, and a bidirectional override
/// could turn it around. So what is not plain text comes out escaped, as Rust would write it
/// (`\n`, `\u{1b}`), and bytes that are not UTF-8 as `\xff`. Backslashes stay as they are: who
/// needs the exact bytes takes `--json`.
pub fn text(bytes: &(impl AsRef<[u8]> + ?Sized)) -> impl Display + '_ {
    Text(bytes.as_ref())
}

struct Text<'a>(&'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain(self.0)
            && let Ok(plain) = str::from_utf8(self.0)
        {
            return f.write_str(plain);
        }
        for chunk in self.0.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some((at, dangerous)) = rest.char_indices().find(|&(_, c)| is_dangerous(c)) {
                f.write_str(&rest[..at])?;
                write!(f, "{}", dangerous.escape_default())?;
                rest = &rest[at + dangerous.len_utf8()..];
            }
            f.write_str(rest)?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether nothing has to be escaped: most text is that plain. A loop that does not stop at the
/// first exception is one that the compiler makes take many bytes at a time.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// Whether a terminal would obey the character instead of showing it.
pub(crate) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}'                             // line and paragraph separators
            | '\u{61c}' | '\u{200e}' | '\u{200f}'               // marks of writing direction
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // overrides and isolates of it
            | '\u{feff}' // byte order mark: invisible
        )
}

/// Channels as they stand in a sentence: `channel 'a'`, `channels 'a', 'b'`.
pub fn channels<Name: AsRef<[u8]>>(names: &[Name]) -> String {
    let channels = if names.len() == 1 { "channel" } else { "channels" };
    format!("{channels} {}", quoted(names))
}

/// Names as they stand in a sentence: `'a', 'b'`.
pub fn quoted<Name: AsRef<[u8]>>(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("'{}'", text(name))).collect();
    names.join(", ")
}

/// A count and its noun: `1 receiver`, `2 receivers`.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for plain in ["", "New user registered!", "Größe: 5 €", "日本語", "👩‍💻", r"C:\new"]
        {
            assert_eq!(text(plain).to_string(), plain);
        }
    }

    #[test]
    fn what_could_harm_a_terminal_is_escaped() {
        for (payload, shown) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("\u{9b}2J\u{7f}\0", r"\u{9b}2J\u{7f}\u{0}"),
            ("a\u{202e}b\u{2066}c", r"a\u{202e}b\u{2066}c"),
            ("a\u{2028}b\u{85}c", r"a\u{2028}b\u{85}c"),
        ] {
            assert_eq!(text(payload).to_string(), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        assert_eq!(text(b"ok\xff\xfe\n\xc3").to_string(), r"ok\xff\xfe\n\xc3");
    }

    #[test]
    fn sentences() {
        assert_eq!(channels(&["a"]), "channel 'a'");
        assert_eq!(channels(&["a", "b\n"]), r"channels 'a', 'b\n'");
        assert_eq!(plural(0, "receiver").to_string(), "0 receivers");
        assert_eq!(plural(1, "receiver").to_string(), "1 receiver");
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_line_without_a_control_character(bytes: Vec<u8>) {
            let line = text(&bytes).to_string();
            prop_assert!(!line.chars().any(is_dangerous), "{line:?}");
            prop_assert!(line.lines().count() <= 1);
        }

        /// As above, with far more of what is dangerous than chance would bring.
        #[test]
        fn any_text_is_one_line_without_a_control_character(
            payload in "([\\PC]|[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}])*",
        ) {
            let line = text(&payload).to_string();
            prop_assert!(!line.chars().any(is_dangerous), "{line:?}");
            let harmless = !payload.chars().any(is_dangerous);
            prop_assert_eq!(line == payload, harmless);
        }
    }
}
