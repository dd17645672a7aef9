//! The limits of counters and comparisons, each from both sides.

use super::{ECHO, ring, ring_of, spawn};
use crate::ring::post::Wanted;
use crate::ring::{
    Actor, Clock, Hlc, Launch, Priority, Receipt, Ring, RingError, RingOptions, Supervision,
};
use std::time::Duration;

/// Fails for 7, and replies.
const FAILS: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
    if (m == 7) { out.fail(1); }
    s += 1;
    out.post(m);
}";
const SEND: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
/// The reply to a call that nothing made.
const NO_CALL: Wanted = Wanted::Reply(u64::MAX);

fn mail(actor: &Actor<u32, u32, u32>) -> Vec<u32> {
    std::iter::from_fn(|| actor.try_receive().unwrap()).collect()
}

/// Puts all mail of an actor aside.
fn set_aside(actor: &Actor<u32, u32, u32>) {
    assert!(actor.core.lock().take(actor.id(), NO_CALL).unwrap().is_none());
}

fn dead(ring: &Ring) -> Vec<u32> {
    ring.take_dead_letters().iter().map(|letter| letter.message().unwrap()).collect()
}

#[test]
fn a_clock_is_later_than_what_it_receives_and_than_the_wall() {
    let clock = Clock::with_max_drift(1, Duration::from_secs(100));
    let before = Clock::new(1).now();
    let after = clock.update(Hlc::new(5, 0, 2)).unwrap();
    assert!(after >= before, "{after} {before}");
    let ahead = |seconds: u64| Hlc::new(Clock::new(1).now().physical + seconds * 1_000_000, 9, 2);
    let skew = clock.update(ahead(200)).unwrap_err();
    assert!(skew.ahead > Duration::from_secs(190) && skew.allowed == Duration::from_secs(100));
    let received = ahead(50);
    let updated = clock.update(received).unwrap();
    assert!(updated > received && clock.now() >= updated && clock.tick() > updated);
}

#[test]
fn no_message_has_the_sequence_number_zero() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    actor.core.lock().sequence = u32::MAX - 1;
    for _ in 0..3 {
        let id = actor.send(1).unwrap();
        ring.tick().unwrap();
        assert_eq!(actor.receipt(id).unwrap(), Receipt::Delivered);
    }
    // A message that a restored checkpoint does not have.
    let new = spawn(&ring, "new", ECHO, Launch::new());
    let checkpoint = ring.checkpoint().unwrap();
    new.core.lock().sequence = 3 << 30;
    let id = new.send(1).unwrap();
    ring.restore(&checkpoint).unwrap();
    assert_eq!(new.receipt(id).unwrap(), Receipt::NotFound);
}

#[test]
fn as_much_mail_is_put_aside_as_the_mailbox_holds() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacities(16, 4));
    actor.send_all(&[1, 2, 3, 4]).unwrap();
    ring.tick().unwrap();
    set_aside(&actor);
    actor.send(5).unwrap();
    ring.tick().unwrap();
    let full = actor.core.lock().take(actor.id(), NO_CALL);
    assert!(matches!(full, Err(RingError::Full { capacity: 4, .. })), "{full:?}");
    assert_eq!(mail(&actor), [1, 2, 3, 4, 5]);
    // Replies that others wait for do not count.
    actor.send(6).unwrap();
    ring.tick().unwrap();
    set_aside(&actor);
    let calls = [11, 12, 13, 14].map(|m| actor.call(m));
    ring.tick().unwrap();
    for (call, m) in calls.into_iter().rev().zip([14, 13, 12, 11]) {
        assert_eq!(call.wait().unwrap(), m);
    }
    assert_eq!(mail(&actor), [6]);
}

#[test]
fn a_replay_takes_mail_from_where_it_was() {
    let build = || {
        let ring = ring();
        let actor = spawn(&ring, "echo", ECHO, Launch::new());
        (ring, actor)
    };
    let (ring, actor) = build();
    ring.record();
    actor.send_all(&[1, 2]).unwrap();
    ring.tick().unwrap();
    set_aside(&actor);
    actor.send(3).unwrap();
    ring.tick().unwrap();
    // One that was put aside; the third one stays in its lane.
    assert_eq!(actor.try_receive().unwrap(), Some(1));
    let recording = ring.take_recording().unwrap();
    let (again, _) = build();
    again.replay(&recording).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
}

#[test]
fn the_message_that_an_actor_fails_with_is_the_one_it_would_handle_next() {
    for priority in [Priority::High, Priority::Normal] {
        let ring = ring();
        let restart = Launch::new().supervision(Supervision::Restart { limit: 9 });
        let sink = spawn(&ring, "sink", FAILS, restart);
        let from = spawn(&ring, "from", SEND, Launch::new().priority(priority));
        ring.connect(from.id(), sink.id()).unwrap();
        sink.suspend().unwrap();
        // The first message of all is at fault by its priority, or by its clock.
        if priority == Priority::High {
            sink.send(1).unwrap();
        }
        from.send(7).unwrap();
        ring.run(3).unwrap();
        if priority == Priority::Normal {
            from.send_all(&[2; 9]).unwrap();
            sink.send(1).unwrap();
        }
        sink.resume().unwrap();
        ring.run(100).unwrap();
        assert_eq!(dead(&ring), [7]);
        assert!(mail(&sink).contains(&1));
    }
}

#[test]
fn a_run_ends_with_its_first_tick_without_mail() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    assert_eq!(ring.run(10).unwrap().ticks, 1);
    actor.send_all(&[1, 2, 3]).unwrap();
    let run = ring.run(10).unwrap();
    assert_eq!((run.ticks, run.handled, run.idle), (2, 3, true));
    assert_eq!(ring.stat().submissions, 2);
}

#[test]
fn a_restarted_actor_is_careful_until_it_has_handled_what_waited() {
    let ring = ring();
    let actor =
        spawn(&ring, "fails", FAILS, Launch::new().supervision(Supervision::Restart { limit: 2 }));
    actor.send_all(&[1, 2, 7, 3]).unwrap();
    // The first tick is undone, four messages come one by one, and the tick with 7 is undone too.
    let run = ring.run(100).unwrap();
    assert_eq!((run.faults.len(), run.handled, dead(&ring)), (2, 3, vec![7]));
    actor.send_all(&[4; 10]).unwrap();
    assert_eq!(ring.run(100).unwrap().ticks, 2);
    let stat = actor.stat();
    assert_eq!((stat.restarts, stat.faults), (2, 2));
}

#[test]
fn states_are_saved_every_so_many_ticks() {
    let ring = ring_of(RingOptions { checkpoint_every: 2, ..RingOptions::default() });
    let _actor = spawn(&ring, "echo", ECHO, Launch::new());
    let saved = [0; 5].map(|_| {
        ring.tick().unwrap();
        ring.stat().checkpoints
    });
    assert_eq!(saved, [0, 1, 1, 2, 2]);
}

#[test]
fn of_actors_that_break_a_rule_in_one_tick_the_first_one_is_named_first() {
    let ring = ring();
    let launch = Launch::new().supervision(Supervision::Stop);
    let actors = ["0", "1", "2"].map(|name| spawn(&ring, name, FAILS, launch.clone()));
    actors.iter().for_each(|actor| _ = actor.send(7).unwrap());
    let faults = ring.tick().unwrap().faults;
    let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2"]);
}

#[test]
fn actors_with_little_room_are_no_cycle() {
    let ring = ring();
    let actors = ["a", "b"].map(|name| spawn(&ring, name, SEND, Launch::new().capacities(4, 4)));
    ring.connect(actors[0].id(), actors[1].id()).unwrap();
    ring.connect(actors[1].id(), actors[0].id()).unwrap();
    // Each lane between them has room for one more, in every tick.
    actors.iter().for_each(|actor| _ = actor.send_all(&[1, 2, 3]).unwrap());
    let run = ring.run(10).unwrap();
    assert_eq!((run.ticks, run.stalled, run.handled), (10, 2, 6 + 9 * 2));
    // With one more in each they are full.
    actors.iter().for_each(|actor| _ = actor.send(4).unwrap());
    assert!(matches!(ring.run(10), Err(RingError::Cycle(names)) if names == ["a", "b"]));
}
