use std::io::{self, Write};

use base64::prelude::{BASE64_STANDARD, Engine};
use memchr::memchr2;
use pubsub::escape::{is_dangerous, is_plain};
use pubsub::{ByteString, Event};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Writes an event as one line of JSON, with the keys of redis-py's `message` in its order.
///
/// Bytes that are not UTF-8 are in base64, under `channel_base64`, `pattern_base64` or
/// `data_base64` instead. The types `refused`, `missed`, `disconnected` and `reconnected` do not
/// exist in redis-py.
///
/// # Errors
///
/// When `out` can't be written to.
pub fn json(event: &Event, out: &mut impl Write) -> io::Result<()> {
    let (kind, pattern, channel) = match event {
        Event::Subscribe { channel, .. } => ("subscribe", None, Some(channel)),
        Event::PSubscribe { pattern, .. } => ("psubscribe", Some(pattern), None),
        Event::Unsubscribe { channel, .. } => ("unsubscribe", None, Some(channel)),
        Event::PUnsubscribe { pattern, .. } => ("punsubscribe", Some(pattern), None),
        Event::Message { channel, .. } => ("message", None, Some(channel)),
        Event::PMessage { pattern, channel, .. } => ("pmessage", Some(pattern), Some(channel)),
        Event::Refused { channel, .. } => ("refused", None, Some(channel)),
        Event::PRefused { pattern, .. } => ("refused", Some(pattern), None),
        Event::Missed { .. } => ("missed", None, None),
        Event::Disconnected { .. } => ("disconnected", None, None),
        Event::Reconnected { .. } => ("reconnected", None, None),
        // Only a later version of crates/pubsub has others.
        _ => ("unknown", None, None),
    };
    write_all(out, ["{\"type\":\"", kind, "\""])?;
    if pattern.or(channel).is_some() {
        bytes(out, "pattern", pattern)?;
        bytes(out, "channel", channel)?;
    }
    match event {
        Event::Subscribe { count, .. }
        | Event::PSubscribe { count, .. }
        | Event::Unsubscribe { count, .. }
        | Event::PUnsubscribe { count, .. } => write!(out, ",\"data\":{count}")?,
        Event::Message { payload, .. } | Event::PMessage { payload, .. } => {
            bytes(out, "data", Some(payload))?;
        }
        Event::Refused { reason, .. }
        | Event::PRefused { reason, .. }
        | Event::Disconnected { reason } => text(out, "reason", "", reason)?,
        Event::Missed { count } => write!(out, ",\"count\":{count}")?,
        Event::Reconnected { gap, attempts } => {
            write!(out, ",\"gap_ms\":{},\"attempts\":{attempts}", gap.as_millis())?;
        }
        _ => {}
    }
    out.write_all(b"}\n")
}

// These three are inlined so that the lengths of the keys are known: twice as fast.
#[inline(always)]
fn bytes(out: &mut impl Write, key: &str, value: Option<&ByteString>) -> io::Result<()> {
    let Some(value) = value else { return write_all(out, [",\"", key, "\":null"]) };
    match str::from_utf8(value) {
        Ok(value) => text(out, key, "", value),
        Err(_) => text(out, key, "_base64", &BASE64_STANDARD.encode(value)),
    }
}

#[inline(always)]
fn text(out: &mut impl Write, key: &str, suffix: &str, value: &str) -> io::Result<()> {
    write_all(out, [",\"", key, suffix, "\":"])?;
    // Most texts need no escape. To see that is cheaper than what serde_json does.
    if is_plain(value.as_bytes()) && memchr2(b'"', b'\\', value.as_bytes()).is_none() {
        return write_all(out, ["\"", value, "\""]);
    }
    Ok(value.serialize(&mut Serializer::with_formatter(out, SafeFormatter))?)
}

#[inline(always)]
fn write_all<const N: usize>(out: &mut impl Write, parts: [&str; N]) -> io::Result<()> {
    parts.iter().try_for_each(|part| out.write_all(part.as_bytes()))
}

/// JSON allows a few characters that a terminal would obey. Escaped they mean the same to every
/// reader of JSON.
struct SafeFormatter;

impl Formatter for SafeFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if is_plain(fragment.as_bytes()) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, dangerous)) = rest.char_indices().find(|&(_, c)| is_dangerous(c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(dangerous))?;
            rest = &rest[at + dangerous.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use pubsub::ByteString;

    use super::*;

    fn line(event: &Event) -> String {
        let mut out = Vec::new();
        json(event, &mut out).unwrap();
        let line = String::from_utf8(out).unwrap();
        line.strip_suffix('\n').unwrap().to_owned()
    }

    fn message(payload: &[u8]) -> Event {
        Event::Message { channel: "c".into(), payload: payload.into() }
    }

    #[test]
    fn every_type_of_event() {
        let (channel, pattern) = (ByteString::from("news:a"), ByteString::from("news:*"));
        for (event, expected) in [
            (
                Event::Subscribe { channel: channel.clone(), count: 1 },
                r#"{"type":"subscribe","pattern":null,"channel":"news:a","data":1}"#,
            ),
            (
                Event::PSubscribe { pattern: pattern.clone(), count: 2 },
                r#"{"type":"psubscribe","pattern":"news:*","channel":null,"data":2}"#,
            ),
            (
                Event::Unsubscribe { channel: channel.clone(), count: 1 },
                r#"{"type":"unsubscribe","pattern":null,"channel":"news:a","data":1}"#,
            ),
            (
                Event::PUnsubscribe { pattern: pattern.clone(), count: 0 },
                r#"{"type":"punsubscribe","pattern":"news:*","channel":null,"data":0}"#,
            ),
            (
                message(b"Late goal wins it."),
                r#"{"type":"message","pattern":null,"channel":"c","data":"Late goal wins it."}"#,
            ),
            (
                Event::PMessage {
                    pattern: pattern.clone(),
                    channel: channel.clone(),
                    payload: "Rain".into(),
                },
                r#"{"type":"pmessage","pattern":"news:*","channel":"news:a","data":"Rain"}"#,
            ),
            (
                Event::Refused { channel: channel.clone(), reason: "NOPERM".into() },
                r#"{"type":"refused","pattern":null,"channel":"news:a","reason":"NOPERM"}"#,
            ),
            (
                Event::PRefused { pattern: pattern.clone(), reason: "NOPERM".into() },
                r#"{"type":"refused","pattern":"news:*","channel":null,"reason":"NOPERM"}"#,
            ),
            (Event::Missed { count: 123 }, r#"{"type":"missed","count":123}"#),
            (
                Event::Disconnected { reason: "gone".into() },
                r#"{"type":"disconnected","reason":"gone"}"#,
            ),
            (
                Event::Reconnected { gap: Duration::from_millis(1234), attempts: 3 },
                r#"{"type":"reconnected","gap_ms":1234,"attempts":3}"#,
            ),
        ] {
            assert_eq!(line(&event), expected);
        }
    }

    #[test]
    fn bytes_that_are_no_text_come_in_base64() {
        let event = Event::PMessage {
            pattern: b"\xfe".into(),
            channel: b"\xff".into(),
            payload: b"\0\xff".into(),
        };
        assert_eq!(
            line(&event),
            r#"{"type":"pmessage","pattern_base64":"/g==","channel_base64":"/w==","data_base64":"AP8="}"#
        );
    }

    #[test]
    fn what_could_harm_a_terminal_is_escaped_and_comes_back() {
        let payload = "\u{1b}[2J\u{9b}2J\n\"\\\u{7f}\u{202e}€";
        let line = line(&message(payload.as_bytes()));
        assert!(!line.chars().any(is_dangerous), "{line}");
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["data"], payload);
    }

    /// Bytes as they came in, from under either key.
    fn back(object: &serde_json::Value, key: &str) -> Vec<u8> {
        match object[format!("{key}_base64")].as_str() {
            Some(base64) => BASE64_STANDARD.decode(base64).unwrap(),
            None => object[key].as_str().unwrap().as_bytes().to_vec(),
        }
    }

    /// Bytes of any kind, and text with far more of what is dangerous than chance would bring.
    fn anything() -> impl Strategy<Value = Vec<u8>> {
        let text = "([\\PC]|[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\"])*";
        prop_oneof![any::<Vec<u8>>(), text.prop_map(String::into_bytes)]
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(
            pattern in anything(),
            channel in anything(),
            payload in anything(),
        ) {
            let event = Event::PMessage {
                pattern: pattern.clone().into(),
                channel: channel.clone().into(),
                payload: payload.clone().into(),
            };
            let line = line(&event);
            prop_assert!(!line.chars().any(is_dangerous), "{line:?}");
            let object: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(back(&object, "pattern"), pattern);
            prop_assert_eq!(back(&object, "channel"), channel);
            prop_assert_eq!(back(&object, "data"), payload);
        }
    }
}
