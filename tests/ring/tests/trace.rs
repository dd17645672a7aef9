//! The trace of a ring, read by another crate's parser: every submission and every actor is in it, in order.

use aruminium::Gpu;
use aruminium::ring::{Launch, Ring, RingOptions};
use serde_json::Value;
use std::error::Error;

/// Names that JSON has to escape.
const NAMES: [&str; 3] = ["plain", "a \"quoted\" \\ name", "two\nlines, \u{1}, and ü"];
const ECHO: &str = "
    void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += 1; out.reply(m); }";

fn number(event: &Value, name: &str) -> f64 {
    event[name].as_f64().unwrap_or_else(|| panic!("{name} is no number: {event}"))
}

#[test]
fn a_trace_has_each_submission_and_the_mailboxes_after_it() -> Result<(), Box<dyn Error>> {
    let ring = Ring::with(&Gpu::open()?, RingOptions { ticks: 4, ..RingOptions::default() })?;
    let actors =
        NAMES.map(|name| ring.spawn::<u32, u32, u32>(name, ECHO, 0, Launch::new().budget(2)));
    let actors = actors.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Not in the trace.
    actors[0].send(1)?;
    ring.tick()?;
    let before = ring.stat();
    ring.start_trace();
    let mut runs = Vec::new();
    for round in 1..8u32 {
        for actor in &actors[..round as usize % 4] {
            actor.send_all(&[1, 2, 3, 4, 5][..round as usize % 6])?;
        }
        runs.push(ring.run(1 + u64::from(round))?);
    }
    let after = ring.stat();
    let trace: Value = serde_json::from_str(&ring.take_trace().expect("it was begun"))?;
    assert!(ring.take_trace().is_none());

    let events = trace["traceEvents"].as_array().expect("a list");
    let (submissions, depths): (Vec<&Value>, Vec<&Value>) =
        events.iter().partition(|event| event["ph"] == "X");
    let count = (after.submissions - before.submissions) as usize;
    assert_eq!((submissions.len(), depths.len()), (count, count * NAMES.len()));
    let handled: u64 =
        submissions.iter().map(|event| event["args"]["handled"].as_u64().expect("a count")).sum();
    assert_eq!(handled, after.handled - before.handled);
    assert_eq!(handled, runs.iter().map(|run| run.handled).sum::<u64>());

    // One after the other, with the mailboxes of all actors at the end of each.
    let mut end = 0.0;
    let mut last = before.ticks;
    for (submission, mailboxes) in events.chunks(1 + NAMES.len()).map(|all| (&all[0], &all[1..])) {
        assert_eq!((&submission["ph"], number(submission, "pid")), (&Value::from("X"), 1.0));
        let (start, took) = (number(submission, "ts"), number(submission, "dur"));
        // Times have three digits after the point.
        assert!(start >= end - 0.002 && took > 0.0, "{submission} begins before {end}");
        end = start + took;
        let title = submission["name"].as_str().expect("a name");
        let ticks: Vec<u64> =
            title.split(" ticks to ").map(str::parse).collect::<Result<_, _>>()?;
        last += ticks[0];
        assert_eq!(ticks[1], last, "{title}");
        for (mailbox, name) in mailboxes.iter().zip(NAMES) {
            assert_eq!((&mailbox["ph"], &mailbox["name"]), (&Value::from("C"), &Value::from(name)));
            assert!((number(mailbox, "ts") - end).abs() < 0.002, "{mailbox} at {end}");
            assert!(mailbox["args"]["mail"].is_u64() && mailbox["args"]["replies"].is_u64());
        }
    }
    assert_eq!(last, after.ticks);
    // The last ones are as the statistics say.
    for (event, actor) in events[events.len() - NAMES.len()..].iter().zip(&after.actors) {
        assert_eq!(event["args"]["mail"].as_u64(), Some(actor.input_depth));
        assert_eq!(event["args"]["replies"].as_u64(), Some(actor.output_depth));
    }
    Ok(())
}
