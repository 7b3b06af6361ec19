//! The messages that are sent: numbered, so that whoever prints them can be checked.

/// What the services and scripts listen to where they are told nothing.
pub const CHANNEL: &str = "notifications";
const PATTERN: &str = "news:*";
const CHANNEL_OF_PATTERN: &str = "news:sports";

/// Digits of the number that each payload begins with.
pub const DIGITS: usize = 10;

/// Whether a reader subscribes to channels or to a pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Channel,
    Pattern,
}

impl Kind {
    pub fn subscribe(self) -> &'static str {
        match self {
            Kind::Channel => "SUBSCRIBE",
            Kind::Pattern => "PSUBSCRIBE",
        }
    }

    /// What is subscribed to.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Channel => CHANNEL,
            Kind::Pattern => PATTERN,
        }
    }

    /// Where messages are published for it.
    pub fn channel(self) -> &'static str {
        match self {
            Kind::Channel => CHANNEL,
            Kind::Pattern => CHANNEL_OF_PATTERN,
        }
    }
}

/// A payload of this size.
pub fn payload(number: u64, size: usize) -> String {
    let filler = size.saturating_sub(DIGITS);
    format!("{number:0DIGITS$}{:x<filler$}", "")
}

/// A payload without a number.
pub fn filler(size: usize) -> String {
    "x".repeat(size)
}
