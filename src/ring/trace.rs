//! Traces in the format of Chrome's tracing: submissions, and the number of messages in mailboxes.

use std::fmt::Write;
use std::time::Duration;

/// Events, as JSON.
#[derive(Debug, Default)]
pub(super) struct Trace {
    events: Vec<String>,
    /// When the last submission ended, in microseconds.
    end: f64,
}

impl Trace {
    /// The end of a submission, whose last tick is the `last`th.
    pub(super) fn submission(
        &mut self,
        last: u64,
        start: Duration,
        took_ns: u64,
        ticks: u64,
        handled: u64,
    ) {
        let start = start.as_nanos() as f64 / 1e3;
        let took = took_ns as f64 / 1e3;
        self.end = start + took;
        self.events.push(format!(
            r#"{{"name":"{ticks} ticks to {last}","ph":"X","pid":1,"tid":1,"ts":{start:.3},"dur":{took:.3},"args":{{"handled":{handled}}}}}"#
        ));
    }

    /// How full an actor's mailboxes were then.
    pub(super) fn depths(&mut self, name: &str, mail: u64, replies: u64) {
        let (name, end) = (escape(name), self.end);
        self.events.push(format!(
            r#"{{"name":"{name}","ph":"C","pid":1,"ts":{end:.3},"args":{{"mail":{mail},"replies":{replies}}}}}"#
        ));
    }

    pub(super) fn into_json(self) -> String {
        format!("{{\"traceEvents\":[\n{}\n]}}\n", self.events.join(",\n"))
    }
}

/// Text inside a JSON string.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => _ = write!(escaped, "\\u{:04x}", c as u32),
            c => escaped.push(c),
        }
    }
    escaped
}
