//! The limits of counters and comparisons, each from both sides.

use super::{ECHO, SEND, ring, ring_of, spawn};
use crate::ring::layout::RingHeader;
use crate::ring::post::{MessageId, Wanted};
use crate::ring::record::Op;
use crate::ring::submit::{SubmissionError, SubmitGuard};
use crate::ring::{
    Actor, ActorState, Cause, Clock, Hlc, Launch, Priority, Receipt, Recording, Ring, RingError,
    RingOptions, Supervision,
};
use std::time::Duration;

/// Fails for 7, and replies.
const FAILS: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
    if (m == 7) { out.fail(1); }
    s += 1;
    out.post(m);
}";
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
    // Nor is that number one of those before the first message.
    let id = MessageId { restores: new.core.lock().restores, ..id };
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

/// An actor that gets mail over a lane of one direction: of each message it sends two to the host, and a dead letter.
fn with_dead_letters() -> (Ring, [Actor<u32, u32, u32>; 2]) {
    let ring = ring();
    let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        out.post(m); out.reply(m + 1); out.post(m + 2); }";
    let from = spawn(&ring, "from", SEND, Launch::new());
    let to = spawn(&ring, "to", code, Launch::new().capacities(16, 8).emits(3));
    ring.connect(from.id(), to.id()).unwrap();
    (ring, [from, to])
}

#[test]
fn dead_letters_do_not_make_room_for_other_mail() {
    let (ring, [from, to]) = with_dead_letters();
    for number in 0..10 {
        from.send(number * 10).unwrap();
        ring.run(10).unwrap();
    }
    // Six messages wait: three more, one of them dead, would not fit.
    assert_eq!((to.stat().output_depth, to.stat().processed), (6, 3));
    assert_eq!(dead(&ring), [1, 11, 21]);
    let mut received = Vec::new();
    while let Some(message) = to.try_receive().unwrap() {
        received.push(message);
        ring.run(10).unwrap();
    }
    assert_eq!(received, (0..10).flat_map(|i| [i * 10, i * 10 + 2]).collect::<Vec<_>>());
    assert_eq!(dead(&ring), (3..10).map(|i| i * 10 + 1).collect::<Vec<_>>());
}

/// After a fault the ring unlocks its state while it finds the actor. Then mail of the ticks before may still have dead letters
/// in it, and a replay does not.
#[test]
fn mail_is_there_when_the_submission_has_ended() {
    let (ring, [from, to]) = with_dead_letters();
    ring.record();
    from.send_all(&[10, 20]).unwrap();
    let mut state = to.core.lock();
    let plan = state.prepare(3).unwrap();
    let mut engine = SubmitGuard::take(&to.core, &mut state);
    let (state, mut ended) = engine.submit(state, &plan, 3);
    drop(state);
    assert_eq!(to.try_receive().unwrap(), None);
    let mut state = to.core.lock();
    state.conclude(&mut ended, &plan.members, false);
    engine.release(&mut state);
    drop(state);
    assert_eq!(mail(&to), [10, 12, 20, 22]);
    let (again, _) = with_dead_letters();
    again.replay(&ring.take_recording().unwrap()).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
}

/// A recording has the message after the submission that ran when it was sent.
#[test]
fn a_replay_sends_to_an_actor_that_failed_meanwhile() {
    let build = || {
        let ring = ring();
        let actor = spawn(&ring, "fails", FAILS, Launch::new());
        (ring, actor)
    };
    let ((ring, actor), (again, other)) = (build(), build());
    ring.record();
    actor.send(7).unwrap();
    let mut state = actor.core.lock();
    let plan = state.prepare(1).unwrap();
    let mut engine = SubmitGuard::take(&actor.core, &mut state);
    let (state, mut ended) = engine.submit(state, &plan, 1);
    drop(state);
    actor.send(8).unwrap();
    let mut state = actor.core.lock();
    let Some(SubmissionError::Actor(0, cause)) = ended.broken.take() else {
        panic!("it did not fail")
    };
    state.conclude(&mut ended, &plan.members, true);
    state.supervise(0, cause);
    engine.release(&mut state);
    drop(state);
    let to_failed = |actor: &Actor<u32, u32, u32>| actor.send(9).unwrap_err();
    assert!(matches!(to_failed(&actor), RingError::State { state: ActorState::Failed, .. }));
    again.replay(&ring.take_recording().unwrap()).unwrap();
    assert!(matches!(to_failed(&other), RingError::State { state: ActorState::Failed, .. }));
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
}

#[test]
fn a_replay_takes_mail_that_dead_letters_have_moved() {
    let (ring, [from, to]) = with_dead_letters();
    ring.record();
    from.send_all(&[10, 20]).unwrap();
    ring.run(10).unwrap();
    from.send(30).unwrap();
    // The host takes two messages and passes over the others while a submission runs that makes a dead letter.
    let mut state = to.core.lock();
    let (plan, version) = (state.prepare(4).unwrap(), state.version);
    let dispatch = state.engine.take().unwrap();
    drop(state);
    assert_eq!([0, 1].map(|_| to.try_receive().unwrap()), [Some(10), Some(12)]);
    set_aside(&to);
    // SAFETY: as for every submission.
    let result = unsafe { dispatch.dispatch.batch(|batch| plan.encode(batch, version, 4)) };
    let mut state = to.core.lock();
    state.engine = Some(dispatch);
    let mut ended = state.read_results(result, &plan.members);
    state.conclude(&mut ended, &plan.members, false);
    drop(state);
    assert_eq!(to.try_receive().unwrap(), Some(20));
    let recording = ring.take_recording().unwrap();
    let (again, _) = with_dead_letters();
    again.replay(&recording).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
    assert_eq!(mail(&to), [22, 30, 32]);
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

#[test]
fn a_lone_message_at_fault_is_buried_at_once() {
    let ring = ring();
    let restart = Launch::new().supervision(Supervision::Restart { limit: 9 });
    let actor = spawn(&ring, "fails", FAILS, restart);
    actor.send(7).unwrap();
    assert_eq!((ring.run(100).unwrap().faults.len(), dead(&ring)), (1, vec![7]));
    // It handles several messages per tick again.
    actor.send_all(&[1; 10]).unwrap();
    assert_eq!(ring.run(100).unwrap().ticks, 2);
}

#[test]
fn an_activated_actor_has_all_its_restarts_again() {
    let ring = ring();
    let restart = Launch::new().supervision(Supervision::Restart { limit: 1 });
    let actor = spawn(&ring, "fails", FAILS, restart);
    for _ in 0..2 {
        actor.send(7).unwrap();
        ring.run(9).unwrap();
        assert_eq!(actor.state(), ActorState::Active);
        actor.send(7).unwrap();
        ring.run(9).unwrap();
        assert_eq!(actor.state(), ActorState::Failed);
        // The message that it failed with is still there.
        actor.activate().unwrap();
        assert_eq!((ring.run(9).unwrap().faults.len(), actor.state()), (1, ActorState::Active));
        actor.suspend().unwrap();
        actor.activate().unwrap();
    }
}

#[test]
fn an_actor_that_just_has_room_has_not_stalled() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacities(16, 4));
    actor.send_all(&[1, 2, 3, 4]).unwrap();
    let tick = ring.tick().unwrap();
    assert_eq!((tick.handled, tick.stalled, actor.stat().stalls), (4, 0, 0));
    mail(&actor);
    actor.send_all(&[1, 2, 3, 4, 5]).unwrap();
    assert_eq!((ring.tick().unwrap().handled, actor.stat().stalls), (4, 1));
    assert_eq!((ring.tick().unwrap().handled, actor.stat().stalls), (0, 2));
    mail(&actor);
    assert_eq!((ring.tick().unwrap().handled, actor.stat().stalls), (1, 2));
}

#[test]
fn latencies_are_the_shortest_the_mean_and_the_longest_of_all() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    for wait in [3, 0, 5, 2] {
        actor.suspend().unwrap();
        actor.send(1).unwrap();
        (0..wait).for_each(|_| _ = ring.tick().unwrap());
        actor.resume().unwrap();
        ring.tick().unwrap();
    }
    let stat = actor.stat();
    assert_eq!((stat.latency_min, stat.latency_mean, stat.latency_max), (Some(0), 2.5, 5));
}

#[test]
fn the_first_rule_that_a_handler_breaks_is_the_fault() {
    let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        if (m == 0) { out.fail(5); out.fail(6); out.send(9, m); } else { out.send(9, m); out.fail(7); }
    }";
    for (message, cause) in [(0, Cause::Failed(5)), (1, Cause::Edge)] {
        let ring = ring();
        let launch = Launch::new().supervision(Supervision::Stop);
        spawn(&ring, "breaks", code, launch).send(message).unwrap();
        assert_eq!(ring.tick().unwrap().faults[0].cause, cause);
    }
}

#[test]
fn a_fault_to_be_reported_is_not_lost_among_those_that_are_handled() {
    let ring = ring();
    let policies = [Supervision::Stop, Supervision::Escalate, Supervision::Stop];
    for (policy, name) in policies.into_iter().zip(["0", "1", "2"]) {
        let actor = spawn(&ring, name, FAILS, Launch::new().supervision(policy));
        actor.send(7).unwrap();
    }
    let error = ring.run(9).unwrap_err();
    assert!(matches!(&error, RingError::Fault(fault) if fault.name == "1"), "{error}");
    assert_eq!(ring.faults().len(), 3);
}

#[test]
fn lanes_of_actors_that_ended_are_searched_only_while_their_producer_runs() {
    let ring = ring();
    let actors = ["a", "b", "c"].map(|name| spawn(&ring, name, SEND, Launch::new()));
    let [a, b, c] = &actors;
    for (from, to) in [(a, b), (b, c), (c, c)] {
        ring.connect(from.id(), to.id()).unwrap();
    }
    let orphans = || a.core.lock().orphans.len();
    // Its own lane has no other producer.
    c.terminate().unwrap();
    assert_eq!(orphans(), 1);
    b.terminate().unwrap();
    assert_eq!(orphans(), 1, "the lane to `c` has none any more, and that from `a` is new");
    a.terminate().unwrap();
    assert_eq!(orphans(), 0);
    // The producer ends first.
    let (from, to) =
        (spawn(&ring, "a", SEND, Launch::new()), spawn(&ring, "b", SEND, Launch::new()));
    ring.connect(from.id(), to.id()).unwrap();
    from.terminate().unwrap();
    to.terminate().unwrap();
    assert_eq!(orphans(), 0);
}

#[test]
fn a_replay_refuses_what_its_ring_cannot_do() {
    let build = |ticks| {
        let ring = ring_of(RingOptions { ticks, ..RingOptions::default() });
        let actor = spawn(&ring, "echo", ECHO, Launch::new());
        (ring, actor)
    };
    let (ring, actor) = build(8);
    ring.record();
    actor.send(1).unwrap();
    ring.run(8).unwrap();
    let recording = ring.take_recording().unwrap();
    let replay = |ticks, recording: &Recording| build(ticks).0.replay(recording);
    replay(8, &recording).unwrap();
    let error = replay(7, &recording).unwrap_err().to_string();
    assert!(error.contains("8 ticks") && error.contains("at most 7"), "{error}");
    // Headers that are not those of messages from the host to this actor.
    let damage: [fn(&mut RingHeader); 3] =
        [|header| header.length = 3, |header| header.source = 1, |header| header.kind ^= 1];
    for damage in damage {
        let mut damaged = recording.clone();
        let Op::Send { header, .. } = &mut damaged.ops[0] else { panic!("{:?}", damaged.ops) };
        damage(header);
        assert!(matches!(replay(8, &damaged), Err(RingError::Format(_))));
    }
    // States of another size.
    for bytes in [vec![0; 3], vec![0; 5]] {
        let mut damaged = recording.clone();
        damaged.ops.push(Op::Write { actor: 1, bytes });
        assert!(matches!(replay(8, &damaged), Err(RingError::Format(_))));
    }
}

/// As if a defect of the ring had lost a message: its lane counts one that no handler saw.
#[test]
fn lost_messages_are_counted() {
    let ring = ring();
    let (one, other) =
        (spawn(&ring, "one", SEND, Launch::new()), spawn(&ring, "other", FAILS, Launch::new()));
    ring.connect(one.id(), other.id()).unwrap();
    one.send_all(&[1, 2, 3]).unwrap();
    ring.tick().unwrap();
    let mut state = one.core.lock();
    let lane = state.seats[1].ins[1] as usize;
    state.lanes.update(lane, |lane| lane.head = lane.head.map(|head| head + 1));
    drop(state);
    ring.run(5).unwrap();
    assert_eq!((one.stat().dropped, other.stat().dropped, other.stat().processed), (0, 1, 2));
    assert!(matches!(ring.restore(&ring.checkpoint().unwrap()), Err(RingError::Format(_))));
}
