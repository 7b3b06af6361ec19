//! Shows bytes from strangers as text that is safe for a terminal.

use std::fmt::{self, Display, Formatter, Write};

/// Shows bytes as text on one line.
///
/// A payload can hold any bytes. Printed unchanged, an escape sequence could rewrite the reader's
/// screen, a line break could forge a line of output, and a bidirectional override could reverse
/// it. So dangerous characters appear as Rust would write them (`\n`, `\u{1b}`), and bytes that are
/// not UTF-8 as `\xff`. Backslashes stay unchanged, so the result cannot be turned back into bytes.
pub fn escaped(bytes: &(impl AsRef<[u8]> + ?Sized)) -> impl Display + '_ {
    Escaped(bytes.as_ref())
}

struct Escaped<'a>(&'a [u8]);

impl Display for Escaped<'_> {
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
                dangerous.escape_default().try_for_each(|c| f.write_char(c))?;
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

/// Whether all bytes are printable ASCII, as in most messages: then nothing needs escaping.
pub fn is_plain(bytes: &[u8]) -> bool {
    // Bytes below the space wrap around to large numbers, so one maximum checks both ends. Without
    // an early exit the compiler can look at many bytes at a time.
    bytes.iter().fold(0, |most, byte| byte.wrapping_sub(b' ').max(most)) <= b'~' - b' '
}

/// Whether a terminal would obey the character instead of showing it.
pub fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}'                             // line and paragraph separators
            | '\u{61c}' | '\u{200e}' | '\u{200f}'               // marks of writing direction
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // overrides and isolates of it
            | '\u{feff}' // byte order mark: invisible
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_stays_unchanged() {
        for plain in ["", "New user registered!", "Größe: 5 €", "日本語", "👩‍💻", r"C:\new"]
        {
            assert_eq!(escaped(plain).to_string(), plain);
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
            assert_eq!(escaped(payload).to_string(), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        assert_eq!(escaped(b"ok\xff\xfe\n\xc3").to_string(), r"ok\xff\xfe\n\xc3");
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_line_without_a_control_character(bytes: Vec<u8>) {
            let line = escaped(&bytes).to_string();
            prop_assert!(!line.chars().any(is_dangerous), "{line:?}");
            prop_assert!(line.lines().count() <= 1);
        }

        /// As above, with far more dangerous characters than chance would bring.
        #[test]
        fn any_text_is_one_line_without_a_control_character(
            payload in "([\\PC]|[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}])*",
        ) {
            let line = escaped(&payload).to_string();
            prop_assert!(!line.chars().any(is_dangerous), "{line:?}");
            let harmless = !payload.chars().any(is_dangerous);
            prop_assert_eq!(line == payload, harmless);
        }
    }
}
