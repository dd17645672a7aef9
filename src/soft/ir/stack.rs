//! The compiler's own stack: its recursion is bounded, but the stack of the calling thread may be small.

use super::internal_error::{compiling, position};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Enough for the deepest recursion that the phases allow, in a build without optimisation. The pages are
/// only reserved: unused stack costs nothing.
const STACK: usize = 256 << 20;

thread_local! {
    /// This thread has a stack of [`STACK`] bytes.
    static LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread with a stack of at least [`STACK`] bytes, which may be this one. A panic is resumed in
/// the caller. If the system cannot create a thread, the work is done on the caller's stack.
pub(crate) fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if LARGE.get() {
        return work();
    }
    let mut work = Some(work);
    let slot = &mut work;
    let result = std::thread::scope(|scope| {
        let run = move || {
            LARGE.set(true);
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
