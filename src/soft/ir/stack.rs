//! The compiler's own stack: its recursion is bounded, but the stack of the calling thread may be small.

use super::Span;
use super::internal_error::{compiling, position};
use crate::soft::floats::DefaultState;
use crate::soft::fork::{is_forked, lock};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Enough for the deepest recursion that the phases allow, in a build without optimisation. The pages are
/// only reserved: unused stack costs nothing.
const STACK: usize = 256 << 20;

thread_local! {
    /// The address at which the stack of [`STACK`] bytes of this thread begins, from where it grows down; 0 if its stack is
    /// another one.
    static BASE: Cell<usize> = const { Cell::new(0) };
}

/// The address of the innermost frame, or near it.
fn here() -> usize {
    let here = 0u8;
    (&raw const here).addr()
}

/// Whether half of the stack is left: recursion that is bounded by this, and not by a number, goes no deeper without it.
/// A stack that [`with_stack`] did not make is taken for a small one.
pub(crate) fn is_stack_left() -> bool {
    BASE.get().saturating_sub(here()) < STACK / 2 && BASE.get() != 0
}

/// Whether almost all of the stack is used: recursion into what was built with half of it left may need more than that half.
pub(crate) fn is_stack_low() -> bool {
    let base = BASE.get();
    base != 0 && base.saturating_sub(here()) > STACK / 16 * 15
}

/// Runs `work` on a thread with a stack of at least [`STACK`] bytes, which may be this one. A panic is resumed in
/// the caller. If the system cannot create a thread, the work is done on the caller's stack.
pub(crate) fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if BASE.get() != 0 {
        return work();
    }
    let (mut work, mut result) = (Some(work), None);
    let job = || {
        BASE.set(here());
        compiling(Span::default());
        // Passes compute what kernels would.
        let _floats = DefaultState::new();
        let done = catch_unwind(AssertUnwindSafe(|| work.take().map(|work| work())));
        result = Some((done, position()));
    };
    on_large_stack(Box::new(job));
    match (result, work) {
        (Some((done, at)), _) => {
            // The report of an internal error says where the compiler was.
            compiling(at);
            match done {
                Ok(Some(result)) => result,
                Ok(None) => unreachable!("the work is done once"),
                Err(panic) => resume_unwind(panic),
            }
        }
        (None, Some(work)) => {
            let _floats = DefaultState::new();
            work()
        }
        (None, None) => unreachable!("the work was taken, so there is a result"),
    }
}

/// Work for a thread with a large stack, and where it says that the work is done.
type Job = (Box<dyn FnOnce() + Send>, Sender<()>);

/// Threads with large stacks that wait for work. To make a thread and its stack takes longer than to compile a small kernel.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

/// The most threads that wait.
const MAX: usize = 4;

/// Does a job, which does not panic, on a thread with a large stack, and waits for it. Does nothing if there is no such
/// thread.
fn on_large_stack(job: Box<dyn FnOnce() + Send + '_>) {
    // SAFETY: only the lifetime changes. The job is called and dropped before this returns: it ends when the thread says that
    // it is done, or when the other end of the channel is gone, which the thread holds until after the job.
    let job = unsafe {
        std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Box<dyn FnOnce() + Send>>(job)
    };
    let (done, wait) = channel();
    // Threads of the process that this one was forked from do not exist here.
    let idle = if is_forked() { None } else { lock(&IDLE).pop() };
    let unsent = match idle {
        Some(thread) => thread.send((job, done)).err().map(|unsent| unsent.0),
        None => Some((job, done)),
    };
    if let Some(first) = unsent {
        let (own, jobs) = channel();
        let run = move || serve(first, own, jobs);
        let builder = std::thread::Builder::new().stack_size(STACK).name("msl".into());
        if builder.spawn(run).is_err() {
            return;
        }
    }
    // Either way the job is over.
    let _ = wait.recv();
}

/// Does jobs until there are enough threads that wait for one.
fn serve(first: Job, own: Sender<Job>, jobs: Receiver<Job>) {
    let mut next = Some(first);
    while let Some((job, done)) = next.take() {
        job();
        let stays = !is_forked() && {
            let mut idle = lock(&IDLE);
            let stays = idle.len() < MAX;
            if stays {
                idle.push(own.clone());
            }
            stays
        };
        // The caller may be gone after this.
        let _ = done.send(());
        if stays {
            next = jobs.recv().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn threads_with_large_stacks_are_used_again() {
        let threads: HashSet<_> =
            (0..500).map(|_| with_stack(|| std::thread::current().id())).collect();
        assert!(!threads.contains(&std::thread::current().id()));
        // Other tests use them meanwhile.
        assert!(threads.len() < 250, "{} threads", threads.len());
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_thread_is_used_again() {
        for number in 0..20 {
            let panic = catch_unwind(|| with_stack(|| std::panic::panic_any(number)));
            assert_eq!(panic.unwrap_err().downcast_ref::<i32>(), Some(&number));
        }
        assert_eq!(with_stack(|| with_stack(|| 7)), 7);
    }

    #[test]
    fn work_borrows_from_its_caller() {
        let (text, mut found) = (String::from("text"), Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| with_stack(|| assert_eq!(text, "text")));
            }
        });
        with_stack(|| found.push(text.len()));
        assert_eq!(found, [4]);
    }
}
