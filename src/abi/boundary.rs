//! The boundary between Rust and C: no panic may cross it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the program inside an `extern "C"` function, out of which a panic would abort the
/// process. A panic, which the hook has reported by then, ends here, and so does a panic in the drop of
/// its payload. Returns `None` after a panic.
pub(crate) fn contain_panic<R>(run: impl FnOnce() -> R) -> Option<R> {
    let payload = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => return Some(result),
        Err(payload) => payload,
    };
    if let Err(of_drop) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // This may panic at its drop, too, and so on without end.
        std::mem::forget(of_drop);
    }
    None
}
