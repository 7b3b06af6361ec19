use crate::{ByteString, Event};

/// What can be subscribed to. (Shard channels have a task of their own, in `cluster`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Channel,
    Pattern,
}

impl Kind {
    pub(crate) fn subscribe(self) -> &'static str {
        match self {
            Kind::Channel => "SUBSCRIBE",
            Kind::Pattern => "PSUBSCRIBE",
        }
    }

    pub(crate) fn unsubscribe(self) -> &'static str {
        match self {
            Kind::Channel => "UNSUBSCRIBE",
            Kind::Pattern => "PUNSUBSCRIBE",
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
