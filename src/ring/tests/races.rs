//! Wake-ups, wakers, counters that wrap, and what happens while a submission runs.

use super::{ECHO, NOTHING, block_on, ring, ring_of, spawn};
use crate::Capture;
use crate::child::in_child;
use crate::ring::state::{State, Thread};
use crate::ring::{
    Actor, ActorState, Cause, Checkpoint, Clock, Envelope, Hlc, Launch, Priority, Receipt, Receive,
    Recording, Ring, RingError, RingOptions, Supervision,
};
use std::collections::HashSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// A handler that posts each message to the host and sends it on.
const BOTH: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
    s += 1; out.post(m); if (out.edges() > 0) { out.send(0, m); } }";

/// A waker that does something.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(action: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Does(action)))
}

/// A waker that counts.
fn counter() -> (Waker, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&count);
    (waker(move || _ = inside.fetch_add(1, Ordering::SeqCst)), count)
}

fn poll<T>(future: &mut (impl Future<Output = T> + Unpin), waker: &Waker) -> Poll<T> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "nothing happens");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn room_in_a_lane_that_is_not_full_is_work() {
    let ring = ring();
    let twice = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m); out.reply(m); }";
    let actor = spawn(&ring, "twice", twice, Launch::new().capacities(16, 4).emits(3));
    actor.send_all(&[1, 2, 3]).unwrap();
    // There is room for two messages then, and the actor may send three.
    assert_eq!(ring.run(10).unwrap().stalled, 1);
    for expected in [1, 1, 2, 2, 3, 3] {
        assert_eq!(actor.receive().wait().unwrap(), expected);
    }
}

#[test]
fn room_that_a_thread_makes_wakes_the_thread_that_ticks() {
    let ring = ring();
    let first = spawn(&ring, "first", BOTH, Launch::new().capacities(16, 2));
    let second = spawn(&ring, "second", ECHO_POST, Launch::new());
    ring.connect(first.id(), second.id()).unwrap();
    first.send_all(&[1, 2, 3]).unwrap();
    assert_eq!(block_on(second.receive()).unwrap(), 1);
    assert_eq!(block_on(second.receive()).unwrap(), 2);
    let waiting = thread::spawn(move || block_on(second.receive().within(LONG)));
    thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    assert_eq!(first.try_receive().unwrap(), Some(1));
    assert_eq!(waiting.join().unwrap().unwrap(), 3);
    assert!(start.elapsed() < LONG / 2, "only the time-out woke it");
}

const ECHO_POST: &str =
    "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.post(m); }";

#[test]
fn a_reply_that_is_given_up_reaches_a_receiver_of_any_mail() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let (waker, count) = counter();
    let mut any = actor.receive();
    let call = actor.call(5);
    assert!(poll(&mut any, &waker).is_pending());
    // The ring's thread ticks; the reply is not for the one that waits.
    until(|| actor.stat().processed == 1 && count.load(Ordering::SeqCst) == 1);
    assert!(poll(&mut any, &waker).is_pending());
    drop(call);
    assert_eq!(count.load(Ordering::SeqCst), 2, "it was not woken");
    assert!(matches!(poll(&mut any, &waker), Poll::Ready(Ok(5))));
    // The same for a thread that waits.
    let call = actor.call(6);
    let waiting = {
        let actor = actor.clone();
        thread::spawn(move || actor.receive_timeout(LONG))
    };
    until(|| actor.stat().processed == 2);
    thread::sleep(Duration::from_millis(20));
    drop(call);
    assert_eq!(waiting.join().unwrap().unwrap(), 6);
}

#[test]
fn a_task_that_waits_for_an_actor_that_fails_is_woken() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let (waker, count) = counter();
    let mut any = actor.receive();
    // Polled after the submission that broke was read, and before its actor was found.
    assert!(poll(&mut any, &waker).is_pending());
    actor.core.lock().supervise(0, Cause::Failed(1));
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(&mut any, &waker), Poll::Ready(Err(RingError::Fault(_)))));
}

#[test]
fn wakers_may_panic_use_the_ring_and_be_the_last_reference() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let found = Arc::new(Mutex::new(Vec::new()));

    let mut panics = actor.receive();
    assert!(
        poll(&mut panics, &waker(|| panic!("this waker panics: the test wants it"))).is_pending()
    );
    let uses = {
        let (actor, found) = (actor.clone(), Arc::clone(&found));
        waker(move || {
            let state = actor.read_state().unwrap();
            let mail = actor.try_receive().unwrap();
            actor.suspend().unwrap();
            actor.resume().unwrap();
            found.lock().unwrap_or_else(PoisonError::into_inner).push((state, mail));
        })
    };
    let mut used = actor.receive();
    assert!(poll(&mut used, &uses).is_pending());
    drop(uses);
    let (counts, count) = counter();
    let mut counted = actor.receive();
    assert!(poll(&mut counted, &counts).is_pending());

    // A task that is dropped with its waker, and drops a future with it.
    struct Task(Mutex<Option<Receive<u32>>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let task = Arc::new(Task(Mutex::new(Some(actor.receive()))));
    let last = Waker::from(Arc::clone(&task));
    let mut future = task.0.lock().unwrap();
    assert!(poll(future.as_mut().unwrap(), &last).is_pending());
    drop(future);
    drop((last, task));

    actor.send(7).unwrap();
    until(|| !found.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    assert_eq!(*found.lock().unwrap_or_else(PoisonError::into_inner), [(1, Some(7))]);
    until(|| count.load(Ordering::SeqCst) == 1);
    drop((panics, used, counted));
    assert_eq!(actor.call(8).wait().unwrap(), 8);
    until(|| actor.core.lock().tasks == 0);
}

/// An actor that always has mail.
fn busy(ring: &Ring) -> Actor<u32, u32, u32> {
    let again = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += 1; out.send(0, m); }";
    let actor = spawn(ring, "busy", again, Launch::new());
    ring.connect(actor.id(), actor.id()).unwrap();
    actor.send(1).unwrap();
    actor
}

#[test]
fn threads_that_wait_for_the_end_of_a_tick_are_served_by_a_ring_that_is_always_busy() {
    let ring = ring();
    let actor = busy(&ring);
    let driver = ring.start().unwrap();
    thread::scope(|scope| {
        // This run ends when nothing is left to do.
        let run = scope.spawn(|| ring.run(u64::MAX).unwrap().ticks);
        until(|| actor.read_state().unwrap() > 1000);
        for _ in 0..20 {
            assert!(actor.stat().processed > 0);
            actor.suspend().unwrap();
            actor.resume().unwrap();
            ring.checkpoint().unwrap();
        }
        actor.terminate().unwrap();
        assert!(run.join().unwrap() > 0);
    });
    drop(driver);
}

#[test]
fn the_thread_of_a_ring_begins_no_submission_when_nothing_wants_it_any_more() {
    let ring = ring();
    let fails = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.fail(1); }";
    let restart = Launch::new().supervision(Supervision::Restart { limit: 9 });
    let actor = spawn(&ring, "fails", fails, restart);
    let wanted = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&wanted);
    // The first submission breaks, and wakes the task. It wants no more, and drops the guard too.
    let ends = waker(move || {
        let last = inside.lock().unwrap().take();
        drop(last);
    });
    let mut future = actor.receive();
    assert!(poll(&mut future, &ends).is_pending());
    *wanted.lock().unwrap() = Some((future, ring.start().unwrap()));
    actor.send(1).unwrap();
    until(|| wanted.lock().unwrap().is_none() && actor.core.lock().tasks == 0);
    thread::sleep(Duration::from_millis(50));
    assert_eq!((ring.faults().len(), ring.stat().submissions), (1, 1));
    // The tick that was undone runs again at the next tick of any thread.
    assert_eq!(ring.run(10).unwrap().ticks, 1);
}

#[test]
fn a_ring_that_is_dropped_ends_its_runs() {
    let ring = ring();
    let actor = busy(&ring);
    let driver = ring.start().unwrap();
    until(|| actor.read_state().unwrap() > 10);
    let waiting = {
        let actor = actor.clone();
        thread::spawn(move || actor.receive().wait())
    };
    drop(ring);
    assert!(matches!(waiting.join().unwrap(), Err(RingError::Closed)));
    assert!(matches!(actor.read_state(), Err(RingError::Closed)));
    until(|| actor.core.lock().driver == Thread::None);
    drop(driver);
}

#[test]
fn a_lingering_driver_sleeps_through_the_ticks_of_other_threads() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    assert_eq!(block_on(actor.call(1)).unwrap(), 1);
    let driver = || actor.core.lock().driver;
    until(|| driver() == Thread::Lingers);
    let mut state = actor.core.lock();
    let mut concerned = |change: fn(&mut State)| {
        change(&mut state);
        state.changed = true;
        state.take_changed().driver
    };
    assert!(!concerned(|_| {}));
    assert!(concerned(|state| state.tasks += 1));
    assert!(!concerned(|state| state.tasks -= 1));
    assert!(concerned(|state| state.drivers += 1));
    assert!(!concerned(|state| state.drivers -= 1));
    drop(state);
    // It is there again for the next task.
    assert_eq!(block_on(actor.call(2)).unwrap(), 2);
}

/// The tick that was encoded before the capture began is encoded again.
#[test]
fn a_capture_has_the_ticks_between_its_start_and_its_end() {
    let test = "ring::tests::races::a_capture_has_the_ticks_between_its_start_and_its_end";
    let output = in_child(test, &[], || {
        let ring = ring();
        let actor = spawn(&ring, "echo", ECHO, Launch::new());
        let path = std::env::temp_dir().join(format!("ring-{}.gputrace", std::process::id()));
        let gpu = actor.core.lock().gpu.clone();
        for number in 0..3 {
            ring.tick().unwrap();
            Capture::shared().start_device(&gpu, &path).unwrap();
            (0..number).for_each(|_| _ = ring.tick().unwrap());
            Capture::shared().stop();
            let check = || {
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(text.matches("\"type\":\"dispatch\"").count(), number, "{text}");
            };
            check();
            ring.tick().unwrap();
            check();
            std::fs::remove_file(&path).unwrap();
        }
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_time_of_a_future_is_over_also_on_a_busy_ring() {
    let ring = ring();
    let _busy = busy(&ring);
    let silent = spawn(&ring, "silent", NOTHING, Launch::new());
    let outcome = block_on(silent.receive().within(Duration::from_millis(30)));
    assert!(matches!(outcome, Err(RingError::Timeout)));
}

#[test]
fn correlations_of_the_program_are_not_those_of_calls() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    for correlation in 0..20 {
        actor.send_envelope(Envelope::new(100, correlation)).unwrap();
    }
    assert_eq!(actor.call(6).wait().unwrap(), 6);
    for correlation in 0..20 {
        let envelope = actor.receive().wait_envelope(LONG).unwrap();
        assert_eq!((envelope.message, envelope.correlation), (100, correlation));
    }
}

#[test]
fn envelopes_have_a_priority() {
    let ring = ring();
    let sink = spawn(&ring, "sink", ECHO_POST, Launch::new());
    let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
    let from = spawn(&ring, "from", pass, Launch::new());
    ring.connect(from.id(), sink.id()).unwrap();
    from.send(1).unwrap();
    ring.tick().unwrap();
    // Time passes on the host: it is sent later than the other one.
    from.send_all(&[9; 20]).unwrap();
    let mut urgent = Envelope::new(2, 0);
    urgent.priority = Priority::High;
    sink.send_envelope(urgent).unwrap();
    ring.tick().unwrap();
    let mail = [0; 2].map(|_| sink.receive().wait_envelope(LONG).unwrap());
    assert_eq!(mail.map(|envelope| envelope.message), [2, 1]);
}

#[test]
fn a_call_whose_message_is_a_dead_letter_is_an_error() {
    let ring = ring();
    let fails = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { if (m == 7) { out.fail(1); } out.reply(m); }";
    let restart = Launch::new().supervision(Supervision::Restart { limit: 9 });
    let actor = spawn(&ring, "fails", fails, restart);
    let outcome = block_on(actor.call(7).within(LONG));
    assert!(matches!(outcome, Err(RingError::Idle(_))), "{outcome:?}");
    assert_eq!(block_on(actor.call(8)).unwrap(), 8);
    assert_eq!(ring.take_dead_letters().len(), 1);
}

#[test]
fn a_tick_that_is_undone_twice_leaves_nothing_behind() {
    crate::message! { struct Few { values: [u32; 4], count: u32 } }
    let ring = ring();
    // Both actors run in one launch, each in a threadgroup of its own; 100 takes a while to fail.
    let code = "void handle(thread const uint &m, device Few &s, thread Outbox<uint> &out) {
        if (m == 100) { for (uint i = 0; i < 20000; i++) { s.values[i & 3] += i; } }
        if (out.index == 0) { s.count += 1; }
        if (m >= 100) { s.values[m * 1000] = 1; }
    }";
    let launch = Launch::new().grid(1, 2).supervision(Supervision::Stop);
    let few = Few { values: [0; 4], count: 0 };
    let other = ring.spawn::<u32, u32, Few>("other", code, few, launch.clone()).unwrap();
    let first = ring.spawn::<u32, u32, Few>("first", code, few, launch).unwrap();
    // When the first one has failed, the other gets a message that it fails with too.
    let mut failed = first.receive();
    let send = other.clone();
    let bad = waker(move || _ = send.send(200));
    assert!(poll(&mut failed, &bad).is_pending());
    other.send(1).unwrap();
    first.send(100).unwrap();
    until(|| other.state() == ActorState::Failed && first.state() == ActorState::Failed);
    assert_eq!((other.read_state().unwrap().count, other.stat().processed), (0, 0));
    assert_eq!((other.stat().input_depth, first.stat().input_depth), (2, 1));
}

#[test]
fn records_of_a_tick_that_was_undone_are_not_those_of_the_next_one() {
    crate::message! { struct Some { values: [u32; 4] } }
    let ring = ring();
    // Three kinds, so that the first one has ended when the second fails, and the third has not begun.
    let actors: Vec<Actor<u32, u32, Some>> = (0..3)
        .map(|i| {
            let code = format!(
                "void handle(thread const uint &m, thread Some &s, thread Outbox<uint> &out) {{ s.values[m + {i} - {i}] = 1; }}"
            );
            let launch = Launch::new().supervision(Supervision::Stop);
            ring.spawn(&format!("{i}"), &code, Some { values: [0; 4] }, launch).unwrap()
        })
        .collect();
    let mut failed = actors[1].receive();
    let others = [actors[0].clone(), actors[2].clone()];
    let bad = waker(move || others.iter().for_each(|actor| _ = actor.send(200)));
    assert!(poll(&mut failed, &bad).is_pending());
    actors[0].send(1).unwrap();
    actors[1].send(100).unwrap();
    until(|| actors.iter().all(|actor| actor.state() == ActorState::Failed));
    let faults = ring.faults();
    let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["1", "0", "2"]);
}

#[test]
fn latencies_are_summed_in_64_bits() {
    let ring = ring();
    let actor = spawn(&ring, "nothing", NOTHING, Launch::new().capacity(8192));
    actor.send_all(&[0; 8192]).unwrap();
    // As if they had waited for a million ticks.
    actor.core.lock().version += 1 << 20;
    ring.tick().unwrap();
    let stat = actor.stat();
    assert_eq!((stat.processed, stat.latency_max), (8192, 1 << 20));
    assert_eq!(stat.latency_mean, f64::from(1 << 20));
}

/// Lets all counters of a ring wrap soon. It has no mail.
fn near_the_end(ring: &Ring) {
    let state = &mut *ring.core.lock();
    let start = u32::MAX - 5;
    for lane in 0..state.shapes.len() {
        state.lanes.update(lane, |lane| (lane.head, lane.tail) = ([start; 2], [start; 2]));
    }
    for seat in &mut state.seats {
        let post = &mut seat.post;
        (post.head, post.filled, post.tail, post.taken) = (start, start, start, start);
    }
    state.sequence = start;
    state.records.update(0, |record| record.sent = start.into());
    state.records.update(1, |record| record.sent = start.into());
}

#[test]
fn counters_wrap() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacity(4));
    near_the_end(&ring);
    let mut ids = Vec::new();
    for round in 0..10 {
        ids.extend([0, 1, 2, 3].map(|i| actor.send(round * 4 + i).unwrap()));
        assert!(matches!(actor.send(0), Err(RingError::Full { capacity: 4, .. })));
        assert_eq!(actor.receipt(ids[ids.len() - 1]).unwrap(), Receipt::Pending);
        assert_eq!(ring.run(3).unwrap().handled, 4);
        assert!(ids.iter().all(|&id| actor.receipt(id).unwrap() == Receipt::Delivered));
        for i in 0..4 {
            assert_eq!(actor.try_receive().unwrap(), Some(round * 4 + i));
        }
    }
    let other = spawn(&ring, "other", ECHO, Launch::new());
    assert_eq!(other.receipt(ids[0]).unwrap(), Receipt::NotFound);
    assert_eq!(actor.call(5).wait().unwrap(), 5);
}

#[test]
fn a_clock_accepts_no_moment_that_has_no_next_one() {
    let clock = Clock::with_max_drift(1, Duration::MAX);
    for physical in [u64::MAX, u64::MAX >> 12, 15 << 48] {
        let skew = clock.update(Hlc::new(physical, u32::MAX, 2)).unwrap_err();
        assert!(skew.ahead > skew.allowed, "{skew}");
    }
    let far = Hlc::new((15 << 48) - 1, 3, 2);
    assert!(clock.update(far).unwrap() > far && clock.tick() > far);
}

/// A ring with its actors.
type Whole = (Ring, Vec<Actor<u32, u32, u32>>);

/// Two rings with equal actors.
fn equal_rings(options: &RingOptions) -> [Whole; 2] {
    let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        s += m;
        if (m == 7) { out.fail(1); }
        out.reply(m);
    }";
    [(), ()].map(|()| {
        let ring = ring_of(options.clone());
        let launch =
            Launch::new().capacities(16, 4).supervision(Supervision::Restart { limit: 100 });
        let actors = (0..2).map(|i| spawn(&ring, &format!("{i}"), code, launch.clone())).collect();
        (ring, actors)
    })
}

/// A recording has calls that were dropped, mail that a caller looked at and left, states for restarts, and dead letters.
#[test]
fn recordings_have_everything_that_changes_a_ring() {
    let options =
        RingOptions { ticks: 3, checkpoint_every: 5, dead_letters: 2, ..Default::default() };
    let [(ring, actors), (again, others)] = equal_rings(&options);
    let early = actors[0].call(1);
    let same = others[0].call(1);
    ring.record();
    assert_eq!(early.wait().unwrap(), 1);
    drop(same);
    actors[0].send_all(&[2, 3, 4, 5, 6]).unwrap();
    ring.run(4).unwrap();
    // It passes over 2 to 5, finds nothing, and is given up: the lane is empty then.
    let late = actors[0].call(9);
    assert!(matches!(late.wait_timeout(Duration::ZERO), Err(RingError::Timeout)));
    ring.run(1).unwrap();
    actors[1].write_state(40).unwrap();
    actors[1].send_all(&[1, 7, 2]).unwrap();
    ring.run(100).unwrap();
    ring.checkpoint().unwrap();
    actors[1].send_all(&[7, 7, 3]).unwrap();
    _ = ring.run(100);
    assert!(matches!(ring.tick(), Err(RingError::Full { .. })));
    assert_eq!(ring.take_dead_letters().len(), 3);
    while actors[1].try_receive().unwrap().is_some() {}
    drop(actors[0].call(11));
    ring.run(100).unwrap();
    let rest = |actor: &Actor<u32, u32, u32>| -> Vec<u32> {
        std::iter::from_fn(|| actor.try_receive().unwrap()).collect()
    };
    assert!(rest(&actors[0]).contains(&11));
    let checkpoint = ring.checkpoint().unwrap();
    actors[0].send_all(&[13, 14]).unwrap();
    ring.run(5).unwrap();
    ring.restore(&checkpoint).unwrap();
    actors[0].send(15).unwrap();
    let open = actors[1].call(12);
    ring.run(1).unwrap();
    let recording = ring.take_recording().unwrap();
    again.replay(&Recording::parse(&recording.to_bytes()).unwrap()).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
    // The answer that was awaited there is ordinary mail here.
    drop(open);
    for (actor, other) in actors.iter().zip(&others) {
        assert_eq!(rest(actor), rest(other));
    }
}

#[test]
fn replies_to_calls_of_another_process_are_mail() {
    let [(ring, actors), (other, others)] = equal_rings(&RingOptions::default());
    let call = actors[0].call(5);
    let open = actors[0].call(6);
    ring.tick().unwrap();
    let checkpoint = Checkpoint::parse(&ring.checkpoint().unwrap().to_bytes()).unwrap();
    other.restore(&checkpoint).unwrap();
    assert_eq!(other.checkpoint().unwrap(), checkpoint);
    assert_eq!([0; 2].map(|_| others[0].try_receive().unwrap()), [Some(5), Some(6)]);
    // In the same process they still find their calls, except those made later.
    assert_eq!(call.wait().unwrap(), 5);
    let later = actors[0].call(8);
    ring.restore(&checkpoint).unwrap();
    assert_eq!(open.wait().unwrap(), 6);
    assert!(matches!(block_on(later), Err(RingError::Idle(_))));
    assert_eq!(actors[0].try_receive().unwrap(), Some(5));
}

#[test]
fn calls_after_a_restored_checkpoint_have_their_own_replies() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let checkpoint = ring.checkpoint().unwrap();
    for ticks in 0..2 {
        let (before, dropped) = (actor.call(5), actor.call(6));
        ring.run(ticks).unwrap();
        ring.restore(&checkpoint).unwrap();
        let after = [7, 8].map(|message| (actor.call(message), message));
        drop(dropped);
        assert!(matches!(before.wait(), Err(RingError::Idle(_))));
        ring.run(10).unwrap();
        assert_eq!(actor.try_receive().unwrap(), None);
        for (call, message) in after {
            assert_eq!(call.wait().unwrap(), message);
        }
    }
    // Their calls are over, also when a later checkpoint has their messages again.
    let call = actor.call(3);
    let with_call = ring.checkpoint().unwrap();
    ring.restore(&checkpoint).unwrap();
    ring.restore(&with_call).unwrap();
    ring.run(10).unwrap();
    assert_eq!(actor.try_receive().unwrap(), Some(3));
    drop(call);
    // A ring that gets their replies with a checkpoint makes other calls.
    ring.restore(&checkpoint).unwrap();
    let open = actor.call(9);
    let other = super::ring();
    let same = spawn(&other, "echo", ECHO, Launch::new());
    other.restore(&ring.checkpoint().unwrap()).unwrap();
    for message in 10..30 {
        assert_eq!(same.call(message).wait().unwrap(), message);
    }
    assert_eq!((same.try_receive().unwrap(), open.wait().unwrap()), (Some(9), 9));
}

#[test]
fn a_future_may_move_between_tasks() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let (first, first_count) = counter();
    let (second, second_count) = counter();
    let mut future = pin!(actor.receive());
    assert!(future.as_mut().poll(&mut Context::from_waker(&first)).is_pending());
    assert!(future.as_mut().poll(&mut Context::from_waker(&second)).is_pending());
    actor.send(3).unwrap();
    until(|| second_count.load(Ordering::SeqCst) == 1);
    assert_eq!(first_count.load(Ordering::SeqCst), 0);
    assert!(matches!(future.as_mut().poll(&mut Context::from_waker(&second)), Poll::Ready(Ok(3))));
}

/// The numbers in headers repeat in a ring that was turned back, since its bytes do; ids do not.
#[test]
fn ids_do_not_repeat_in_a_restored_ring() {
    let ring = ring();
    let echo = spawn(&ring, "echo", ECHO, Launch::new());
    let first = echo.send(1).unwrap();
    let checkpoint = ring.checkpoint().unwrap();
    let send = || {
        let sent = echo.send(2).unwrap();
        ring.run(10).unwrap();
        let replies: Vec<_> = (0..2)
            .map(|_| echo.receive().wait_envelope(Duration::from_secs(60)).unwrap().id.unwrap())
            .collect();
        (sent, replies)
    };
    let (sent, replies) = send();
    assert_eq!(echo.receipt(sent).unwrap(), Receipt::Delivered);
    let mut seen = HashSet::from([first, sent]);
    seen.extend(replies);
    for round in 1..4 {
        ring.restore(&checkpoint).unwrap();
        assert_eq!(echo.receipt(first).unwrap(), Receipt::NotFound, "of the ring before");
        let (sent, replies) = send();
        assert_eq!(echo.receipt(sent).unwrap(), Receipt::Delivered);
        assert!(seen.insert(sent) && replies.iter().all(|&id| seen.insert(id)), "{round}");
    }
    ring.restore(&checkpoint).unwrap();
    echo.terminate().unwrap();
    let dead = ring.take_dead_letters();
    assert!(dead.len() == 1 && seen.insert(dead[0].id));
    assert_eq!(ring.checkpoint().unwrap().to_bytes(), ring.checkpoint().unwrap().to_bytes());
}
