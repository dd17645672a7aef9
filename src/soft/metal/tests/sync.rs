//! Events, fences and barriers order work.

use super::*;
use crate::soft::foundation::entry;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// The last of two fills wins, and the event decides which that is.
#[test]
fn an_event_orders_two_queues() {
    for nth in 0..scale(200) {
        let event = Own::new(send!(*device(), "newEvent"; Id));
        let (buffer, first, second) = (buffer(16), queue(), queue());
        let (late, early) = (commands(*first), commands(*second));
        wait_for(*late, *event, 1);
        fill(*late, *buffer, 2);
        fill(*early, *buffer, 1);
        signal(*early, *event, 1);
        commit(*late);
        if nth % 2 == 0 {
            std::thread::yield_now();
        }
        commit(*early);
        wait(*late);
        assert_eq!(contents::<u8>(*buffer), [2; 16]);
        wait(*early);
        assert_eq!((outcome(*late), outcome(*early)), (Ok(()), Ok(())));
    }
}

/// Many queues wait, more than there are threads to run them: none of them holds a thread.
#[test]
fn waiting_queues_hold_no_thread() {
    let event = shared_event();
    let waiting: Vec<Own> = (0..100)
        .map(|_| {
            let commands = commands(*queue());
            wait_for(*commands, *event, 1);
            commit(*commands);
            commands
        })
        .collect();
    let free = commands(*queue());
    assert_eq!(finish(*free), Ok(()));
    assert!(waiting.iter().all(|commands| status(**commands) < 4));
    send!(*event, "setSignaledValue:", 1 => u64; ());
    for commands in waiting {
        wait(*commands);
        assert_eq!(outcome(*commands), Ok(()));
    }
}

#[test]
fn the_cpu_waits_for_a_shared_event() {
    let event = shared_event();
    let reached = |value: u64, milliseconds: u64| {
        send!(
            *event, "waitUntilSignaledValue:timeoutMS:", value => u64, milliseconds => u64; Bool
        )
        .get()
    };
    assert!(reached(0, 0));
    assert!(!reached(1, 0));
    assert!(!reached(1, 20));
    let commands = commands(*queue());
    signal(*commands, *event, 7);
    commit(*commands);
    assert!(reached(7, 10_000));
    assert_eq!(send!(*event, "signaledValue"; u64), 7);
    // A queue's signal never lowers the value.
    let again = super::commands(*queue());
    signal(*again, *event, 3);
    assert_eq!(finish(*again), Ok(()));
    assert_eq!(send!(*event, "signaledValue"; u64), 7);
    let handle = Own::new(send!(*event, "newSharedEventHandle"; Id));
    let same = Own::new(send!(*device(), "newSharedEventWithHandle:", *handle => Id; Id));
    send!(*same, "setSignaledValue:", 9 => u64; ());
    assert!(reached(9, 0));
}

/// A block that waits for one of another listener does not keep that one from being called, nor does a handler of a command
/// buffer that waits for a block.
#[test]
fn listeners_have_queues_of_their_own() {
    pool(|| {
        let limit = std::time::Duration::from_secs(60);
        let event = shared_event();
        let notify = |listener: Id, block: Id| {
            send!(
                *event, "notifyListener:atValue:block:", listener => Id, 1 => u64, block => Id; ()
            )
        };
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let (done, end) = std::sync::mpsc::channel();
        let receiver = std::sync::Mutex::new(receiver);
        let finished = done.clone();
        let waits = block(move |_, _| {
            let first = receiver.lock().unwrap().recv_timeout(limit).is_ok();
            finished.send(("block", first)).unwrap();
        });
        let (again, called) = std::sync::mpsc::channel::<()>();
        let wakes = block(move |_, _| {
            sender.send(()).unwrap();
            again.send(()).unwrap();
        });
        // SAFETY: a C string, and no attributes.
        let queue = Own::new(unsafe { entry::dispatch_queue_create(c"client".as_ptr(), Id::NIL) });
        let alloc = send!(class("MTLSharedEventListener"), "alloc"; Id);
        let first = Own::new(send!(alloc, "initWithDispatchQueue:", *queue => Id; Id));
        assert_eq!(send!(*first, "dispatchQueue"; Id), *queue);
        let second = new("MTLSharedEventListener");
        assert!(!send!(*second, "dispatchQueue"; Id).is_nil());
        notify(*first, waits);
        notify(*second, wakes);
        let commands = commands(*super::queue());
        let called = std::sync::Mutex::new(called);
        let handler = block(move |_, _| {
            let called = called.lock().unwrap().recv_timeout(limit).is_ok();
            done.send(("handler", called)).unwrap();
        });
        send!(*commands, "addCompletedHandler:", handler => Id; ());
        commit(*commands);
        send!(*event, "setSignaledValue:", 1 => u64; ());
        let mut both = [end.recv_timeout(limit).unwrap(), end.recv_timeout(limit).unwrap()];
        both.sort();
        assert_eq!(both, [("block", true), ("handler", true)]);
    });
}

#[test]
fn listeners_are_called_once_at_their_value() {
    let event = shared_event();
    let listener = new("MTLSharedEventListener");
    let (called, calls) = mpsc::channel();
    let notify = |value: u64| {
        let called = called.clone();
        let block = block(move |_event, at| called.send((value, at.addr() as u64)).unwrap());
        send!(
            *event, "notifyListener:atValue:block:", *listener => Id, value => u64, block => Id; ()
        );
    };
    notify(0);
    assert_eq!(calls.recv_timeout(Duration::from_secs(10)), Ok((0, 0)));
    notify(5);
    notify(2);
    send!(*event, "setSignaledValue:", 3 => u64; ());
    assert_eq!(calls.recv_timeout(Duration::from_secs(10)), Ok((2, 3)));
    let commands = commands(*queue());
    signal(*commands, *event, 6);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(calls.recv_timeout(Duration::from_secs(10)), Ok((5, 6)));
    assert!(calls.recv_timeout(Duration::from_millis(20)).is_err());
}

/// An event is released with its notifications that were not called; one whose counter lives on in a
/// handle is passed to the block as another event.
#[test]
fn a_notification_does_not_keep_its_event_alive() {
    use crate::soft::metal::event::signal_of;
    let listener = new("MTLSharedEventListener");
    let (called, calls) = mpsc::channel();
    let notify = |event: Id, value: u64| {
        let called = called.clone();
        let block = block(move |event, at| {
            let value = send!(Id::from_ptr(event), "signaledValue"; u64);
            called.send((event.addr(), value, at.addr() as u64)).unwrap();
        });
        send!(event, "notifyListener:atValue:block:", *listener => Id, value => u64, block => Id; ());
    };
    let event = shared_event();
    let signal = Arc::downgrade(&signal_of(*event).unwrap());
    notify(*event, 1);
    notify(*event, 2);
    drop(event);
    assert!(signal.upgrade().is_none(), "the notifications keep the counter alive");

    let event = shared_event();
    let before = send!(*event, "retainCount"; usize);
    notify(*event, 3);
    notify(*event, 7);
    assert_eq!(send!(*event, "retainCount"; usize), before);
    send!(*event, "setSignaledValue:", 4 => u64; ());
    let long = Duration::from_secs(10);
    assert_eq!(calls.recv_timeout(long), Ok((event.as_ptr().addr(), 4, 4)), "the same event");
    let handle = Own::new(send!(*event, "newSharedEventHandle"; Id));
    drop(event);
    let other = Own::new(send!(*device(), "newSharedEventWithHandle:", *handle => Id; Id));
    send!(*other, "setSignaledValue:", 8 => u64; ());
    let (passed, value, at) = calls.recv_timeout(long).unwrap();
    assert_eq!((value, at), (8, 8));
    assert_ne!(passed, other.as_ptr().addr());
}

/// In a concurrent encoder dispatches have no guaranteed order, and run in reverse here: without the barrier the result
/// is wrong.
#[test]
fn a_barrier_orders_concurrent_dispatches() {
    let source =
        "kernel void set(device uint *to, constant uint &value) { to[0] = to[0] * 10 + value; }";
    let pipeline = pipeline(source, "set");
    let run = |kind: usize, barrier: bool| {
        let buffer = buffer(4);
        let commands = commands(*queue());
        let encoder = pool(|| {
            let selector = "computeCommandEncoderWithDispatchType:";
            Own::retain(send!(*commands, selector, kind => usize; Id))
        });
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        for value in 1..=3u32 {
            push(*encoder, &value, 1);
            launch(*encoder, 1, 1);
            if barrier {
                send!(*encoder, "memoryBarrierWithScope:", 1 => usize; ());
            }
        }
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        contents::<u32>(*buffer)[0]
    };
    assert_eq!(run(0, false), 123, "a serial encoder keeps the order");
    assert_eq!(run(1, true), 123, "so do barriers");
    assert_eq!(run(1, false), 321, "nothing else does");
}

/// Encoders that share a buffer keep their order, unless the program tracks its hazards itself: then a
/// fence does, and without one the result is wrong.
#[test]
fn a_fence_orders_encoders_of_untracked_buffers() {
    let fence = Own::new(send!(*device(), "newFence"; Id));
    let run = |untracked: bool, fenced: bool| {
        let options = if untracked { 0x100 } else { 0 };
        let buffer = Own::new(send!(
            *device(), "newBufferWithLength:options:", 16 => usize, options => usize; Id
        ));
        let commands = commands(*queue());
        for value in 1..=3u8 {
            let blit = blit(*commands);
            if fenced {
                send!(*blit, "waitForFence:", *fence => Id; ());
                send!(*blit, "updateFence:", *fence => Id; ());
            }
            let range = NSRange { location: 0, length: 16 };
            send!(
                *blit, "fillBuffer:range:value:", *buffer => Id, range => NSRange, value => u8; ()
            );
            end(*blit);
        }
        assert_eq!(finish(*commands), Ok(()));
        contents::<u8>(*buffer)[0]
    };
    assert_eq!(run(false, false), 3, "tracked");
    assert_eq!(run(true, true), 3, "fenced");
    assert_eq!(run(true, false), 1, "neither: last first");
}

/// An event between two encoders orders everything before and after it.
#[test]
fn events_order_untracked_encoders() {
    let event = shared_event();
    let buffer = Own::new(send!(
        *device(), "newBufferWithLength:options:", 16 => usize, 0x100 => usize; Id
    ));
    let commands = commands(*queue());
    fill(*commands, *buffer, 1);
    wait_for(*commands, *event, 1);
    fill(*commands, *buffer, 2);
    commit(*commands);
    // The first fill runs at some time, on another thread; the second must not.
    let start = Instant::now();
    while contents::<u8>(*buffer)[0] == 0 && start.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(contents::<u8>(*buffer)[0], 1);
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*commands);
    assert_eq!(contents::<u8>(*buffer)[0], 2);
}

/// Pushed bytes do not change, whatever a kernel writes there.
#[test]
fn pushed_bytes_are_a_copy_for_kernels_that_write() {
    let source = "
        kernel void f(device uint *scratch [[buffer(0)]], device uint *out [[buffer(1)]]) {
            scratch[0] += 1;
            out[0] = scratch[0];
        }";
    let (pipeline, buffer) = (pipeline(source, "f"), buffer(4));
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer, 0, 1);
    push(*encoder, &41u32, 0);
    launch(*encoder, 1, 1);
    launch(*encoder, 1, 1);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<u32>(*buffer), [42]);
}

#[test]
fn commit_returns_at_once_and_statuses_go_up() {
    let event = shared_event();
    let commands = commands(*queue());
    assert_eq!(status(*commands), 0);
    send!(*commands, "enqueue"; ());
    assert_eq!(status(*commands), 1);
    wait_for(*commands, *event, 1);
    commit(*commands);
    assert!((2..=3).contains(&status(*commands)));
    send!(*commands, "waitUntilScheduled"; ());
    assert_eq!(status(*commands), 3);
    assert!(pool(|| send!(*commands, "error"; Id)).is_nil());
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*commands);
    assert_eq!(status(*commands), 4);
}

/// Positions are reserved by `enqueue`, whatever is committed first.
#[test]
fn a_queue_keeps_the_order_of_enqueue() {
    let (queue, buffer) = (queue(), buffer(16));
    let (first, second, given_up) = (commands(*queue), commands(*queue), commands(*queue));
    fill(*first, *buffer, 1);
    fill(*second, *buffer, 2);
    for commands in [&given_up, &first, &second] {
        send!(**commands, "enqueue"; ());
    }
    commit(*second);
    std::thread::sleep(Duration::from_millis(5));
    assert!(status(*second) < 4);
    commit(*first);
    std::thread::sleep(Duration::from_millis(5));
    assert!(status(*first) < 3, "one that was never committed is before it");
    drop(given_up);
    wait(*second);
    assert_eq!(contents::<u8>(*buffer), [2; 16]);
}

/// The wait fails the command buffer at once, and its position no longer keeps others waiting.
#[test]
fn a_wait_without_commit_frees_the_reserved_position() {
    for selector in ["waitUntilCompleted", "waitUntilScheduled"] {
        let queue = queue();
        let (first, second) = (commands(*queue), commands(*queue));
        send!(*first, "enqueue"; ());
        commit(*second);
        std::thread::sleep(Duration::from_millis(5));
        assert!(status(*second) < 3, "the first has its position");
        send!(*first, selector; ());
        let error = outcome(*first).unwrap_err();
        assert!(error.contains(selector) && error.contains("never committed"), "{error}");
        wait(*second);
        assert_eq!(outcome(*second), Ok(()));
        assert_eq!(finish(*commands(*queue)), Ok(()));
        commit(*first);
        assert!(outcome(*first).is_err(), "it stays failed");
    }
}

/// A command buffer that is released uncommitted frees its own position only.
#[test]
fn a_released_command_buffer_frees_its_own_position_only() {
    let queue = queue();
    let (first, second, third) = (commands(*queue), commands(*queue), commands(*queue));
    send!(*first, "enqueue"; ());
    send!(*second, "enqueue"; ());
    commit(*third);
    drop(first);
    std::thread::sleep(Duration::from_millis(5));
    assert!(status(*third) < 3, "the second has its position");
    commit(*second);
    wait(*third);
    assert_eq!((outcome(*second), outcome(*third)), (Ok(()), Ok(())));
}

#[test]
fn handlers_are_called_before_waits_return() {
    for _ in 0..scale(300) {
        let commands = commands(*queue());
        let order = Arc::new(AtomicUsize::new(0));
        let add = |selector: &str, before: usize, after: usize, status_then: usize| {
            let order = Arc::clone(&order);
            let block = block(move |buffer, _| {
                let seen = status(Id::from_ptr(buffer));
                assert!(seen >= status_then, "{seen}");
                assert_eq!(order.swap(after, SeqCst), before);
            });
            send!(*commands, selector, block => Id; ());
        };
        add("addScheduledHandler:", 0, 1, 3);
        add("addCompletedHandler:", 1, 2, 4);
        add("addCompletedHandler:", 2, 3, 4);
        assert_eq!(finish(*commands), Ok(()));
        assert_eq!(order.load(SeqCst), 3);
    }
}

#[test]
fn a_handler_may_wait_for_its_own_command_buffer() {
    let commands = commands(*queue());
    let id = AtomicU64::new(commands.as_ptr().addr() as u64);
    let block = block(move |buffer, _| {
        assert_eq!(buffer.addr() as u64, id.load(SeqCst));
        wait(Id::from_ptr(buffer));
    });
    send!(*commands, "addCompletedHandler:", block => Id; ());
    assert_eq!(finish(*commands), Ok(()));
}

/// The second's handler cannot be called before the first's is over, which waits for the second.
#[test]
fn a_handler_may_wait_for_another_command_buffer() {
    let queue = queue();
    let (first, second) = (commands(*queue), commands(*queue));
    // Both are committed before the first is done.
    let event = shared_event();
    wait_for(*first, *event, 1);
    let other = *second;
    let waits = block(move |_, _| wait(other));
    send!(*first, "addCompletedHandler:", waits => Id; ());
    send!(*second, "addCompletedHandler:", block(|_, _| ()) => Id; ());
    commit(*first);
    commit(*second);
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*second);
    wait(*first);
    assert_eq!((outcome(*first), outcome(*second)), (Ok(()), Ok(())));
}
