//! The messages that are published. Each payload begins with its number, so that the lines of a
//! reader can be checked.

/// Digits of the number at the start of a payload.
pub(crate) const DIGITS: usize = 10;

/// A kind of subscription, and the service for it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Kind {
    pub service: &'static str,
    /// The channel or pattern that a reader subscribes to.
    pub name: &'static str,
    /// The channel on which the messages are published.
    pub channel: &'static str,
}

/// The channel that the services and the Python scripts use by default.
pub(crate) const CHANNEL: Kind =
    Kind { service: "subscriber", name: "notifications", channel: "notifications" };

pub(crate) const PATTERN: Kind =
    Kind { service: "pattern-subscriber", name: "news:*", channel: "news:sports" };

/// A kind of subscription, messages, and bytes in each message.
pub(crate) type Load = (Kind, u64, usize);

/// A payload of `size` bytes, at least [`DIGITS`].
pub(crate) fn payload(number: u64, size: usize) -> String {
    format!("{number:0DIGITS$}{:x<1$}", "", size - DIGITS)
}

/// The number of the message in this line, if its whole payload of `size` bytes is there.
pub(crate) fn number(line: &[u8], size: usize) -> Option<u64> {
    let start = line.windows(DIGITS).position(|bytes| bytes.iter().all(u8::is_ascii_digit))?;
    let (digits, rest) = line[start..].split_at(DIGITS);
    let filler = rest.iter().take_while(|&&byte| byte == b'x').count();
    (DIGITS + filler == size).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_recognised_when_it_is_whole() {
        for size in [DIGITS, 16] {
            let line = format!("\"message\",\"news:2\",\"{}\"\n", payload(1234, size));
            assert_eq!(number(line.as_bytes(), size), Some(1234));
            assert_eq!(number(line.as_bytes(), size + 1), None);
        }
        assert_eq!(number(payload(7, 17).as_bytes(), 16), None);
        assert_eq!(number(b"Subscribed successfully to 'a'.\n", 16), None);
    }
}
