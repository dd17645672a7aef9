//! MTLEvent and MTLSharedEvent: counters that queues, and the CPU, wait for.

use super::device::{self, Device};
use super::foundation::{
    HeldBlock, Label, Labelled, NSObject, Object, Ours, Retained, Strong, Text, This, is_forked,
    label, lock, set_label, soft_class,
};
use super::queue::Queue;
use super::stall::{self, Watched};
use super::worker;
use crate::abi::{Id, Imp};
use std::sync::{Arc, Condvar, LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A counter, and what waits for it. A signal owns its waiters, so a waiter that does not end by
/// itself must own neither the signal nor an event: a notification that is never called would keep
/// the event alive for ever.
#[derive(Default)]
pub(super) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) label: Label,
}

#[derive(Default)]
struct State {
    value: u64,
    waiting: Vec<(u64, Waiter)>,
}

/// What happens when a value is reached.
pub(super) enum Waiter {
    /// A queue continues.
    Queue(Strong<Queue>, Watched),
    /// A block is called.
    Notice(Notice),
}

/// A block of `notifyListener:atValue:block:`, with the event that received the message.
pub(super) struct Notice {
    event: Arc<WeakEvent>,
    block: HeldBlock,
}

impl Notice {
    /// Has the block called. If the event has been deallocated meanwhile (its counter may live on in a
    /// handle or a command buffer), the block is passed another event with the same counter.
    fn deliver(self, signal: &Arc<Signal>, value: u64) {
        let event = self.event.upgrade();
        let event = event.unwrap_or_else(|| SharedEvent::of(signal).into_retained());
        worker::deliver(move || {
            // SAFETY: it was passed as a block that takes an event and a value.
            unsafe {
                let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id, u64)>(
                    self.block.invoke(),
                );
                call(self.block.id(), event.id(), value);
            }
        });
    }
}

/// A reference to a shared event that does not keep it alive; nil once the event is deallocated.
struct WeakEvent(Mutex<Id>);

impl WeakEvent {
    fn upgrade(&self) -> Option<Retained> {
        let event = lock(&self.0);
        // SAFETY: the event's drop sets this to nil, under this lock, before its memory is freed.
        unsafe { Retained::retain_alive(*event) }
    }
}

impl Signal {
    pub(super) fn value(&self) -> u64 {
        lock(&self.state).value
    }

    /// A queue's signal: the counter never goes back.
    pub(super) fn raise(self: &Arc<Self>, value: u64) {
        self.change(|old| old.max(value));
    }

    /// Changes the value and wakes what waits for it.
    fn change(self: &Arc<Self>, new: impl FnOnce(u64) -> u64) {
        stall::sign_of_life();
        let mut state = lock(&self.state);
        let value = new(state.value);
        state.value = value;
        let reached = |waiter: &mut (u64, Waiter)| waiter.0 <= value;
        let woken: Vec<_> = state.waiting.extract_if(.., reached).collect();
        drop(state);
        self.changed.notify_all();
        for (_, waiter) in woken {
            match waiter {
                Waiter::Queue(queue, _) => worker::schedule(queue),
                Waiter::Notice(notice) => notice.deliver(self, value),
            }
        }
    }

    /// Leaves a waiter to be told, unless the value is reached: then the waiter comes back, with
    /// the value that there is.
    pub(super) fn when_reached(&self, value: u64, waiter: Waiter) -> Option<(u64, Waiter)> {
        let mut state = lock(&self.state);
        if state.value >= value {
            return Some((state.value, waiter));
        }
        state.waiting.push((value, waiter));
        None
    }

    /// Watches a queue's wait for this event.
    pub(super) fn watch(self: &Arc<Self>) -> Watched {
        let signal = Arc::downgrade(self);
        stall::watch(move |number, silence| {
            if let Some(signal) = signal.upgrade() {
                signal.give_up(number, silence);
            }
        })
    }

    /// Ends a queue's wait: its command buffer ends in an error, and the queue goes on. Does nothing
    /// if the value was reached meanwhile.
    fn give_up(&self, watched: u64, silence: Duration) {
        let mut state = lock(&self.state);
        let of_queue =
            |(_, waiter): &(u64, Waiter)| matches!(waiter, Waiter::Queue(_, w) if w.is(watched));
        let Some(place) = state.waiting.iter().position(of_queue) else { return };
        let (value, waiter) = state.waiting.swap_remove(place);
        let now = state.value;
        drop(state);
        if let Waiter::Queue(queue, _) = waiter {
            let name = self.label.after_noun();
            queue.fail_first(|| {
                format!(
                    "the wait for event{name} to reach {value} was given up by the watchdog: it is at \
                     {now}, and nothing has run for {} ms",
                    silence.as_millis()
                )
            });
            worker::schedule(queue);
        }
    }

    /// Waits on this thread. Returns whether the value was reached in time. A forked process does not
    /// wait: no queue runs there.
    fn wait(&self, value: u64, timeout: Duration) -> bool {
        let timeout = if is_forked() { Duration::ZERO } else { timeout };
        let end = Instant::now().checked_add(timeout);
        let mut state = lock(&self.state);
        while state.value < value {
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                // Longer than clocks run.
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                return false;
            }
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}

/// An event of one device.
pub(super) struct Event {
    signal: Arc<Signal>,
}

/// An event that the CPU sees.
pub(super) struct SharedEvent {
    signal: Arc<Signal>,
    /// What notifications refer to the event by.
    weak: OnceLock<Arc<WeakEvent>>,
}

impl Drop for SharedEvent {
    fn drop(&mut self) {
        if let Some(weak) = self.weak.get() {
            *lock(&weak.0) = Id::NIL;
        }
    }
}

/// A shared event on its way to another place of this process.
pub(super) struct SharedEventHandle {
    signal: Arc<Signal>,
}

/// Where blocks of shared events are called. Here it is one and the same thread for all.
pub(super) struct SharedEventListener {
    queue: Option<Retained>,
}

impl Labelled for Event {
    fn label(&self) -> &Label {
        &self.signal.label
    }
}

impl Labelled for SharedEvent {
    fn label(&self) -> &Label {
        &self.signal.label
    }
}

soft_class! {
    /// An event of one device.
    pub(super) class SoftMTLEvent(Event): NSObject, conforms [MTLEvent];
    [label] = label::<Event>;
    [setLabel:] = set_label::<Event>;
    [device] = |_: &Event| -> Strong<Device> { device::shared() };
}

soft_class! {
    /// An event that the CPU sees.
    pub(super) class SoftMTLSharedEvent(SharedEvent): NSObject, conforms [MTLSharedEvent];
    [label] = label::<SharedEvent>;
    [setLabel:] = set_label::<SharedEvent>;
    [device] = |_: &SharedEvent| -> Strong<Device> { device::shared() };
    [signaledValue] = |event: &SharedEvent| event.signal.value();
    [setSignaledValue:] = |event: &SharedEvent, value: u64| event.signal.change(|_| value);
    [waitUntilSignaledValue:timeoutMS:] = |event: &SharedEvent, value: u64, milliseconds: u64| {
        event.signal.wait(value, Duration::from_millis(milliseconds))
    };
    [notifyListener:atValue:block:] = notify;
    [newSharedEventHandle] = SharedEvent::handle;
}

soft_class! {
    /// What carries a shared event elsewhere.
    pub(super) class MTLSharedEventHandle(SharedEventHandle): NSObject, conforms [NSSecureCoding];
    [label] = |handle: &SharedEventHandle| -> Option<Strong<Text>> { handle.signal.label.get() };
}

soft_class! {
    /// Where blocks of shared events are called.
    pub(super) class MTLSharedEventListener(SharedEventListener): NSObject;
    init [init] = || SharedEventListener { queue: None };
    init [initWithDispatchQueue:] = |queue: Option<Retained>| SharedEventListener { queue };
    class [sharedListener] = shared_listener;
    [dispatchQueue] = |listener: &SharedEventListener| listener.queue.clone();
}

fn shared_listener(_: crate::abi::Class) -> Strong<SharedEventListener> {
    static SHARED: LazyLock<Strong<SharedEventListener>> =
        LazyLock::new(|| Strong::new(SharedEventListener { queue: None }));
    SHARED.clone()
}

impl Event {
    pub(super) fn object() -> Strong<Self> {
        Strong::new(Self { signal: Arc::default() })
    }
}

impl SharedEvent {
    pub(super) fn object() -> Strong<Self> {
        Self::of(&Arc::default())
    }

    /// An event with this counter.
    fn of(signal: &Arc<Signal>) -> Strong<Self> {
        Strong::new(Self { signal: Arc::clone(signal), weak: OnceLock::new() })
    }

    /// The same event, out of its handle.
    pub(super) fn from_handle(handle: &SharedEventHandle) -> Strong<Self> {
        Self::of(&handle.signal)
    }

    fn handle(&self) -> Strong<SharedEventHandle> {
        Strong::new(SharedEventHandle { signal: Arc::clone(&self.signal) })
    }
}

/// The counter of an event of either kind; none for nil and for what is no event.
pub(super) fn signal_of(event: Id) -> Option<Arc<Signal>> {
    if event.is_nil() {
        return None;
    }
    // SAFETY: the caller was passed an object.
    unsafe {
        Object::<Event>::from_id(event)
            .map(|event| Arc::clone(&event.signal))
            .or_else(|| Object::<SharedEvent>::from_id(event).map(|e| Arc::clone(&e.signal)))
    }
}

fn notify(
    this: This<'_, SharedEvent>,
    _listener: Ours<'_, SharedEventListener>,
    value: u64,
    block: Option<HeldBlock>,
) {
    let Some(block) = block else { return };
    let event = this.weak.get_or_init(|| Arc::new(WeakEvent(Mutex::new(this.id()))));
    let waiter = Waiter::Notice(Notice { event: Arc::clone(event), block });
    if let Some((value, Waiter::Notice(notice))) = this.signal.when_reached(value, waiter) {
        notice.deliver(&this.signal, value);
    }
}
