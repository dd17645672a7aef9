//! The compiler's own stack: its recursion is bounded, but the stack of the calling thread may be small.

use super::internal_error::{compiling, position};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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

/// Runs `work` on a thread with a stack of at least [`STACK`] bytes, which may be this one. A panic is resumed in
/// the caller. If the system cannot create a thread, the work is done on the caller's stack.
pub(crate) fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if BASE.get() != 0 {
        return work();
    }
    let mut work = Some(work);
    let slot = &mut work;
    let result = std::thread::scope(|scope| {
        let run = move || {
            BASE.set(here());
            let result = catch_unwind(AssertUnwindSafe(|| slot.take().map(|work| work())));
            (result, position())
        };
        let builder = std::thread::Builder::new().stack_size(STACK).name("msl".into());
        let thread = builder.spawn_scoped(scope, run).ok()?;
        match thread.join() {
            Ok((result, at)) => {
                // The report of an internal error says where the compiler was.
                compiling(at);
                result.unwrap_or_else(|panic| resume_unwind(panic))
            }
            Err(panic) => resume_unwind(panic),
        }
    });
    match (result, work) {
        (Some(result), _) => result,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the work was taken, so it answered"),
    }
}
