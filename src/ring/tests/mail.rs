//! Mailboxes, calls, futures, states of actors, topologies, and many threads.

use super::{ECHO, NOTHING, block_on, ring, ring_of, spawn};
use crate::ring::state::Thread;
use crate::ring::{
    Actor, ActorState, Clock, Envelope, Launch, Message, Priority, Receipt, Ring, RingError,
    RingOptions, TimeSource, Topology,
};
use std::thread;
use std::time::Duration;

#[test]
fn mail_arrives_in_order_through_a_mailbox_that_wraps() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacity(8));
    let mut next = 0;
    for round in 0..50 {
        let count = round % 8 + 1;
        let messages: Vec<u32> = (next..next + count).collect();
        assert_eq!(actor.send_all(&messages).unwrap(), count as usize);
        ring.tick().unwrap();
        for expected in messages {
            assert_eq!(actor.try_receive().unwrap(), Some(expected));
        }
        next += count;
    }
    assert_eq!(actor.try_receive().unwrap(), None);
    let stat = actor.stat();
    assert_eq!((stat.processed, stat.sent, stat.dropped), (next.into(), next.into(), 0));
}

#[test]
fn a_full_mailbox_to_the_host_stalls_the_actor_and_loses_nothing() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacities(16, 4));
    assert_eq!(actor.send_all(&(0..16).collect::<Vec<_>>()).unwrap(), 16);
    assert!(matches!(actor.send(16), Err(RingError::Full { capacity: 16, .. })));
    let first = ring.run(100).unwrap();
    assert_eq!((first.handled, first.stalled), (4, 1));
    let error = actor.call(16).wait().unwrap_err();
    assert!(matches!(error, RingError::Full { .. }), "{error}");
    let mut received = Vec::new();
    while let Some(message) = actor.try_receive().unwrap() {
        received.push(message);
        ring.tick().unwrap();
    }
    assert_eq!(received, (0..=16).collect::<Vec<_>>());
    assert!(actor.stat().stalls > 0);
}

#[test]
fn replies_reach_their_calls_and_other_mail_stays() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    actor.send(1).unwrap();
    let (two, three) = (actor.call(2), actor.call(3));
    actor.send(4).unwrap();
    assert_eq!(three.wait().unwrap(), 3);
    assert_eq!(actor.try_receive().unwrap(), Some(1));
    assert_eq!(actor.try_receive().unwrap(), Some(4));
    assert_eq!(two.wait().unwrap(), 2);
    // The reply to a call that nothing waits for is mail like any other.
    drop(actor.call(5));
    ring.tick().unwrap();
    assert_eq!(actor.try_receive().unwrap(), Some(5));
}

#[test]
fn futures_are_woken_without_anyone_ticking() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    for i in 0..20 {
        assert_eq!(block_on(actor.call(i)).unwrap(), i);
    }
    let waiting = {
        let actor = actor.clone();
        thread::spawn(move || block_on(actor.receive()))
    };
    thread::sleep(Duration::from_millis(20));
    actor.send(77).unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), 77);
    let nothing = block_on(actor.receive().within(Duration::from_millis(20)));
    assert!(matches!(nothing, Err(RingError::Timeout)));
    // The thread of the ring ends when nothing waits.
    thread::sleep(Duration::from_millis(350));
    assert_eq!(actor.core.lock().driver, Thread::None);
    assert_eq!(actor.core.lock().tasks, 0);
}

#[test]
fn threads_share_a_ring() {
    let ring = ring();
    let actors: Vec<_> =
        (0..3).map(|i| spawn(&ring, &format!("echo {i}"), ECHO, Launch::new())).collect();
    let threads: Vec<_> = (0..6)
        .map(|i| {
            let actor = actors[i % 3].clone();
            thread::spawn(move || {
                for message in 0..100 {
                    assert_eq!(
                        actor.call(message).wait_timeout(Duration::from_secs(60)).unwrap(),
                        message
                    );
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(actors.iter().map(|actor| actor.stat().processed).sum::<u64>(), 600);
    assert_eq!(actors.iter().map(|actor| actor.read_state().unwrap()).sum::<u32>(), 600);
}

#[test]
fn a_driver_ticks_until_it_is_dropped() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let driver = ring.start().unwrap();
    actor.send(1).unwrap();
    while actor.stat().processed == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(driver);
    while actor.core.lock().driver != Thread::None {
        thread::sleep(Duration::from_millis(10));
    }
    actor.send(2).unwrap();
    thread::sleep(Duration::from_millis(20));
    assert_eq!(actor.stat().processed, 1);
}

#[test]
fn states_allow_only_the_transitions_of_the_specification() {
    let ring = ring();
    let actor = spawn(&ring, "one", ECHO, Launch::new().auto_activate(false));
    actor.send(1).unwrap();
    assert_eq!(ring.tick().unwrap().handled, 0);
    assert!(matches!(actor.suspend(), Err(RingError::State { state: ActorState::Launched, .. })));
    assert!(actor.resume().is_err());
    actor.activate().unwrap();
    actor.activate().unwrap();
    assert_eq!(ring.tick().unwrap().handled, 1);
    actor.suspend().unwrap();
    let waiting = actor.send(2).unwrap();
    let error = actor.call(3).wait().unwrap_err().to_string();
    assert!(error.contains("suspended"), "{error}");
    assert_eq!(actor.receipt(waiting).unwrap(), Receipt::Pending);
    actor.resume().unwrap();
    ring.tick().unwrap();
    assert_eq!(actor.receipt(waiting).unwrap(), Receipt::Delivered);
    actor.send(4).unwrap();
    actor.terminate().unwrap();
    actor.terminate().unwrap();
    assert!(actor.activate().is_err() && actor.send(5).is_err() && actor.read_state().is_err());
    // Messages that it sent before are still there, and its name is free.
    assert_eq!(actor.receive().wait().unwrap(), 1);
    assert_eq!(
        ring.take_dead_letters().iter().map(|letter| letter.message()).collect::<Vec<_>>(),
        [Some(4u32)]
    );
    let other = spawn(&ring, "one", ECHO, Launch::new());
    assert_eq!(other.call(6).wait().unwrap(), 6);
    assert_eq!(ring.actors().len(), 1);
}

#[test]
fn mail_to_an_actor_that_ended_is_a_dead_letter() {
    let ring = ring();
    let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
    let (from, to) =
        (spawn(&ring, "from", pass, Launch::new()), spawn(&ring, "to", NOTHING, Launch::new()));
    ring.connect(from.id(), to.id()).unwrap();
    from.send(1).unwrap();
    ring.tick().unwrap();
    to.terminate().unwrap();
    from.send_all(&[2, 3]).unwrap();
    ring.run(10).unwrap();
    let dead = ring.take_dead_letters();
    assert_eq!(
        dead.iter().map(|letter| letter.message::<u32>()).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    assert!(
        dead.iter()
            .all(|letter| letter.source == Some(from.id()) && letter.target == Some(to.id()))
    );
}

#[test]
fn a_reply_to_an_actor_without_a_lane_back_is_a_dead_letter() {
    let ring = ring();
    let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
    let (from, to) =
        (spawn(&ring, "from", pass, Launch::new()), spawn(&ring, "to", ECHO, Launch::new()));
    ring.connect(from.id(), to.id()).unwrap();
    from.send(8).unwrap();
    to.send(9).unwrap();
    ring.run(10).unwrap();
    let dead = ring.take_dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].message::<u32>(), dead[0].target), (Some(8), Some(from.id())));
    assert_eq!(to.try_receive().unwrap(), Some(9));
}

#[test]
fn lanes_need_one_type() {
    let ring = ring();
    let one = spawn(&ring, "one", NOTHING, Launch::new());
    let code = "void handle(thread const float &m, thread uint &s, thread Outbox<uint> &out) {}";
    let other = ring.spawn::<f32, u32, u32>("other", code, 0, Launch::new()).unwrap();
    let error = ring.connect(one.id(), other.id()).unwrap_err().to_string();
    assert!(error.contains("sends `uint`") && error.contains("receives `float`"), "{error}");
}

/// Structures of one name and one text of fields, and so of one number.
macro_rules! structures {
    ($($module:ident: $number:ty, $count:literal;)+) => {$(
        mod $module {
            pub(super) type Number = $number;
            pub(super) const COUNT: usize = $count;
            crate::message! { pub(super) struct Inner { values: [Number; COUNT] } }
            crate::message! { pub(super) struct Outer { inner: Inner } }
        }
    )+};
}

structures! {
    narrow: u32, 1;
    wide: u32, 64;
    real: f32, 1;
}

#[test]
fn lanes_need_one_layout() {
    fn end<M: Message>(ring: &Ring, name: &str) -> Actor<M, M, u32> {
        let message = M::layout().name;
        let code = format!(
            "void handle(thread const {message} &m, thread uint &s, thread Outbox<{message}> &out) {{ out.send(0, m); }}"
        );
        ring.spawn(name, &code, 0, Launch::new().capacity(2)).unwrap()
    }
    fn refused<A: Message, B: Message>(ring: &Ring, names: [&str; 2]) -> String {
        assert_eq!(A::TYPE, B::TYPE);
        let (from, to) = (end::<A>(ring, names[0]), end::<B>(ring, names[1]));
        ring.connect(from.id(), to.id()).unwrap_err().to_string()
    }
    let ring = ring();
    let error = refused::<wide::Inner, narrow::Inner>(&ring, ["a", "b"]);
    assert!(error.contains("256 bytes") && error.contains("4 bytes"), "{error}");
    refused::<wide::Outer, narrow::Outer>(&ring, ["c", "d"]);
    refused::<narrow::Inner, real::Inner>(&ring, ["e", "f"]);
    refused::<narrow::Outer, real::Outer>(&ring, ["g", "h"]);
    let (from, to) = (end::<wide::Outer>(&ring, "i"), end::<wide::Outer>(&ring, "j"));
    assert_eq!(ring.connect(from.id(), to.id()).unwrap(), 0);
}

#[test]
fn checkpoints_need_one_layout() {
    const CODE: &str =
        "void handle(thread const uint &m, thread Outer &s, thread Outbox<uint> &out) {}";
    fn with<S: Message>(state: S) -> Ring {
        let ring = ring();
        ring.spawn::<u32, u32, S>("one", CODE, state, Launch::new()).unwrap();
        ring
    }
    let whole = || narrow::Outer { inner: narrow::Inner { values: [7] } };
    let checkpoint = with(whole()).checkpoint().unwrap();
    let error = with(real::Outer { inner: real::Inner { values: [0.0] } })
        .restore(&checkpoint)
        .unwrap_err()
        .to_string();
    assert!(error.contains("another state"), "{error}");
    with(whole()).restore(&checkpoint).unwrap();
}

#[test]
fn a_cycle_of_full_lanes_is_reported_with_its_actors() {
    let ring = ring();
    let double = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        out.send(0, m); out.send(0, m); }";
    let launch = Launch::new().capacities(4, 16).emits(2);
    let actors: Vec<_> =
        (0..3).map(|i| spawn(&ring, &format!("a{i}"), double, launch.clone())).collect();
    let ids: Vec<_> = actors.iter().map(|actor| actor.id()).collect();
    ring.topology(&ids, &Topology::Ring).unwrap();
    let free = spawn(&ring, "free", ECHO, Launch::new());
    for actor in &actors {
        actor.send_all(&[1, 2, 3, 4]).unwrap();
    }
    let error = ring.run(1000).unwrap_err();
    let RingError::Cycle(names) = &error else { panic!("{error}") };
    let mut names = names.clone();
    names.sort();
    assert_eq!(names, ["a0", "a1", "a2"]);
    // The others continue, and the cycle is reported again.
    free.send(7).unwrap();
    assert!(matches!(ring.tick(), Err(RingError::Cycle(_))));
    assert_eq!(free.try_receive().unwrap(), Some(7));
    assert!(matches!(actors[0].receive().wait(), Err(RingError::Cycle(_))));
    assert!(matches!(block_on(actors[0].receive()), Err(RingError::Cycle(_))));
    // Ending one of them frees the others.
    actors[1].terminate().unwrap();
    ring.run(1000).unwrap();
    let total: u64 = ring.stat().actors.iter().map(|actor| actor.input_depth).sum();
    assert_eq!(total, 0);
}

/// The first lane of `x` that has no room is that to an actor which is suspended; the cycle goes through the second.
#[test]
fn a_cycle_is_found_beside_another_full_lane() {
    let ring = ring();
    let first = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        if (s < 3) out.send(0, m);
        s += 1; out.send(1, m); out.send(1, m); }";
    let double = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        out.send(0, m); out.send(0, m); }";
    let launch = Launch::new().capacities(4, 16).emits(2);
    let x = spawn(&ring, "x", first, launch.clone());
    let y = spawn(&ring, "y", double, launch.clone());
    let sink = spawn(
        &ring,
        "sink",
        "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}",
        launch,
    );
    for (from, to) in [(&x, &sink), (&x, &y), (&y, &x)] {
        ring.connect(from.id(), to.id()).unwrap();
    }
    sink.suspend().unwrap();
    x.send_all(&[1, 2, 3]).unwrap();
    let error = ring.run(1000).unwrap_err();
    let RingError::Cycle(names) = &error else { panic!("{error}") };
    let mut names = names.clone();
    names.sort();
    assert_eq!(names, ["x", "y"]);
}

/// A type whose layout is that of another one would overwrite the mail and states beside its own.
#[test]
fn layouts_have_the_size_of_their_types() {
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Large([u32; 1024]);
    // SAFETY: an array of numbers.
    unsafe impl crate::Plain for Large {}
    impl crate::ring::Message for Large {
        const TYPE: u32 = 1;
        fn layout() -> crate::ring::Layout {
            u32::layout()
        }
    }
    let ring = ring();
    let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
    let error = ring.spawn::<Large, u32, u32>("large", code, 0, Launch::new()).unwrap_err();
    assert!(error.to_string().contains("has 4096 bytes, but `uint`"), "{error}");
    let state = Large([7; 1024]);
    assert!(ring.spawn::<u32, u32, Large>("large", code, state, Launch::new()).is_err());
}

#[test]
fn higher_priority_comes_first_and_causes_before_effects() {
    let ring = ring();
    let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
    let log = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.post(m); }";
    let sink = spawn(&ring, "sink", log, Launch::new());
    let low = spawn(&ring, "low", pass, Launch::new().priority(Priority::Low));
    let high = spawn(&ring, "high", pass, Launch::new().priority(Priority::Critical));
    for actor in [&low, &high] {
        ring.connect(actor.id(), sink.id()).unwrap();
    }
    low.send_all(&[1, 2]).unwrap();
    high.send_all(&[11, 12]).unwrap();
    ring.tick().unwrap();
    sink.send(5).unwrap();
    ring.tick().unwrap();
    let order: Vec<u32> = std::iter::from_fn(|| sink.try_receive().unwrap()).collect();
    assert_eq!(order, [11, 12, 5, 1, 2]);
}

/// A sink with lanes from the host, from `relay`, and from `fork`, which sends to the sink, over the relay, and to the host.
fn sink_of_three() -> (Ring, [Actor<u32, u32, u32>; 3]) {
    let ring = ring();
    let log = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.post(m); }";
    let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
    let both = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        out.send(0, m); out.send(1, m + 1); out.post(m + 2); }";
    let actors = [("sink", log), ("relay", pass), ("fork", both)]
        .map(|(name, code)| spawn(&ring, name, code, Launch::new()));
    // The sink's lane from the relay is before that from the fork: the order of lanes is not the order of causes.
    for (from, to) in [(1, 0), (2, 0), (2, 1)] {
        ring.connect(actors[from].id(), actors[to].id()).unwrap();
    }
    (ring, actors)
}

/// Resumes an actor, and returns what it handles.
fn handled(ring: &Ring, sink: &Actor<u32, u32, u32>) -> Vec<u32> {
    sink.resume().unwrap();
    ring.run(10).unwrap();
    std::iter::from_fn(|| sink.try_receive().unwrap()).collect()
}

#[test]
fn causes_come_before_effects_on_other_lanes() {
    let (ring, [sink, relay, fork]) = sink_of_three();
    sink.suspend().unwrap();
    fork.send(10).unwrap();
    ring.run(10).unwrap();
    assert_eq!(fork.try_receive().unwrap(), Some(12));
    // The host sends this after it has received something that was sent after 10.
    sink.send(20).unwrap();
    ring.run(10).unwrap();
    let order = handled(&ring, &sink);
    assert_eq!((order.len(), order[0]), (3, 10), "{order:?}");

    // A message of another priority waits before the cause: a higher one does not matter, with a lower one the effect comes first.
    for (first, expected) in [(Priority::Critical, [1, 2, 3]), (Priority::Low, [3, 1, 2])] {
        sink.suspend().unwrap();
        sink.send_envelope(Envelope { priority: first, ..Envelope::new(1, 0) }).unwrap();
        sink.send(2).unwrap();
        relay.send(3).unwrap();
        ring.run(10).unwrap();
        assert_eq!(handled(&ring, &sink), expected, "{first:?}");
    }
}

#[test]
fn replies_that_nothing_receives_do_not_end_receiving() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacities(16, 2));
    let calls: Vec<_> = (0..6).map(|message| actor.call(message)).collect();
    for _ in 0..4 {
        ring.run(10).unwrap();
        assert_eq!(actor.try_receive().unwrap(), None);
    }
    for (call, message) in calls.into_iter().zip(0..) {
        assert_eq!(call.wait().unwrap(), message);
    }
}

#[test]
fn clocks_of_threads_never_return_one_moment_twice() {
    let count = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let clock = Clock::new(1);
    let mut all: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..count).map(|_| clock.tick()).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| {
                let moments = thread.join().unwrap();
                assert!(moments.is_sorted_by(|one, next| one < next));
                moments
            })
            .collect()
    });
    all.sort_unstable();
    assert!(all.is_sorted_by(|one, next| one < next));
}

#[test]
fn the_wall_clock_stamps_what_the_host_sends() {
    let ring = ring_of(RingOptions { time: TimeSource::Wall, ..RingOptions::default() });
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let before = Clock::new(0).tick();
    actor.send(1).unwrap();
    let envelope = actor.receive().wait_envelope(Duration::from_secs(10)).unwrap();
    assert!(envelope.clock > before, "{} {before}", envelope.clock);
}

/// Sends each neighbour the number of its edge, from 1, when it gets 99; other numbers are noted.
const NEIGHBOURS: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        if (m == 99) {
            for (uint edge = 0; edge < out.edges(); edge++) { if (out.has(edge)) { out.send(edge, edge + 1); } }
        } else { s = s * 10 + m; }
    }";

#[test]
fn grids_have_their_neighbours_in_order() {
    let ring = ring();
    for (wrap, expected) in [(false, [0, 4, 0, 0, 0, 0]), (true, [0, 4, 3, 0, 0, 0])] {
        // The lower row of the torus gets north's message from both sides.
        let actors: Vec<_> = (0..6)
            .map(|i| spawn(&ring, &format!("{wrap} {i}"), NEIGHBOURS, Launch::new()))
            .collect();
        let ids: Vec<_> = actors.iter().map(|actor| actor.id()).collect();
        ring.topology(&ids, &Topology::Grid2 { width: 3, height: 2, wrap }).unwrap();
        actors[0].send(99).unwrap();
        ring.run(10).unwrap();
        let mut states: Vec<u32> = actors.iter().map(|actor| actor.read_state().unwrap()).collect();
        let below = std::mem::take(&mut states[3]);
        assert_eq!(below, if wrap { 12 } else { 2 });
        assert_eq!(states, expected, "{wrap}");
    }
    assert_eq!(ring.route(crate::ring::ActorId(1), crate::ring::ActorId(6)).unwrap().len(), 4);
}

#[test]
fn grids_of_three_dimensions_have_their_neighbours_in_order() {
    let ring = ring();
    /// Whether the grid wraps, the actor that sends, and the others' states.
    type Case = (bool, usize, &'static [(usize, u32)]);
    let runs: [Case; 4] = [
        // At (0, 1, 2), and at (1, 2, 3), the last one.
        (false, 14, &[(15, 2), (12, 3), (16, 4), (8, 5), (20, 6)]),
        (false, 23, &[(22, 1), (21, 3), (17, 5)]),
        // In a torus a row of two has each neighbour on both sides.
        (true, 14, &[(15, 12), (12, 3), (16, 4), (8, 5), (20, 6)]),
        (true, 23, &[(22, 12), (21, 3), (19, 4), (17, 5), (5, 6)]),
    ];
    for (number, (wrap, from, reached)) in runs.into_iter().enumerate() {
        let actors: Vec<_> = (0..24)
            .map(|i| spawn(&ring, &format!("{number} {i}"), NEIGHBOURS, Launch::new()))
            .collect();
        let ids: Vec<_> = actors.iter().map(|actor| actor.id()).collect();
        ring.topology(&ids, &Topology::Grid3 { width: 2, height: 3, depth: 4, wrap }).unwrap();
        actors[from].send(99).unwrap();
        ring.run(10).unwrap();
        let mut expected = vec![0; 24];
        reached.iter().for_each(|&(to, state)| expected[to] = state);
        let states: Vec<u32> = actors.iter().map(|actor| actor.read_state().unwrap()).collect();
        assert_eq!(states, expected, "{wrap} {from}");
    }
    let grid = Topology::Grid3 { width: 2, height: 3, depth: 3, wrap: false };
    let ids: Vec<_> = ring.actors().into_iter().take(24).map(|(id, ..)| id).collect();
    assert!(matches!(ring.topology(&ids, &grid), Err(RingError::Invalid(_))));
}

#[test]
fn an_actor_of_many_threads_works_together() {
    crate::message! { struct Wide { sums: [u32; 256] } }
    let ring = ring();
    for (groups, threads) in [(1, 64), (4, 64), (1, 1)] {
        let code = "void handle(thread const uint &m, device Wide &s, thread Outbox<uint> &out) {
            for (uint i = out.index; i < 256; i += out.count) { s.sums[i] += m * i; }
            threadgroup_barrier(mem_flags::mem_device);
            if (out.index == 0) { out.reply(out.count); }
        }";
        let launch = Launch::new().grid(groups, threads).in_place();
        let name = format!("wide {groups} {threads}");
        let actor =
            ring.spawn::<u32, u32, Wide>(&name, code, Wide { sums: [1; 256] }, launch).unwrap();
        actor.send_all(&[1, 2]).unwrap();
        ring.tick().unwrap();
        actor.send(3).unwrap();
        ring.run(5).unwrap();
        let sums = actor.read_state().unwrap().sums;
        assert!(sums.iter().zip(0..).all(|(&sum, i)| sum == 1 + 6 * i), "{sums:?}");
        assert_eq!(actor.receive().wait().unwrap(), groups * threads);
    }
}

#[test]
fn a_handler_can_stop_the_run() {
    let ring = ring();
    let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        if (m == 3) { out.stop(); }
        out.send(0, m + 1);
    }";
    let actor = spawn(&ring, "counter", code, Launch::new());
    ring.connect(actor.id(), actor.id()).unwrap();
    actor.send(0).unwrap();
    assert_eq!(ring.run(64).unwrap().ticks, 4);
    assert_eq!(ring.run(6).unwrap().ticks, 6);
}

#[test]
fn mail_that_is_sent_while_a_submission_runs_is_work() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let mut state = actor.core.lock();
    let plan = state.prepare(1).unwrap();
    drop(state);
    actor.send(7).unwrap();
    // The submission had nothing to do.
    actor.core.lock().read_results(Ok(()), &plan.members);
    assert_eq!(actor.receive().wait().unwrap(), 7);
}

#[test]
fn room_that_the_host_makes_while_a_submission_runs_is_work() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacities(16, 4));
    actor.send_all(&[0, 1]).unwrap();
    ring.tick().unwrap();
    actor.send_all(&[2, 3, 4, 5]).unwrap();
    let mut state = actor.core.lock();
    let (plan, version) = (state.prepare(4).unwrap(), state.version);
    let dispatch = state.engine.take().unwrap();
    drop(state);
    assert_eq!([0, 1].map(|_| actor.try_receive().unwrap()), [Some(0), Some(1)]);
    // SAFETY: as for every submission.
    let result = unsafe { dispatch.dispatch.batch(|batch| plan.encode(batch, version, 4)) };
    let mut state = actor.core.lock();
    state.engine = Some(dispatch);
    let mut ended = state.read_results(result, &plan.members);
    state.conclude(&mut ended, &plan.members, false);
    drop(state);
    for expected in 2..6 {
        assert_eq!(actor.receive().wait().unwrap(), expected);
    }
}
