use crate::{ByteString, Event};

/// What can be subscribed to. (Shard channels have a task of their own, in `cluster`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Channel,
    Pattern,
}

impl Kind {
    /// The command that subscribes, or the one that unsubscribes.
    pub(crate) fn command(self, subscribe: bool) -> &'static str {
        match (self, subscribe) {
            (Kind::Channel, true) => "SUBSCRIBE",
            (Kind::Channel, false) => "UNSUBSCRIBE",
            (Kind::Pattern, true) => "PSUBSCRIBE",
            (Kind::Pattern, false) => "PUNSUBSCRIBE",
        }
    }

    pub(crate) fn refused(self, name: ByteString, reason: String) -> Event {
        match self {
            Kind::Channel => Event::Refused { channel: name, reason },
            Kind::Pattern => Event::PRefused { pattern: name, reason },
        }
    }
}

/// Names as they appear in errors and logs: `'a', 'b'`.
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a ByteString>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}
