//! A `subscriber --json`, event by event.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use acceptance::{Ended, Terminal, service_command};

pub(crate) struct Events {
    pub terminal: Terminal,
}

impl Events {
    /// Starts `subscriber --json` on 'notifications', and waits for its confirmation.
    pub(crate) fn of_subscriber(url: &str) -> Events {
        let mut command = service_command("subscriber");
        Events::of(command.env("REDIS_URL", url).arg("--json"))
    }

    /// Starts this command, and waits for its first confirmation.
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

    /// The next event says that Redis forbids this channel. (Redis's sentence differs between
    /// versions.)
    #[track_caller]
    pub(crate) fn refused(&mut self, channel: &str) {
        let event = self.next();
        let reason = event["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("NOPERM "), "{event}");
        let expected =
            json!({ "type": "refused", "pattern": null, "channel": channel, "reason": reason });
        assert_eq!(event, expected);
    }

    /// The next event is `reconnected`. Returns the length of the gap and the number of attempts.
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

    /// Presses Ctrl+C. The only line left is the goodbye, so the test has read all other events.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        let ended = self.terminal.ctrl_c().with(0);
        let goodbye = r#"{"type":"unsubscribe","pattern":null,"channel":"notifications","data":0}"#;
        assert_eq!(ended.stdout, [goodbye]);
        ended
    }
}
