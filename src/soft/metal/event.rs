//! MTLEvent and MTLSharedEvent: counters that queues and the CPU wait for.

use super::foundation::{
    HeldBlock, Label, Labelled, NSObject, Object, Retained, Strong, Text, This, device, label,
    lock, of_device, run_on, serial_queue, set_label, soft_class,
};
use crate::abi::{Class, Id, Imp};
use crate::soft::kernel::Processor;
use crate::soft::stream::event::{Signal, Wake};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, Weak};
use std::time::Duration;

/// An event of one device.
pub(super) struct Event {
    processor: &'static Processor,
    signal: Arc<Signal>,
}

/// An event that the CPU sees.
pub(super) struct SharedEvent {
    processor: &'static Processor,
    signal: Arc<Signal>,
    /// The reference that notifications have to the event.
    weak: OnceLock<Arc<WeakEvent>>,
}

impl Drop for SharedEvent {
    fn drop(&mut self) {
        if let Some(weak) = self.weak.get() {
            *lock(&weak.0) = Id::NIL;
        }
    }
}

/// A shared event, to be passed to another part of this process.
pub(super) struct SharedEventHandle {
    signal: Arc<Signal>,
}

/// Where blocks of shared events are called: a queue of libdispatch's.
pub(super) struct SharedEventListener {
    queue: Retained,
}

impl SharedEventListener {
    /// Without a queue of the program's, it has one of its own.
    fn new(queue: Option<Retained>) -> Self {
        Self { queue: queue.unwrap_or_else(|| serial_queue(c"aruminium shared events")) }
    }
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

of_device! {
    Event, event => event.processor;
    SharedEvent, event => event.processor;
}

soft_class! {
    /// An event of one device.
    pub(super) class SoftMTLEvent(Event): NSObject, conforms [MTLEvent];
    [label] = label::<Event>;
    [setLabel:] = set_label::<Event>;
    [device] = device::<Event>;
}

soft_class! {
    /// An event that the CPU sees.
    pub(super) class SoftMTLSharedEvent(SharedEvent): NSObject, conforms [MTLSharedEvent];
    [label] = label::<SharedEvent>;
    [setLabel:] = set_label::<SharedEvent>;
    [device] = device::<SharedEvent>;
    [signaledValue] = |event: &SharedEvent| {
        let value = event.signal.value();
        event.signal.clock.seen();
        value
    };
    [setSignaledValue:] = |event: &SharedEvent, value: u64| {
        event.signal.clock.signalled();
        event.signal.change(|_| value);
    };
    [waitUntilSignaledValue:timeoutMS:] = |event: &SharedEvent, value: u64, milliseconds: u64| {
        let reached = event.signal.wait(value, Duration::from_millis(milliseconds));
        event.signal.clock.seen();
        reached
    };
    [notifyListener:atValue:block:] = notify;
    [newSharedEventHandle] = SharedEvent::handle;
}

soft_class! {
    /// A handle that carries a shared event to another process.
    pub(super) class MTLSharedEventHandle(SharedEventHandle): NSObject;
    [label] = |handle: &SharedEventHandle| -> Option<Strong<Text>> { handle.signal.label.get().map(|text| Text::object(&*text)) };
}

soft_class! {
    /// Where blocks of shared events are called.
    pub(super) class MTLSharedEventListener(SharedEventListener): NSObject;
    init [init] = || SharedEventListener::new(None);
    init [initWithDispatchQueue:] = SharedEventListener::new;
    class [sharedListener] = shared_listener;
    [dispatchQueue] = |listener: &SharedEventListener| listener.queue.clone();
}

fn shared_listener(_: crate::abi::Class) -> Strong<SharedEventListener> {
    static SHARED: LazyLock<Strong<SharedEventListener>> =
        LazyLock::new(|| Strong::new(SharedEventListener::new(None)));
    SHARED.clone()
}

impl Event {
    pub(super) fn object(processor: &'static Processor) -> Strong<Self> {
        Strong::new(Self { processor, signal: Arc::default() })
    }
}

impl SharedEvent {
    pub(super) fn object(processor: &'static Processor) -> Strong<Self> {
        Self::of(processor, &Arc::default())
    }

    /// An event with this counter.
    fn of(processor: &'static Processor, signal: &Arc<Signal>) -> Strong<Self> {
        Strong::new(Self { processor, signal: Arc::clone(signal), weak: OnceLock::new() })
    }

    /// The same event, out of its handle.
    pub(super) fn from_handle(
        processor: &'static Processor,
        handle: &SharedEventHandle,
    ) -> Strong<Self> {
        Self::of(processor, &handle.signal)
    }

    fn handle(&self) -> Strong<SharedEventHandle> {
        Strong::new(SharedEventHandle { signal: Arc::clone(&self.signal) })
    }
}

/// The counter of an event of either kind; `None` for nil and for other objects.
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
    listener: Option<&Object<SharedEventListener>>,
    value: u64,
    block: Option<HeldBlock>,
) {
    let Some(block) = block else { return };
    let event = this.weak.get_or_init(|| Arc::new(WeakEvent(Mutex::new(this.id()))));
    let notification = Notification {
        event: Arc::clone(event),
        processor: this.processor,
        signal: Arc::downgrade(&this.signal),
        block: Arc::new(block),
        queue: listener
            .map_or_else(|| shared_listener(Class::NIL).queue.clone(), |own| own.queue.clone()),
    };
    let waits = notification.clone();
    let wake = move |wake| {
        if let Wake::Reached(value) = wake {
            waits.deliver(value);
        }
    };
    if let Some(value) = this.signal.when_reached(value, wake) {
        notification.deliver(value);
    }
}

/// A block of `notifyListener:atValue:block:`, and the event that received the message. It owns neither the event nor
/// its counter: a notification that is never delivered would keep them alive for ever.
#[derive(Clone)]
struct Notification {
    event: Arc<WeakEvent>,
    processor: &'static Processor,
    signal: Weak<Signal>,
    block: Arc<HeldBlock>,
    queue: Retained,
}

impl Notification {
    /// Has the block called. If the event has been deallocated meanwhile (its counter may live on in a handle or a
    /// command buffer), the block is passed another event with the same counter.
    fn deliver(self, value: u64) {
        if let Some(signal) = self.signal.upgrade() {
            signal.clock.seen();
        }
        let event = self.event.upgrade().or_else(|| {
            Some(SharedEvent::of(self.processor, &self.signal.upgrade()?).into_retained())
        });
        let Some(event) = event else { return };
        let (block, queue) = (self.block, self.queue);
        run_on(&queue, move || {
            // SAFETY: it was passed as a block that takes an event and a value.
            unsafe {
                let call =
                    std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id, u64)>(block.invoke());
                call(block.id(), event.id(), value);
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
