//! The compiler's own stack: its recursion is bounded, but a caller's thread may be small.

/// Enough for every bound of the phases at once, in a build without optimisation. The pages are
/// only reserved: what a compilation does not reach costs nothing.
const STACK: usize = 256 << 20;

/// Runs on a thread with a stack of the compiler's choice. A panic goes on in the caller.
/// When the system has no thread to give, the work is done on the caller's stack.
pub(crate) fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut work = Some(work);
    let slot = &mut work;
    let result = std::thread::scope(|scope| {
        let run = move || slot.take().map(|work| work());
        let builder = std::thread::Builder::new().stack_size(STACK).name("msl".into());
        let thread = builder.spawn_scoped(scope, run).ok()?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    match (result, work) {
        (Some(result), _) => result,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the work was taken, so it answered"),
    }
}
