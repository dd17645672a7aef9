//! Internal errors: a broken invariant ends the compilation with a report, never the process.

use super::Span;
use std::any::Any;
use std::cell::Cell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

thread_local! {
    /// The source position that this thread is compiling.
    static POSITION: Cell<Span> = const { Cell::new(Span(0)) };
}

/// A bug in the compiler, caught by [`catch_internal_error`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct InternalError {
    /// The defect, and its place in the compiler if that is known.
    pub(crate) message: String,
    /// The source position that was being compiled.
    pub(crate) span: Span,
    /// Whether the tree has no type where it is lowered, which an error that is reported elsewhere explains.
    pub(crate) untyped: bool,
}

/// The payload of [`untyped`].
struct Untyped(String);

impl Display for InternalError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "internal compiler error: {}; this is a defect of aruminium, not of the program: please \
             report it together with the source text",
            self.message
        )
    }
}

/// Records the source position that is compiled from here on.
pub(crate) fn compiling(span: Span) {
    POSITION.set(span);
}

/// The same for an instruction. One that the compiler made may have no position: it belongs to those before it.
pub(crate) fn compiling_instruction(span: Span) {
    if span != Span(0) {
        compiling(span);
    }
}

/// The source position that was recorded last.
pub(super) fn position() -> Span {
    POSITION.get()
}

/// Ends the compilation because an invariant of the compiler does not hold.
///
/// The unwinding bypasses the panic hook, which belongs to the program: it prints nothing, and the
/// message reaches the caller of [`catch_internal_error`].
#[track_caller]
pub(crate) fn internal_error(message: impl Display) -> ! {
    let at = Location::caller();
    let message = format!("{message} ({}:{})", at.file(), at.line());
    if cfg!(panic = "unwind") {
        resume_unwind(Box::new(message));
    }
    // Nothing catches this panic; the hook prints the message.
    panic!("internal compiler error: {message}");
}

/// The same for a part of the tree that has no type: an error, if one was reported for it.
#[track_caller]
pub(crate) fn untyped(what: impl Display) -> ! {
    let at = Location::caller();
    let message =
        format!("{what} has no type, and no error was reported ({}:{})", at.file(), at.line());
    if cfg!(panic = "unwind") {
        resume_unwind(Box::new(Untyped(message)));
    }
    panic!("internal compiler error: {message}");
}

/// Runs a part of the compiler; its internal error, or any other panic in it, becomes an error.
/// Changes that `work` made may be incomplete.
pub(crate) fn catch_internal_error<T>(work: impl FnOnce() -> T) -> Result<T, InternalError> {
    compiling(Span(0));
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| InternalError {
        message: message_of(&*panic),
        span: POSITION.get(),
        untyped: panic.is::<Untyped>(),
    })
}

/// For tests: makes a compiler phase fail at a variable or function named `fails_in_PHASE`, or panic at one named
/// `panics_in_PHASE`.
#[cfg(test)]
pub(crate) fn inject_internal_error(phase: &str, name: &str) {
    match name.strip_suffix(phase) {
        Some("fails_in_") => internal_error("injected by a test"),
        Some("panics_in_") => panic!("injected by a test"),
        _ => {}
    }
}

/// The message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.or_else(|| panic.downcast_ref::<Untyped>().map(|untyped| untyped.0.as_str()));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_has_message_and_position() {
        let caught = catch_internal_error(|| {
            compiling(Span(7));
            internal_error("one and one is three");
        });
        let Err::<(), _>(error) = caught else { panic!("no error") };
        assert!(error.message.starts_with("one and one is three (src/soft/ir/internal_error.rs:"));
        assert_eq!(error.span, Span(7));
        assert_eq!(catch_internal_error(|| 3), Ok(3));
    }
}
