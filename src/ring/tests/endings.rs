//! How waits and rings end, and that calls which fail leave nothing behind.

use super::{ECHO, NOTHING, block_on, ring, ring_of, spawn};
use crate::Gpu;
use crate::child::in_child;
use crate::ring::{Actor, ActorId, Launch, Ring, RingError, RingOptions, Topology, is_available};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// The outcome of a future, which must come in time.
fn outcome<T: Send>(future: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        scope.spawn(move || _ = sender.send(block_on(future)));
        match receiver.recv_timeout(LONG) {
            Ok(outcome) => outcome,
            Err(_) => {
                eprintln!("the future does not end");
                std::process::abort()
            }
        }
    })
}

fn idle_reason(outcome: Result<u32, RingError>) -> String {
    match outcome {
        Err(RingError::Idle(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_future_of_a_call_without_a_reply_ends_as_the_wait_does() {
    let ring = ring();
    let silent = spawn(&ring, "silent", NOTHING, Launch::new());
    let reason = idle_reason(silent.call(1).wait());
    assert_eq!(idle_reason(outcome(silent.call(2))), reason);
    // Also if another thread ticks, and if it is polled after that.
    let late = silent.call(3);
    ring.run(9).unwrap();
    assert_eq!(idle_reason(outcome(late)), reason);
    // After an actor that is suspended, and one that stalls.
    let pass = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
    let first = spawn(&ring, "first", pass, Launch::new());
    let second = spawn(&ring, "second", ECHO, Launch::new().capacities(1, 1));
    ring.connect(first.id(), second.id()).unwrap();
    second.suspend().unwrap();
    assert_eq!(idle_reason(outcome(second.call(4))), "the actor is suspended");
    assert_eq!(idle_reason(outcome(first.call(5))), "all mail is handled");
    let (wait, future) = (first.call(6), first.call(7));
    assert_eq!(idle_reason(wait.wait()), idle_reason(outcome(future)));
    assert!(idle_reason(outcome(first.call(8))).contains("wait for room"));
    // With a time limit it waits until then.
    let limited = outcome(silent.call(9).within(Duration::from_millis(20)));
    assert!(matches!(limited, Err(RingError::Timeout)), "{limited:?}");
    assert_eq!(ring.core.lock().tasks, 0);
}

#[test]
fn while_a_guard_lives_the_future_of_a_call_waits_for_others() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    actor.suspend().unwrap();
    let driver = ring.start().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| block_on(actor.call(5)));
        thread::sleep(Duration::from_millis(50));
        assert!(!call.is_finished());
        actor.resume().unwrap();
        assert_eq!(call.join().unwrap().unwrap(), 5);
    });
    // It ends with the guard.
    actor.suspend().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| outcome(actor.call(6)));
        thread::sleep(Duration::from_millis(50));
        assert!(!call.is_finished());
        drop(driver);
        assert_eq!(idle_reason(call.join().unwrap()), "the actor is suspended");
    });
}

#[test]
fn a_future_of_any_mail_waits_for_what_is_sent_later() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    // The ring has been idle, and had calls that ended so.
    assert!(matches!(
        outcome(spawn(&ring, "silent", NOTHING, Launch::new()).call(1)),
        Err(RingError::Idle(_))
    ));
    thread::scope(|scope| {
        let mail = scope.spawn(|| outcome(actor.receive()));
        thread::sleep(Duration::from_millis(50));
        assert!(!mail.is_finished());
        actor.send(5).unwrap();
        assert_eq!(mail.join().unwrap().unwrap(), 5);
    });
}

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "nothing happens");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A ring whose thread cannot tick, as it has a dead letter more than it may.
fn refusing() -> (Ring, Actor<u32, u32, u32>) {
    let ring = ring_of(RingOptions { dead_letters: 0, ..RingOptions::default() });
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    let dead = spawn(&ring, "dead", NOTHING, Launch::new());
    dead.send(1).unwrap();
    dead.terminate().unwrap();
    (ring, actor)
}

#[test]
fn a_ring_whose_thread_was_refused_says_so_and_tries_again() {
    let (ring, actor) = refusing();
    let driver = ring.start().unwrap();
    actor.send(1).unwrap();
    until(|| ring.stat().refused.is_some());
    let text = ring.stat().to_string();
    assert!(
        text.contains("the ring's thread cannot tick: the mailbox of actor `dead letters"),
        "{text}"
    );
    let call = outcome(actor.call(2));
    assert!(idle_reason(call).contains("dead letters"));
    // As if memory had become free: nothing says so to the ring.
    ring.core.lock().dead.clear();
    until(|| actor.stat().processed == 2);
    assert_eq!(ring.stat().refused, None);
    drop(driver);
}

#[test]
fn what_was_refused_is_tried_at_once_when_something_is_sent_or_another_thread_ticks() {
    for tick in [false, true] {
        let (ring, actor) = refusing();
        assert!(idle_reason(outcome(actor.call(1))).contains("dead letters"));
        assert!(ring.stat().refused.is_some());
        ring.core.lock().dead.clear();
        if tick {
            ring.tick().unwrap();
            assert_eq!(ring.stat().refused, None);
            assert_eq!(actor.try_receive().unwrap(), Some(1));
        } else {
            assert_eq!(outcome(actor.call(2)).unwrap(), 2);
        }
    }
}

#[test]
fn a_panic_on_the_thread_of_the_ring_does_not_end_it() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    // An actor that does not exist: planning its launch panics, in the thread that ticks.
    ring.core.lock().kinds[0].members.push(77);
    let why = idle_reason(outcome(actor.call(1)));
    assert!(why.contains("panicked"), "{why}");
    assert!(ring.core.lock().engine.is_some());
    ring.core.lock().kinds[0].members.pop();
    assert_eq!(outcome(actor.call(2)).unwrap(), 2);
    assert_eq!(actor.try_receive().unwrap(), Some(1));
}

/// Where there is no device, or none any more.
#[test]
fn without_a_device_the_back_end_is_unavailable() {
    let test = "ring::tests::endings::without_a_device_the_back_end_is_unavailable";
    let output = in_child(test, &[], || {
        let gpu = Gpu::open().unwrap();
        assert!(is_available());
        // SAFETY: no other thread of this process reads the environment now.
        unsafe { std::env::set_var("ARUMINIUM_SOFT_DEVICE", "none") };
        assert!(!is_available());
        let error = RingError::from(Gpu::open().unwrap_err());
        assert!(matches!(error, RingError::BackendUnavailable), "{error}");
        let error = Ring::open(&gpu).unwrap_err();
        assert!(matches!(error, RingError::BackendUnavailable), "{error}");
        assert!(error.to_string().contains("no Metal device"), "{error}");
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A ring with two actors.
fn two() -> (Ring, [Actor<u32, u32, u32>; 2]) {
    let ring = ring();
    let actors = ["0", "1"].map(|name| spawn(&ring, name, ECHO, Launch::new()));
    (ring, actors)
}

#[test]
fn calls_that_fail_leave_nothing_behind() {
    crate::message! { struct Large { words: [u32; 2048] } }
    let (ring, actors) = two();
    let fails: [&dyn Fn() -> Result<(), RingError>; 3] = [
        // The lane from the host fits into memory, and that to the host does not.
        &|| {
            let code =
                "void handle(thread const uint &m, thread uint &s, thread Outbox<Large> &out) {}";
            let launch = Launch::new().capacities(1 << 12, 1 << 24);
            ring.spawn::<u32, Large, u32>("large", code, 0, launch).map(drop)
        },
        // The last edge leads to an actor of another type, or to none.
        &|| {
            let code =
                "void handle(thread const float &m, thread uint &s, thread Outbox<uint> &out) {}";
            let real = ring.spawn::<f32, u32, u32>("real", code, 0, Launch::new())?;
            let ids = [actors[0].id(), actors[1].id(), real.id()];
            let edges = Topology::Edges(vec![(0, 1), (1, 0), (0, 2)]);
            let outcome = ring.topology(&ids, &edges);
            assert_eq!(ring.route(ids[0], ids[1]), None);
            real.terminate()?;
            outcome
        },
        &|| {
            let ids = [actors[0].id(), actors[1].id(), ActorId::of(99)];
            ring.topology(&ids, &Topology::Ring)
        },
    ];
    for (number, fail) in fails.iter().enumerate() {
        assert!(fail().is_err(), "{number}");
    }
    // An equal ring in which nothing failed: with its checkpoint this one goes on, and with the same edges.
    let (other, others) = two();
    let code = "void handle(thread const float &m, thread uint &s, thread Outbox<uint> &out) {}";
    other.spawn::<f32, u32, u32>("real", code, 0, Launch::new()).unwrap().terminate().unwrap();
    ring.restore(&other.checkpoint().unwrap()).unwrap();
    assert_eq!(ring.checkpoint().unwrap(), other.checkpoint().unwrap());
    for (ring, actors) in [(&ring, &actors), (&other, &others)] {
        assert_eq!(ring.connect(actors[0].id(), actors[1].id()).unwrap(), 0);
        let state = ring.core.lock();
        assert_eq!(
            (state.shapes.len(), state.kinds.len(), state.kinds[0].members.len()),
            (7, 2, 2)
        );
    }
    assert_eq!(ring.core.lock().slots_used, other.core.lock().slots_used);
}

#[test]
fn no_submission_runs_after_a_shutdown() {
    let slow = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
        for (uint i = 0; i < 3000; i++) { s = s * 3 + m; }
        out.reply(m);
    }";
    for _ in 0..30 {
        let ring = ring();
        let actor = spawn(&ring, "slow", slow, Launch::new());
        // Threads that tick, each as soon as no other one does.
        let busy = || while actor.call(1).wait().is_ok() {};
        thread::scope(|scope| {
            let threads = [(); 3].map(|()| scope.spawn(busy));
            until(|| actor.core.lock().version > 3);
            ring.shutdown().unwrap();
            for _ in 0..100 {
                assert!(actor.core.lock().engine.is_some(), "a submission runs");
                thread::yield_now();
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}
