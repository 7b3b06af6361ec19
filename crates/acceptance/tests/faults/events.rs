//! A `subscriber --json`, event by event.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use acceptance::{Ended, Terminal, service_command};

pub(crate) struct Events {
    pub terminal: Terminal,
}

impl Events {
    /// Of a subscriber to 'notifications' that Redis has confirmed.
    pub(crate) fn of_subscriber(url: &str) -> Events {
        let mut command = service_command("subscriber");
        Events::of(command.env("REDIS_URL", url).arg("--json"))
    }

    /// Of this command, whose subscription Redis has confirmed.
    pub(crate) fn of(command: &mut Command) -> Events {
        let mut events = Events { terminal: Terminal::start_command(command) };
        events.subscribed();
        events
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        serde_json::from_str(&self.terminal.line()).unwrap()
    }

    #[track_caller]
    pub(crate) fn subscribed(&mut self) {
        let event = self.next();
        assert_eq!(event["type"], "subscribe", "{event}");
    }

    #[track_caller]
    pub(crate) fn disconnected(&mut self, reason: &str) {
        assert_eq!(self.next(), json!({ "type": "disconnected", "reason": reason }));
    }

    /// Redis does not allow this channel any more. (Its sentence differs between versions.)
    #[track_caller]
    pub(crate) fn refused(&mut self, channel: &str) {
        let event = self.next();
        let reason = event["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("NOPERM "), "{event}");
        let expected =
            json!({ "type": "refused", "pattern": null, "channel": channel, "reason": reason });
        assert_eq!(event, expected);
    }

    /// How long the connection was gone, and after how many attempts it was back.
    #[track_caller]
    pub(crate) fn reconnected(&mut self) -> (Duration, u64) {
        let event = self.next();
        assert_eq!(event["type"], "reconnected", "{event}");
        let gap = Duration::from_millis(event["gap_ms"].as_u64().unwrap());
        (gap, event["attempts"].as_u64().unwrap())
    }

    /// The very next line of the log contains this.
    #[track_caller]
    pub(crate) fn logs_next(&mut self, text: &str) {
        let line = self.terminal.logs("");
        assert!(line.contains(text), "'{text}' expected: {line}");
    }

    #[track_caller]
    pub(crate) fn message(&mut self, payload: &str) {
        let event = self.next();
        assert_eq!((&event["type"], &event["data"]), (&"message".into(), &payload.into()));
    }

    /// Nothing has come but what was looked at: Ctrl+C is followed by the farewell alone.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        let ended = self.terminal.ctrl_c().with(0);
        let farewell =
            r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#;
        assert_eq!(ended.stdout, [farewell]);
        ended
    }
}
