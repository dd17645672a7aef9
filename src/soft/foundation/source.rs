//! libdispatch's sources: timers, and data that threads merge. Their handlers are jobs of a queue.

use super::NSObject;
use super::dispatch::{StaticObject, instant, run_on};
use super::group::later;
use crate::abi::Id;
use crate::soft::fork::lock;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::fatal::fatal;
use crate::soft::runtime::object::{Retained, Strong};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The events for which a source calls its handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Timer,
    /// Merged values are added, combined by "or", or the last one counts.
    Add,
    Or,
    Replace,
}

/// A source.
pub(crate) struct Source(Arc<Inner>);

struct Inner {
    cause: Cause,
    queue: Retained,
    state: Mutex<State>,
}

/// Calls a handler with the context of the source.
pub(super) type Handler = Arc<dyn Fn(Id) + Send + Sync>;

#[derive(Default)]
struct State {
    /// The source itself, which jobs retain.
    object: Option<Id>,
    event: Option<Handler>,
    end: Option<Handler>,
    /// A pointer of the program's, for handlers that are functions.
    context: Option<Id>,
    /// A source is made suspended.
    resumed: bool,
    suspended: usize,
    cancelled: bool,
    /// The time at which a timer fires next, and the time between that and the next one.
    timer: Option<(Instant, Option<Duration>)>,
    /// Counts the times that the timer was set: what waits for an earlier setting does nothing.
    setting: usize,
    /// The data merged since the handler was called last, or how often the timer fired.
    pending: usize,
    /// The data that the running handler was called for.
    data: usize,
    /// Whether a job of the handler waits or runs.
    busy: bool,
}

soft_class! {
    /// A source.
    pub(crate) class OS_dispatch_source(Source): NSObject;
}

soft_class! {
    /// The class of the kinds of sources.
    pub(crate) class OS_dispatch_source_type: NSObject, kind Immortal;
}

/// Writes the kinds of sources, of which only the addresses are used.
macro_rules! kinds {
    ($($name:ident = $cause:ident;)+) => {
        $(
            #[doc = concat!("`", stringify!($name), "` for other programs.")]
            #[unsafe(no_mangle)]
            static $name: StaticObject = StaticObject::new(&OS_dispatch_source_type.class);
        )+

        impl Cause {
            /// The kind of sources at an address.
            pub(super) fn of(kind: *const std::ffi::c_void) -> Option<Self> {
                $(
                    if kind.addr() == (&raw const $name).addr() {
                        return Some(Self::$cause);
                    }
                )+
                None
            }
        }
    };
}

kinds! {
    _dispatch_source_type_timer = Timer;
    _dispatch_source_type_data_add = Add;
    _dispatch_source_type_data_or = Or;
    _dispatch_source_type_data_replace = Replace;
}

impl Source {
    pub(super) fn object(cause: Cause, queue: Retained) -> Strong<Self> {
        let source = Strong::new(Self(Arc::new(Inner { cause, queue, state: Mutex::default() })));
        lock(&source.0.state).object = Some(source.id());
        source
    }

    pub(super) fn set_event(&self, handler: Option<Handler>) {
        let _old = std::mem::replace(&mut lock(&self.0.state).event, handler);
    }

    pub(super) fn set_context(&self, context: Id) {
        lock(&self.0.state).context = Some(context);
    }

    pub(super) fn set_end(&self, handler: Option<Handler>) {
        let _old = std::mem::replace(&mut lock(&self.0.state).end, handler);
    }

    /// The data that the handler was called for.
    pub(super) fn data(&self) -> usize {
        lock(&self.0.state).data
    }

    pub(super) fn is_cancelled(&self) -> bool {
        lock(&self.0.state).cancelled
    }

    /// Has a timer fire at a time of libdispatch, and each time that an interval of nanoseconds has gone by after that.
    pub(super) fn set_timer(&self, start: u64, interval: u64) {
        let mut state = lock(&self.0.state);
        let interval = Some(interval).filter(|interval| (1..u64::MAX).contains(interval));
        state.timer = instant(start).map(|start| (start, interval.map(Duration::from_nanos)));
        state.setting += 1;
        state.pending = 0;
        self.0.wait(&state);
    }

    /// Merges a value into the data of the source.
    pub(super) fn merge(&self, value: usize) {
        let mut state = lock(&self.0.state);
        state.pending = match self.0.cause {
            Cause::Timer => return,
            Cause::Add => state.pending.wrapping_add(value),
            Cause::Or => state.pending | value,
            Cause::Replace => value,
        };
        self.0.call(&mut state);
    }

    pub(super) fn suspend(&self) {
        lock(&self.0.state).suspended += 1;
    }

    /// Begins to call the handler.
    pub(super) fn activate(&self) {
        let mut state = lock(&self.0.state);
        if !std::mem::replace(&mut state.resumed, true) {
            self.0.wait(&state);
            self.0.call(&mut state);
        }
    }

    /// Activates the source, or takes back one call to suspend it.
    pub(super) fn resume(&self) {
        let mut state = lock(&self.0.state);
        if std::mem::replace(&mut state.resumed, true) {
            let Some(left) = state.suspended.checked_sub(1) else {
                fatal(format_args!(
                    "dispatch_resume: the source was resumed more often than suspended"
                ));
            };
            state.suspended = left;
        }
        self.0.wait(&state);
        self.0.call(&mut state);
    }

    /// Ends the source: the handler is not called any more, the one for the end is.
    pub(super) fn cancel(&self) {
        let mut state = lock(&self.0.state);
        if !std::mem::replace(&mut state.cancelled, true) && !state.busy {
            self.0.end(&mut state);
        }
    }
}

impl Inner {
    fn runs(state: &State) -> bool {
        state.resumed && state.suspended == 0 && !state.cancelled
    }

    /// Has the timer fire when its time has come. A source that has ended meanwhile does not.
    fn wait(self: &Arc<Self>, state: &State) {
        let Some((start, _)) = state.timer.filter(|_| state.resumed && !state.cancelled) else {
            return;
        };
        let (this, setting) = (Arc::downgrade(self), state.setting);
        later(Some(start), Box::new(move || Self::fire(&this, setting)));
    }

    fn fire(this: &Weak<Self>, setting: usize) {
        let Some(this) = this.upgrade() else { return };
        let mut state = lock(&this.state);
        // A source that was resumed twice has two threads that wait: the second finds a later time.
        let due = state.timer.filter(|(start, _)| *start <= Instant::now());
        let Some((start, interval)) = due.filter(|_| state.setting == setting) else { return };
        state.timer = interval.map(|interval| (start + interval, Some(interval)));
        state.pending += 1;
        this.wait(&state);
        this.call(&mut state);
    }

    /// Submits a job of the handler if there is data, and none waits or runs.
    fn call(self: &Arc<Self>, state: &mut State) {
        let Some(event) = state.event.clone().filter(|_| Self::runs(state)) else { return };
        if state.pending == 0 || state.busy {
            return;
        }
        let Some(source) = Self::retained(state) else { return };
        state.busy = true;
        let this = self.clone();
        run_on(&self.queue, move || {
            // Released when the state is not locked any more.
            let _source = source;
            let mut state = lock(&this.state);
            if Self::runs(&state) {
                state.data = std::mem::take(&mut state.pending);
                let context = state.context.unwrap_or(Id::NIL);
                drop(state);
                event(context);
                state = lock(&this.state);
            }
            state.busy = false;
            match state.cancelled {
                true => this.end(&mut state),
                false => this.call(&mut state),
            }
        });
    }

    /// The source, unless it is being released: its memory is there as long as its state says that it was not cancelled.
    fn retained(state: &State) -> Option<Retained> {
        // SAFETY: releasing the source waits for the lock of the state.
        state.object.and_then(|object| unsafe { Retained::retain_alive(object) })
    }

    /// Calls the handler for the end. Handlers are released by a job: they may own what uses the source.
    fn end(&self, state: &mut State) {
        let (event, end) = (state.event.take(), state.end.take());
        if event.is_none() && end.is_none() {
            return;
        }
        let (source, context) = (Self::retained(state), state.context.unwrap_or(Id::NIL));
        run_on(&self.queue, move || {
            let _source = source;
            drop(event);
            end.into_iter().for_each(|end| end(context));
        });
    }
}

/// The handler of a source that is released is not called any more.
impl Drop for Source {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.cancelled = true;
        state.object = None;
        let handlers = (state.event.take(), state.end.take());
        // Dropping what the handlers own may use the source.
        drop(state);
        drop(handlers);
    }
}
