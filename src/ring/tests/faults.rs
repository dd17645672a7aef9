//! Faults: the tick is undone, the actor is named, and the work of the others is done.

use super::{ECHO, NOTHING, SEND, ring, ring_of, spawn};
use crate::child::{in_child, run_child};
use crate::ring::bytes::crc32;
use crate::ring::record::Op;
use crate::ring::submit::{SubmissionError, SubmitGuard};
use crate::ring::{
    Actor, ActorState, Cause, Checkpoint, Launch, Ring, RingError, RingOptions, Supervision, Tick,
    Topology,
};
use crate::{FaultKind, Gpu, GpuError};
use std::time::Instant;

crate::message! {
    struct Few { values: [u32; 4], count: u32 }
}

/// Writes out of its state for messages from 100 on, fails for 7, breaks the outbox's rules for 8 and 9.
const CLUMSY: &str = "void handle(thread const uint &m, thread Few &s, thread Outbox<uint> &out) {
    s.count += 1;
    if (m == 7) { out.fail(42); }
    if (m == 8) { out.send(5, m); }
    out.reply(m);
    if (m == 9) { out.reply(m); }
    if (m >= 100) { s.values[m] = 1; }
}";

fn clumsy(ring: &Ring, launch: Launch) -> Actor<u32, u32, Few> {
    ring.spawn("clumsy", CLUMSY, Few { values: [0; 4], count: 0 }, launch).unwrap()
}

#[test]
fn a_fault_undoes_the_tick_and_runs_the_others() {
    for message in [7, 8, 9, 100] {
        for ticks in [1, 64] {
            let ring = ring();
            let others: Vec<_> =
                (0..40).map(|i| spawn(&ring, &format!("echo {i}"), ECHO, Launch::new())).collect();
            let actor = clumsy(&ring, Launch::new());
            actor.send_all(&[1, 2]).unwrap();
            ring.run(ticks).unwrap();
            actor.send_all(&[3, message, 4]).unwrap();
            for other in &others {
                other.send(5).unwrap();
            }
            let error = ring.run(ticks).unwrap_err();
            let RingError::Fault(fault) = error else { panic!("{message}: {error}") };
            assert_eq!((fault.actor, fault.name.as_str()), (actor.id(), "clumsy"));
            match (message, &fault.cause) {
                (7, Cause::Failed(42)) | (8, Cause::Edge) | (9, Cause::Emits) => {}
                (100, Cause::Kernel(kernel)) => {
                    assert_eq!((kernel.kind, kernel.write), (FaultKind::Access, true));
                    assert_eq!((kernel.file.as_deref(), kernel.line), (Some("clumsy"), Some(7)));
                }
                other => panic!("{other:?}"),
            }
            // Its state and mail are as before the tick; the tick was done for all others.
            assert_eq!(actor.read_state().unwrap().count, 2);
            assert_eq!((actor.state(), actor.stat().input_depth), (ActorState::Failed, 3));
            assert!(others.iter().all(|other| other.try_receive().unwrap() == Some(5)));
            assert!(matches!(actor.send(1), Err(RingError::State { .. })));
            assert_eq!(
                (actor.try_receive().unwrap(), actor.try_receive().unwrap()),
                (Some(1), Some(2))
            );
            assert!(matches!(actor.receive().wait(), Err(RingError::Fault(_))));
            assert_eq!(ring.run(ticks).unwrap().handled, 0);
        }
    }
}

#[test]
fn two_faults_in_one_tick_are_two_faults() {
    let ring = ring();
    let code = "void handle(thread const uint &m, thread Few &s, thread Outbox<uint> &out) { s.values[m] = m; out.reply(m); }";
    let actors: Vec<_> = (0..5)
        .map(|i| {
            ring.spawn::<u32, u32, Few>(
                &format!("{i}"),
                code,
                Few { values: [0; 4], count: 0 },
                Launch::new().supervision(Supervision::Stop),
            )
            .unwrap()
        })
        .collect();
    for (actor, message) in actors.iter().zip([1, 200, 2, 300, 3]) {
        actor.send(message).unwrap();
    }
    let tick = ring.tick().unwrap();
    assert_eq!(tick.handled, 3);
    let mut failed: Vec<&str> = tick.faults.iter().map(|fault| fault.name.as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["1", "3"]);
    let replies: Vec<_> = actors.iter().map(|actor| actor.try_receive().unwrap()).collect();
    assert_eq!(replies, [Some(1), None, Some(2), None, Some(3)]);
}

#[test]
fn a_restart_begins_with_the_checkpoint_and_buries_the_message_at_fault() {
    for bad in [7, 100] {
        let ring = ring();
        let actor = clumsy(&ring, Launch::new().supervision(Supervision::Restart { limit: 2 }));
        actor.send_all(&[1, 2, 3]).unwrap();
        ring.tick().unwrap();
        let checkpoint = ring.checkpoint().unwrap();
        actor.send(4).unwrap();
        ring.tick().unwrap();
        assert_eq!(actor.read_state().unwrap().count, 4);
        actor.send_all(&[5, bad, 6]).unwrap();
        let run = ring.run(100).unwrap();
        assert_eq!(run.faults.len(), 2, "once together, once alone");
        assert_eq!(actor.state(), ActorState::Active);
        let dead = ring.take_dead_letters();
        assert_eq!(
            dead.iter().map(|letter| letter.message::<u32>()).collect::<Vec<_>>(),
            [Some(bad)]
        );
        // The first restart has the checkpoint's state and then handles 5; the second one begins again.
        assert_eq!(actor.read_state().unwrap().count, 3 + 1);
        let replies: Vec<_> = std::iter::from_fn(|| actor.try_receive().unwrap()).collect();
        assert_eq!(replies, [1, 2, 3, 4, 5, 6]);
        // The limit is reached.
        actor.send(bad).unwrap();
        assert_eq!(ring.run(10).unwrap().faults.len(), 1);
        assert_eq!(actor.state(), ActorState::Failed);
        ring.restore(&Checkpoint::parse(&checkpoint.to_bytes()).unwrap()).unwrap();
        assert_eq!((actor.state(), actor.read_state().unwrap().count), (ActorState::Active, 3));
    }
}

#[test]
fn an_endless_actor_fails_and_the_others_continue() {
    let test = "ring::tests::faults::an_endless_actor_fails_and_the_others_continue";
    let watchdog = [("ARUMINIUM_SOFT_WATCHDOG_MS", "300")];
    let output = in_child(test, &watchdog, || {
        let ring = ring();
        let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
            while (s < m) { s += m & 1; }
            out.reply(m);
        }";
        let actors: Vec<_> = (0..3)
            .map(|i| {
                spawn(
                    &ring,
                    &format!("loop {i}"),
                    code,
                    Launch::new().supervision(Supervision::Stop),
                )
            })
            .collect();
        for (actor, message) in actors.iter().zip([1, 2, 3]) {
            actor.send(message).unwrap();
        }
        let tick = ring.tick().unwrap();
        assert_eq!(tick.faults.len(), 1, "{:?}", tick.faults);
        assert_eq!(tick.faults[0].name, "loop 1");
        assert_eq!(actors[0].try_receive().unwrap(), Some(1));
        assert_eq!(actors[2].try_receive().unwrap(), Some(3));
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A handler with a reference to its state reaches that state, and neither its neighbours' nor the one before the tick.
#[test]
fn a_handler_that_leaves_its_state_in_place_fails_its_actor() {
    let code = "void handle(thread const uint &m, device Few &s, thread Outbox<uint> &out) {
        if (out.index == 0) { s.count += 1; }
        if (out.index == out.count - 1) {
            device uint *words = (device uint *)&s;
            if (m & 1u) { words[int(m) >> 1] = 9; } else { s.values[1] += words[int(m) >> 1]; }
        }
    }";
    let words = (size_of::<Few>() / 4) as i32;
    for launch in [Launch::new().in_place(), Launch::new().grid(1, 32), Launch::new().grid(2, 8)] {
        let ring = ring();
        let launch = launch.supervision(Supervision::Stop);
        let few = Few { values: [1, 2, 3, 4], count: 0 };
        let mut actors = ["a", "b", "c"]
            .map(|name| ring.spawn::<u32, u32, Few>(name, code, few, launch.clone()).unwrap());
        for index in [words, -1, -words, 2 * words, -2 * words, words + 1, 1 << 20, -(1 << 20)] {
            for write in [false, true] {
                // Both sides of the neighbours have been written.
                actors.iter().for_each(|actor| _ = actor.send_all(&[2, 5]).unwrap());
                ring.run(9).unwrap();
                let before = actors.each_ref().map(|actor| actor.read_state().unwrap());
                actors.iter().for_each(|actor| _ = actor.send(2).unwrap());
                actors[1].send((index * 2) as u32 | u32::from(write)).unwrap();
                let faults = ring.run(1).unwrap().faults;
                assert_eq!(faults.len(), 1, "{index} {write}");
                let Cause::Kernel(fault) = &faults[0].cause else { panic!("{faults:?}") };
                assert_eq!(
                    (&*faults[0].name, fault.kind, fault.write),
                    ("b", FaultKind::Access, write)
                );
                assert!(faults[0].to_string().contains("the state of actor b"), "{}", faults[0]);
                let after = actors.each_ref().map(|actor| actor.read_state().unwrap());
                assert_eq!(after[1], before[1], "{index} {write}");
                for side in [0, 2] {
                    let mut expected = before[side];
                    expected.count += 1;
                    expected.values[1] += before[side].values[1];
                    assert_eq!(after[side], expected, "{index} {write}");
                }
                actors[1].terminate().unwrap();
                ring.take_dead_letters();
                let again = ring.spawn::<u32, u32, Few>("b", code, few, launch.clone()).unwrap();
                actors[1].clone_from(&again);
            }
        }
    }
}

#[test]
fn only_the_first_thread_sends() {
    let ring = ring();
    let code = "void handle(thread const uint &m, device uint &s, thread Outbox<uint> &out) { if (out.index == m) { out.reply(m); } }";
    let actor = spawn(&ring, "wide", code, Launch::new().grid(1, 32));
    assert_eq!(actor.call(0).wait().unwrap(), 0);
    let Err(RingError::Fault(fault)) = actor.call(5).wait() else { panic!("no fault") };
    assert_eq!(fault.cause, Cause::Thread);
}

#[test]
fn handlers_that_do_not_compile_are_explained() {
    let ring = ring();
    let code = "void handle(thread const uint &m, device uint &s, thread Outbox<uint> &out) {\n    out.reply(x);\n}";
    let error = ring.spawn::<u32, u32, u32>("bad", code, 0, Launch::new()).unwrap_err().to_string();
    assert!(error.contains("bad:2:") && error.contains("'x'"), "{error}");
    assert!(error.contains("thread uint &state"), "{error}");
    // Nothing is left of it.
    assert!(ring.actors().is_empty());
    spawn(&ring, "bad", NOTHING, Launch::new());
}

#[test]
fn names_that_msl_does_not_accept_are_explained() {
    crate::message! { struct Job { kernel: u32 } }
    let code = "void handle(thread const Job &m, thread uint &s, thread Outbox<uint> &out) {}";
    let error = ring().spawn::<Job, u32, u32>("bad", code, 0, Launch::new()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RingError::Layout(_)) && text.contains("->kernel"), "{text}");
    assert!(text.contains("keyword"), "{text}");
}

#[test]
fn wrong_launches_are_refused() {
    let ring = ring();
    for launch in [
        Launch::new().grid(1, 2000),
        Launch::new().grid(0, 1),
        Launch::new().capacity(0),
        Launch::new().emits(0),
        Launch::new().emits(64).capacities(1, 4),
        Launch::new().budget(0),
    ] {
        let outcome = ring.spawn::<u32, u32, u32>("wrong", NOTHING, 0, launch.clone());
        assert!(matches!(outcome, Err(RingError::Invalid(_))), "{launch:?}");
    }
    let largest = Launch::new().grid(1 << 16, 1024).capacity(1);
    let spawn = |i: u32| {
        ring.spawn::<u32, u32, u32>(
            &format!("{i}"),
            &NOTHING.replace("thread uint &s", "device uint &s"),
            0,
            largest.clone(),
        )
    };
    assert!((0..63).all(|i| spawn(i).is_ok()));
    let error = spawn(63).unwrap_err().to_string();
    assert!(error.contains("at most 2³² threads"), "{error}");
    assert!(
        Ring::with(&Gpu::open().unwrap(), RingOptions { ticks: 0, ..Default::default() }).is_err()
    );
}

/// Five actors that send to each other.
fn five() -> (Ring, Vec<Actor<u32, u32, Few>>) {
    let code = "void handle(thread const uint &m, thread Few &s, thread Outbox<uint> &out) {
        s.values[m & 3] += m; s.count += 1;
        if (m > 0) { out.send(m & 1, m - 1); }
        if (m % 5 == 0) { out.post(m); }
    }";
    let ring = ring_of(RingOptions { ticks: 7, ..Default::default() });
    let launch = Launch::new().capacity(32).emits(2);
    let actors: Vec<_> = (0..5)
        .map(|i| {
            let few = Few { values: [i; 4], count: 0 };
            ring.spawn(&format!("{i}"), code, few, launch.clone()).unwrap()
        })
        .collect();
    let ids: Vec<_> = actors.iter().map(Actor::id).collect();
    let edges = (0..5).flat_map(|i| [(i, (i + 1) % 5), (i, (i + 2) % 5)]).collect();
    ring.topology(&ids, &Topology::Edges(edges)).unwrap();
    (ring, actors)
}

/// A ring's state after a number of ticks, for another process to print.
fn after(ring: &Ring, ticks: u64) -> String {
    ring.run(ticks).unwrap();
    format!("checkpoint {:08x}", crc32(&ring.checkpoint().unwrap().to_bytes()))
}

#[test]
fn a_fresh_process_continues_from_a_file_with_equal_bytes() {
    const FILE: &str = "ARUMINIUM_TEST_CHILD";
    if let Some(path) = std::env::var_os(FILE) {
        let (ring, _) = five();
        ring.restore(&Checkpoint::load(path).unwrap()).unwrap();
        println!("{}", after(&ring, 1000));
        return;
    }
    let (ring, actors) = five();
    for (actor, message) in actors.iter().zip(20..) {
        actor.send_all(&[message, message + 10]).unwrap();
    }
    ring.run(9).unwrap();
    let path = std::env::temp_dir().join(format!("aruminium-{}.checkpoint", std::process::id()));
    ring.checkpoint().unwrap().save(&path).unwrap();
    let test = "ring::tests::faults::a_fresh_process_continues_from_a_file_with_equal_bytes";
    let output = run_child(test, &[(FILE, path.to_str().unwrap())]);
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&after(&ring, 1000)),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The same run, in pieces and as a whole, with a checkpoint into another ring in between.
#[test]
fn a_restored_ring_continues_with_equal_bytes() {
    let (ring, actors) = five();
    for (actor, message) in actors.iter().zip(20..) {
        actor.send_all(&[message, message + 10]).unwrap();
    }
    ring.run(9).unwrap();
    _ = actors[2].try_receive().unwrap();
    let bytes = ring.checkpoint().unwrap().to_bytes();
    ring.run(1000).unwrap();

    let (other, _) = five();
    other.run(3).unwrap();
    other.restore(&Checkpoint::parse(&bytes).unwrap()).unwrap();
    assert_eq!(other.checkpoint().unwrap().to_bytes(), bytes);
    other.run(1000).unwrap();
    assert_eq!(other.checkpoint().unwrap(), ring.checkpoint().unwrap());

    // A ring with other actors refuses it, and has not changed.
    let third = super::ring();
    spawn(&third, "0", NOTHING, Launch::new());
    let before = third.checkpoint().unwrap();
    let error = third.restore(&Checkpoint::parse(&bytes).unwrap()).unwrap_err().to_string();
    assert!(error.contains("another ring"), "{error}");
    assert_eq!(third.checkpoint().unwrap(), before);
    // Damaged bytes are refused.
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(Checkpoint::parse(&damaged), Err(RingError::Format(_))), "byte {at}");
        assert!(
            matches!(Checkpoint::parse(&bytes[..at]), Err(RingError::Format(_))),
            "cut at {at}"
        );
    }
}

#[test]
fn of_actors_that_fail_in_one_tick_the_first_one_is_named_first() {
    let code = "void handle(thread const uint &m, device Few &s, thread Outbox<uint> &out) {
        for (uint i = 0; i < m % 1000000; i++) { s.count += 1; }
        s.values[m] = m;
    }";
    for round in 0..20 {
        let ring = ring();
        let launch = Launch::new().grid(1, 2).supervision(Supervision::Stop);
        let few = Few { values: [0; 4], count: 0 };
        let actors: Vec<_> = (0..6)
            .map(|i| ring.spawn(&format!("{i}"), code, few, launch.clone()).unwrap())
            .collect();
        // The first ones take longer.
        let actors: Vec<Actor<u32, u32, Few>> = actors;
        for (actor, i) in actors.iter().zip(0..) {
            actor.send(1_060_000 - 10_000 * i - round).unwrap();
        }
        let faults = ring.tick().unwrap().faults;
        let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(names, ["0", "1", "2", "3", "4", "5"]);
    }
}

#[test]
fn faults_of_both_sorts_in_one_tick_have_one_order() {
    let code = "void handle(thread const uint &m, device Few &s, thread Outbox<uint> &out) {
        if (m == 7) { out.fail(7); return; }
        for (uint i = 0; i < 20000; i++) { s.count += 1; }
        s.values[m] = m;
    }";
    // The one that calls `fail` has ended when the other one makes its error.
    for messages in [[7, 100_000], [100_000, 7]] {
        let ring = ring();
        let launch = Launch::new().grid(1, 2).supervision(Supervision::Stop);
        for (message, name) in messages.into_iter().zip(["0", "1"]) {
            let few = Few { values: [0; 4], count: 0 };
            let actor = ring.spawn::<u32, u32, Few>(name, code, few, launch.clone()).unwrap();
            actor.send(message).unwrap();
        }
        let faults = ring.tick().unwrap().faults;
        let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(names, ["0", "1"], "{messages:?}");
    }
}

#[test]
fn a_fault_in_a_late_thread_of_an_actor_undoes_its_tick() {
    // The first threads, which write the actor's record, have ended by then.
    let code = "void handle(thread const uint &m, device Few &s, thread Outbox<uint> &out) {
        if (out.index == 0) { s.count += 1; out.post(m); }
        if (m >= 7 && out.index == out.count - 1) {
            for (uint i = 0; i < 20000 && m == 7; i++) { s.values[3] += i; }
            s.values[1 << 20] = 1;
        }
    }";
    for (groups, threads) in [(1, 64), (3, 40)] {
        for before in [0, 1, 2] {
            let ring = ring();
            let launch =
                Launch::new().grid(groups, threads).budget(1).supervision(Supervision::Stop);
            let few = Few { values: [0; 4], count: 0 };
            let actor = ring.spawn::<u32, u32, Few>("late", code, few, launch).unwrap();
            actor.send_all(&[1; 3][..before]).unwrap();
            actor.send_all(&[7, 2]).unwrap();
            let run = ring.run(10).unwrap();
            assert_eq!((run.faults.len(), run.handled), (1, before as u64));
            assert_eq!(run.faults[0].tick, before as u64, "{groups} {threads}");
            let state = actor.read_state().unwrap();
            assert_eq!((state.count, state.values[3]), (before as u32, 0));
            let stat = actor.stat();
            assert_eq!((stat.processed, stat.input_depth), (before as u64, 2));
            for _ in 0..before {
                assert_eq!(actor.try_receive().unwrap(), Some(1));
            }
            assert_eq!(actor.try_receive().unwrap(), None);
        }
        // The first of two such actors is named first, even if the other one fails sooner. A suspended one is not run.
        let ring = ring();
        let launch = Launch::new().grid(groups, threads).supervision(Supervision::Stop);
        let actors: Vec<Actor<u32, u32, Few>> = ["waits", "late", "soon"]
            .into_iter()
            .map(|name| {
                let few = Few { values: [0; 4], count: 0 };
                let actor = ring.spawn(name, code, few, launch.clone()).unwrap();
                actor.send(if name == "soon" { 8 } else { 7 }).unwrap();
                actor
            })
            .collect();
        actors[0].suspend().unwrap();
        let faults = ring.run(10).unwrap().faults;
        let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(names, ["late", "soon"]);
        assert_eq!(actors[0].state(), ActorState::Suspended);
    }
}

#[test]
fn suspects_are_the_actors_whose_records_do_not_clear_them() {
    let ring = ring();
    let wide = NOTHING.replace("thread uint &s", "device uint &s");
    let fails = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.fail(1); }";
    let actors = [
        spawn(&ring, "done", NOTHING, Launch::new()),
        spawn(&ring, "late", NOTHING, Launch::new()),
        spawn(&ring, "suspended", NOTHING, Launch::new()),
        spawn(&ring, "fails", fails, Launch::new()),
        spawn(&ring, "wide", &wide, Launch::new().grid(1, 2)),
        spawn(&ring, "wide and suspended", &wide, Launch::new().grid(1, 2)),
    ];
    for actor in &actors {
        actor.send(1).unwrap();
    }
    actors[2].suspend().unwrap();
    actors[5].suspend().unwrap();
    let mut state = actors[0].core.lock();
    let (plan, version) = (state.prepare(1).unwrap(), state.version);
    let dispatch = state.engine.take().unwrap();
    // SAFETY: as for every submission.
    unsafe { dispatch.dispatch.batch(|batch| plan.encode(batch, version, 1)) }.unwrap();
    state.engine = Some(dispatch);
    // As if a kernel had failed, before this actor's thread wrote its record.
    state.records.update(3, |record| record.version = 0);
    let failed = Err(GpuError::CommandBufferError("a test's".into()));
    let ended = state.read_results(failed, &plan.members);
    let Some(SubmissionError::Metal(_, suspects)) = ended.broken else { panic!("no suspects") };
    assert_eq!((ended.ticks, suspects), (0, vec![1, 3, 4]));
}

#[test]
fn actors_at_fault_are_searched_for_alone_without_new_mail_and_without_a_record_of_it() {
    let code = "void handle(thread const uint &m, device Few &s, thread Outbox<uint> &out) {
        if (out.index == 0) { s.count += 1; }
        if (m == 7) { s.values[1 << 20] = 1; }
    }";
    let build = || {
        let ring = ring();
        let launch = Launch::new().grid(1, 2).budget(1).supervision(Supervision::Stop);
        let actors = ["0", "1"].map(|name| {
            let few = Few { values: [0; 4], count: 0 };
            ring.spawn::<u32, u32, Few>(name, code, few, launch.clone()).unwrap()
        });
        (ring, actors)
    };
    let (ring, actors) = build();
    ring.record();
    actors[0].send_all(&[1, 2, 3]).unwrap();
    actors[1].send(7).unwrap();
    let faults = ring.tick().unwrap().faults;
    assert_eq!((faults.len(), faults[0].actor), (1, actors[1].id()));
    // The tick, the first actor alone, and the tick again: the second actor is named by its thread.
    assert_eq!((ring.stat().submissions, actors[0].read_state().unwrap().count), (3, 1));
    let (again, _) = build();
    again.replay(&ring.take_recording().unwrap()).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
    // Mail that is sent during the search is not in the tick that is searched, of which nothing remains.
    let core = &actors[0].core;
    let mut state = core.lock();
    let plan = state.prepare(1).unwrap();
    drop(state);
    actors[0].send(4).unwrap();
    let mut state = core.lock();
    let mut engine = SubmitGuard::take(core, &mut state);
    let (mut state, cause) = engine.submit_alone(state, &plan, 0);
    assert!(cause.unwrap().is_none());
    assert_eq!((state.mail(0), state.record(0).handled), (2, 1));
    assert!((0..2).all(|side| state.records.get(side).version <= state.version));
    engine.release(&mut state);
    state.prepare(1).unwrap();
    assert_eq!(state.mail(0), 3);
}

/// How many actors of one threadgroup take too long together.
const SLOW: u32 = 30;

/// Actors that have each its own part of the handler, which takes the time that it is sent.
fn slow(ring: &Ring, count: u32) -> Vec<Actor<u32, u32, u32>> {
    let cases: String =
        (1..SLOW).map(|i| format!("case {i}: s += spin({i}, m); break;\n")).collect();
    let code = format!(
        "uint spin(uint start, uint rounds) {{
            uint x = start;
            for (uint i = 0; i < rounds; i++) {{ x = x * 1664525u + 1013904223u; }}
            return x;
        }}
        void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {{
            switch (out.actor) {{ {cases} default: s += spin({SLOW}, m); break; }}
            if (out.edges() > 0 && m & 1) {{ out.send(0, m & ~1u); }}
            if (m & 2) {{ out.stop(); }}
            out.post(s);
        }}"
    );
    (0..count).map(|i| spawn(ring, &format!("{i}"), &code, Launch::new())).collect()
}

#[test]
fn actors_that_take_too_long_together_do_their_work_one_after_the_other() {
    let test =
        "ring::tests::faults::actors_that_take_too_long_together_do_their_work_one_after_the_other";
    // A GPU runs them side by side.
    let variables = [
        ("ARUMINIUM_SOFT_WATCHDOG_MS", "800"),
        ("ARUMINIUM_SOFT_JIT", "off"),
        ("ARUMINIUM_SOFT_DEVICE", "cpu"),
    ];
    let output = in_child(test, &variables, || {
        let measured = ring();
        let first = slow(&measured, 1).remove(0);
        let times = [1 << 12, 1 << 14, 1 << 14, 1 << 14, 1 << 14].map(|rounds| {
            first.send(rounds).unwrap();
            let start = Instant::now();
            measured.tick().unwrap();
            start.elapsed().as_secs_f64() / f64::from(rounds)
        });
        // Alone an actor takes a twelfth of the watchdog's time, and all together two and a half times as long.
        let fastest = times.into_iter().fold(f64::INFINITY, f64::min);
        let rounds = (0.8 / 12.0 / fastest) as u32 | 3;
        let expected = |start: u32| {
            (0..rounds).fold(start, |x, _| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        };
        let (ring, again) = (ring(), super::ring());
        let (actors, others) = (slow(&ring, SLOW), slow(&again, SLOW));
        for (ring, actors) in [(&ring, &actors), (&again, &others)] {
            ring.connect(actors[0].id(), actors[1].id()).unwrap();
        }
        ring.record();
        actors.iter().for_each(|actor| _ = actor.send(rounds).unwrap());
        // A handler stops the run, also if its tick runs in parts.
        let tick = ring.run(9).unwrap();
        assert_eq!((tick.ticks, tick.handled, tick.faults.len()), (1, SLOW.into(), 0));
        assert!(ring.stat().submissions > SLOW.into(), "they were not too slow together");
        for (actor, start) in actors.iter().zip(1..) {
            assert_eq!(actor.try_receive().unwrap(), Some(expected(start)));
        }
        // The message that one sent in this tick is there in the next one, and the ring continues.
        actors[0].suspend().unwrap();
        assert_eq!(ring.run(9).unwrap().handled, 1);
        again.replay(&ring.take_recording().unwrap()).unwrap();
        assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
        assert_eq!(others[1].read_state().unwrap(), actors[1].read_state().unwrap());
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// As if a time-out had broken a tick that every actor can do alone.
#[test]
fn a_tick_that_no_actor_broke_runs_again_in_parts() {
    for failing in [false, true] {
        let ring = ring_of(RingOptions { ticks: 8, ..RingOptions::default() });
        let (wide, small) = (Launch::new().grid(2, 16).budget(1), Launch::new().capacity(4));
        let code = "void handle(thread const uint &m, device uint &s, thread Outbox<uint> &out) {
            if (out.index == 0) { s += m; out.post(m); if (m == 7) { out.fail(1); } }
        }";
        let actors = [
            spawn(&ring, "echo", ECHO, small.clone()),
            spawn(&ring, "wide", code, wide.clone()),
            spawn(&ring, "suspended", ECHO, small.clone()),
            spawn(&ring, "other", ECHO, small),
            spawn(&ring, "in place", code, wide.grid(1, 1).in_place()),
        ];
        actors.iter().for_each(|actor| _ = actor.send_all(&[1, 2]).unwrap());
        ring.run(1).unwrap();
        actors[0].send_all(&[3, 4]).unwrap();
        if failing {
            actors[4].send(7).unwrap();
            ring.run(1).unwrap();
        }
        actors[2].suspend().unwrap();
        let core = &actors[0].core;
        let mut state = core.lock();
        let plan = state.prepare(8).unwrap();
        let mut engine = SubmitGuard::take(core, &mut state);
        let version = state.version;
        let nothing = Err(GpuError::CommandBufferError("a test's".into()));
        let mut ended = state.read_results(nothing, &plan.members);
        let broken = ended.broken.take().unwrap();
        let (mut state, found) = engine.resolve(state, &plan, broken, &mut ended);
        if failing {
            assert!(matches!(found, Ok(Some((4, Cause::Failed(1))))), "{found:?}");
            let (_, ended) = engine.submit_in_parts(state, &plan);
            let ended = ended.unwrap();
            assert!(matches!(ended.broken, Some(SubmissionError::Actor(4, Cause::Failed(1)))));
            assert_eq!(ended.ticks, 0);
            drop(engine);
            continue;
        }
        assert!(matches!(found, Ok(None)), "{found:?}");
        assert_eq!((ended.ticks, ended.handled, ended.idle, ended.stopped), (1, 4, false, false));
        assert_eq!(state.version, version + 1);
        engine.release(&mut state);
        drop(state);
        assert_eq!(ring.run(9).unwrap().handled, 0);
        let states = actors.each_ref().map(|actor| actor.read_state().unwrap());
        assert_eq!(states, [4, 3, 2, 2, 3]);
        for (actor, mail) in
            actors.iter().zip([&[1, 2, 3, 4][..], &[1, 2], &[1, 2], &[1, 2], &[1, 2]])
        {
            let found: Vec<u32> = std::iter::from_fn(|| actor.try_receive().unwrap()).collect();
            assert_eq!(found, mail);
        }
    }
}

/// The lane to an actor that has ended has room for two messages, and mail in it is a dead letter after a submission.
#[test]
fn a_replay_of_ticks_that_ran_in_parts_ends_the_same() {
    let rings = [ring(), ring()];
    let starts = rings.each_ref().map(|ring| {
        let small = || Launch::new().capacity(2).budget(1);
        let from = spawn(ring, "from", SEND, Launch::new().budget(1));
        let to = spawn(ring, "to", ECHO, small());
        ring.connect(from.id(), to.id()).unwrap();
        (from, to)
    });
    let [(from, to), _] = &starts;
    rings[0].record();
    from.send_all(&[1, 2, 3, 4]).unwrap();
    to.terminate().unwrap();
    let core = &from.core;
    let mut state = core.lock();
    let plan = state.prepare(4).unwrap();
    let mut engine = SubmitGuard::take(core, &mut state);
    let (state, mut ended) = engine.submit(state, &plan, 2);
    // As if a time-out had broken the third of four ticks.
    let broken =
        SubmissionError::Metal(GpuError::CommandBufferError("a test's".into()), Vec::new());
    let (mut state, found) = engine.resolve(state, &plan, broken, &mut ended);
    assert!(matches!(found, Ok(None)), "{found:?}");
    state.conclude(&mut ended, &plan.members, false);
    engine.release(&mut state);
    drop(state);
    assert_eq!((ended.ticks, ended.handled), (3, 2), "the third message found no room");
    rings[1].replay(&rings[0].take_recording().unwrap()).unwrap();
    let [checkpoint, again] = rings.each_ref().map(|ring| ring.checkpoint().unwrap());
    assert_eq!(checkpoint, again);
    let [dead, again] = rings.each_ref().map(|ring| ring.take_dead_letters().len());
    assert_eq!((dead, again), (2, 2));
}

#[test]
fn a_recording_has_the_ticks_that_completed() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    ring.record();
    let mut state = actor.core.lock();
    for (ticks, expected) in [(2, Some(2)), (0, None)] {
        state.prepare(4).unwrap();
        state.note_ticks(ticks);
        let last = state.log.as_mut().unwrap().iter_mut().rev().find_map(Op::ticks);
        assert_eq!(last.copied(), expected);
        state.log = Some(Vec::new());
    }
}

#[test]
fn a_run_that_ends_with_an_error_says_what_it_did() {
    let fails = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.fail(m); }";
    let ring = ring();
    for (name, policy) in
        [("0", Supervision::Stop), ("1", Supervision::Escalate), ("2", Supervision::Stop)]
    {
        let actor = spawn(&ring, name, fails, Launch::new().supervision(policy));
        actor.send(4).unwrap();
    }
    let echo = spawn(&ring, "echo", ECHO, Launch::new());
    echo.send_all(&[1, 2]).unwrap();
    let mut tick = Tick::default();
    let error = ring.run_into(9, &mut tick).unwrap_err();
    assert!(matches!(error, RingError::Fault(fault) if fault.name == "1"));
    let names: Vec<&str> = tick.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!((names, tick.handled), (vec!["0", "1", "2"], 2));
    assert!(tick.ticks > 0);
    // The next call begins anew.
    ring.run_into(1, &mut tick).unwrap();
    assert_eq!((tick.ticks, tick.faults.len()), (1, 0));
}

/// The order of launches is that of handlers first, and not that of actors.
#[test]
fn of_actors_that_break_a_rule_the_first_one_in_the_order_of_launches_is_named_first() {
    let ring = ring();
    let codes = ["a", "b"].map(|name| {
        format!("// {name}\nvoid handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {{ out.fail(m); }}")
    });
    for (name, code) in [("0", 0), ("1", 1), ("2", 0), ("3", 1)] {
        let launch = Launch::new().supervision(Supervision::Stop);
        spawn(&ring, name, &codes[code], launch).send(1).unwrap();
    }
    let faults = ring.tick().unwrap().faults;
    let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["0", "2", "1", "3"]);
}

#[test]
fn the_last_faults_are_kept_and_the_others_counted() {
    let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.fail(m); }";
    for (limit, kept) in [(0, 0), (3, 3), (100, 10)] {
        let ring = ring_of(RingOptions { faults: limit, ..RingOptions::default() });
        let launch = Launch::new().supervision(Supervision::Stop);
        let actor = spawn(&ring, "fails", code, launch.clone());
        for code in 1..=10 {
            actor.activate().unwrap();
            actor.send(code).unwrap();
            let faults = ring.tick().unwrap().faults;
            assert_eq!(
                faults.iter().map(|fault| &fault.cause).collect::<Vec<_>>(),
                [&Cause::Failed(1)]
            );
            // The message is still there, and fails again. An actor's own fault is known, however many others there were.
            let Err(RingError::Fault(fault)) = actor.receive().wait() else { panic!("no fault") };
            assert_eq!(fault.name, "fails");
        }
        let (stat, faults) = (ring.stat(), ring.faults());
        assert_eq!((faults.len() as u64, stat.faults), (kept, 10));
        assert_eq!(stat.faults_forgotten, 10 - kept);
        assert!(faults.windows(2).all(|pair| pair[0].tick <= pair[1].tick));
        assert_eq!(actor.stat().faults, 10);
        assert!(ring.stat().to_string().contains("10 faults"));
    }
}
