//! A process that is forked from one that uses Metal gets errors and never hangs.

use super::settings::inside_of;
use super::*;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn fork() -> c_int;
    fn _exit(status: c_int) -> !;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
}

const ABORT: c_int = 6;

/// Runs `child` in a forked process, and returns the status with which that ended: 0, unless it
/// panicked or aborted. Fails when it takes long.
fn in_fork(child: impl FnOnce()) -> c_int {
    const NO_HANG: c_int = 1;
    const KILL: c_int = 9;
    // SAFETY: the child runs the closure and ends; it leaves the test harness alone.
    let process = unsafe { fork() };
    if process == 0 {
        let done = catch_unwind(AssertUnwindSafe(child)).is_ok();
        // SAFETY: it takes a number.
        unsafe { _exit(if done { 0 } else { 1 }) }
    }
    assert!(process > 0, "fork failed");
    let (mut status, start) = (0, Instant::now());
    // SAFETY: the process is a child of this one, and the status is a variable of this function.
    while unsafe { waitpid(process, &raw mut status, NO_HANG) } == 0 {
        if start.elapsed() > Duration::from_secs(30) {
            // SAFETY: as above.
            unsafe { kill(process, KILL) };
            panic!("the forked process hangs");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    status
}

#[test]
fn a_forked_process_gets_errors() {
    if !inside_of(module_path!(), "a_forked_process_gets_errors", &[]) {
        return;
    }
    let (device, queue, event) = (device(), queue(), shared_event());
    let (library, buffer) = (library(SAXPY), buffer(16));
    let (done, waiting, enqueued) = (commands(*queue), commands(*queue), commands(*queue));
    assert_eq!(finish(*done), Ok(()));
    fill(*waiting, *buffer, 1);
    wait_for(*waiting, *event, 1);
    fill(*waiting, *buffer, 2);
    commit(*waiting);
    send!(*enqueued, "enqueue"; ());
    let called = Arc::new(AtomicUsize::new(0));
    let count = |selector: &'static str, commands: Id| {
        let called = Arc::clone(&called);
        let block = block(move |buffer, _| {
            // Takes the command buffer's lock.
            pool(|| send!(Id::from_ptr(buffer), "error"; Id));
            called.fetch_add(1, SeqCst);
        });
        send!(commands, selector, block => Id; ());
    };
    let child = || {
        // SAFETY: it takes nothing; the array is owned.
        unsafe {
            assert!(crate::soft::metal::entry::MTLCreateSystemDefaultDevice().is_nil());
            let all = Own::new(crate::soft::metal::entry::MTLCopyAllDevices());
            assert_eq!(send!(*all, "count"; usize), 0);
        }
        assert_eq!(outcome(*done), Ok(()), "what was done before stays done");
        wait(*done);
        wait(*waiting);
        let error = outcome(*waiting).unwrap_err();
        assert!(error.contains("waitUntilCompleted") && error.contains("forked"), "{error}");
        let new = commands(*queue);
        count("addScheduledHandler:", *new);
        count("addCompletedHandler:", *new);
        fill(*new, *buffer, 3);
        let error = finish(*new).unwrap_err();
        assert!(error.contains("commit") && error.contains("forked"), "{error}");
        assert_eq!(called.load(SeqCst), 2, "its handlers are called");
        assert!(finish(*enqueued).unwrap_err().contains("forked"));
        let reached = || {
            let never = u64::MAX;
            let selector = "waitUntilSignaledValue:timeoutMS:";
            send!(*event, selector, 1 => u64, never => u64; Bool).get()
        };
        assert!(!reached(), "nothing will signal it");
        // The queue that waits for it does not run.
        send!(*event, "setSignaledValue:", 1 => u64; ());
        assert!(reached());
        assert!(contents::<u8>(*buffer).iter().all(|byte| *byte < 2));
        let mut error = Id::NIL;
        let source = string(SAXPY);
        let compiled = send!(
            *device, "newLibraryWithSource:options:error:", *source => Id, Id::NIL => Id,
            &raw mut error => *mut Id; Id
        );
        assert!(compiled.is_nil() && error_text(error).contains("forked"));
        assert!(send!(*library, "newFunctionWithName:", *string("saxpy") => Id; Id).is_nil());
    };
    assert_eq!(in_fork(child), 0);
    // The parent continues.
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*waiting);
    assert_eq!(outcome(*waiting), Ok(()));
    assert_eq!(contents::<u8>(*buffer), [2; 16]);
    assert_eq!(finish(*enqueued), Ok(()));
    assert_eq!(called.load(SeqCst), 0);
}

/// Runs `forks` while two other threads run `busy` again and again.
fn among_busy_threads(busy: impl Fn() + Sync, forks: impl FnOnce()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let (stop, busy) = (AtomicBool::new(false), &busy);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    busy();
                }
            });
        }
        let _stop = Stop(&stop);
        forks();
    });
}

/// The runtime's own locks are free in a child, whatever other threads did when it was forked.
#[test]
fn messages_and_owners_work_in_a_forked_process() {
    if !inside_of(module_path!(), "messages_and_owners_work_in_a_forked_process", &[]) {
        return;
    }
    // A fork during the very first use is not noted.
    drop(string("first use"));
    let nth = AtomicUsize::new(0);
    let busy = || {
        sel(&format!("registered{}", nth.fetch_add(1, Relaxed)));
        drop(string("made and freed"));
    };
    among_busy_threads(busy, || {
        for _ in 0..scale(300) {
            let child = || {
                sel("registeredInChild");
                assert_eq!(text(*string("made in a child")), "made in a child");
            };
            assert_eq!(in_fork(child), 0);
        }
    });
}

/// A child whose queue was locked by another thread when it was forked ends with a message; any other
/// gets an error. None hangs.
#[test]
fn a_fork_while_others_commit_does_not_hang() {
    if !inside_of(module_path!(), "a_fork_while_others_commit_does_not_hang", &[]) {
        return;
    }
    let queue = queue();
    let busy = || assert_eq!(finish(*commands(*queue)), Ok(()));
    among_busy_threads(busy, || {
        let child = || assert!(finish(*commands(*queue)).is_err());
        let ends: Vec<_> = (0..scale(100)).map(|_| in_fork(child)).collect();
        assert!(ends.iter().all(|end| *end == 0 || end & 0x7f == ABORT), "{ends:?}");
        assert!(ends.contains(&0), "{ends:?}");
    });
}
