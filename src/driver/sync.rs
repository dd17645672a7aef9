//! Fences, events and shared events: synchronisation of work.

use super::sealed::Sealed;
use crate::abi::Id;
use crate::metal_class;
use crate::objc::{Block, ObjcClass, Object};
use std::time::Duration;

metal_class! {
    /// Orders the encoders of one queue: one updates it, a later one waits for it.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let fence = gpu.fence()?;
    /// fence.set_label("sum");
    /// assert_eq!(fence.label().as_deref(), Some("sum"));
    /// let first = commands.encoder()?;
    /// first.update_fence(&fence);
    /// first.finish();
    /// let second = commands.encoder()?;
    /// second.wait_for_fence(&fence);
    /// second.finish();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Fence: MTLFence, labelled;
}

metal_class! {
    /// Orders command buffers of one device: one signals a value, another waits for it.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let (one, other) = (gpu.new_command_queue()?, gpu.new_command_queue()?);
    /// let event = gpu.event()?;
    /// event.set_label("sum");
    /// assert_eq!(event.label().as_deref(), Some("sum"));
    /// let (first, second) = (one.commands()?, other.commands()?);
    /// second.wait_for(&event, 1);
    /// second.submit();
    /// first.signal(&event, 1);
    /// first.submit();
    /// second.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Event: MTLEvent, labelled;
}

metal_class! {
    /// Orders command buffers and the CPU by a counter that both can read and set.
    ///
    /// ```
    /// use std::time::Duration;
    /// let event = aruminium::Gpu::open()?.shared_event()?;
    /// event.set_label("steps");
    /// assert_eq!(event.label().as_deref(), Some("steps"));
    /// event.set_signaled_value(3);
    /// assert_eq!(event.signaled_value(), 3);
    /// assert!(event.wait(3, Duration::from_millis(1)));
    /// assert!(!event.wait(4, Duration::from_millis(1)));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class SharedEvent: MTLSharedEvent, labelled;

    /// The counter's value.
    pub fn signaled_value() -> u64 = [signaledValue];
    /// Set the counter from the CPU.
    pub fn set_signaled_value(value: u64) = [setSignaledValue:];
    fn wait_ms(value: u64, milliseconds: u64) -> bool = [waitUntilSignaledValue:timeoutMS:];
    fn notify_listener(listener: &EventListener, value: u64, block: &Block<(Id, u64)>)
        = [notifyListener:atValue:block:];
}

metal_class! {
    /// Delivers notifications of shared events.
    pub(crate) class EventListener: MTLSharedEventListener;

    fn new() -> EventListener = class [new];
}

/// Implements `Send` and `Sync` for classes whose objects any thread may use.
macro_rules! thread_safe {
    ($($class:ident),+) => {$(
        // SAFETY: Apple documents fences and events as safe to use from any thread.
        unsafe impl Send for $class {}
        // SAFETY: as above.
        unsafe impl Sync for $class {}
    )+};
}

thread_safe!(Fence, Event, SharedEvent);

impl SharedEvent {
    /// Wait until the counter has reached a value; returns whether it did before the timeout.
    ///
    /// ```
    /// use std::time::Duration;
    /// let event = aruminium::Gpu::open()?.shared_event()?;
    /// assert!(!event.wait(1, Duration::from_millis(1)), "it is not signalled");
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn wait(&self, value: u64, timeout: Duration) -> bool {
        self.wait_ms(value, timeout.as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// Call a closure on one of Metal's threads when the counter has reached a value.
    ///
    /// ```
    /// let event = aruminium::Gpu::open()?.shared_event()?;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// event.notify(2, move |_, value| _ = sender.send(value));
    /// event.set_signaled_value(5);
    /// assert_eq!(receiver.recv(), Ok(5));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn notify(&self, value: u64, handler: impl Fn(&SharedEvent, u64) + Send + Sync + 'static) {
        let block = Block::new(move |event: Id, value: u64| {
            // SAFETY: Metal passes a shared event that lives during the call.
            let event = unsafe { SharedEvent::from_object(Object::borrowed(event)) };
            handler(&event, value);
        });
        self.notify_listener(&EventListener::new(), value, &block);
    }
}

/// The events that command buffers signal and wait for: [`Event`] and [`SharedEvent`].
///
/// The trait is sealed: Metal dereferences the pointer, so only this crate's wrappers may supply it.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::EventObject;
/// fn signal(commands: &aruminium::Commands, event: &impl EventObject) {
///     assert!(!event.event().is_nil());
///     commands.signal(event, 1);
/// }
/// let commands = gpu.new_command_queue()?.commands()?;
/// signal(&commands, &gpu.event()?);
/// signal(&commands, &gpu.shared_event()?);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub trait EventObject: Sealed {
    /// The pointer to the object.
    fn event(&self) -> Id;
}

impl EventObject for Event {
    fn event(&self) -> Id {
        self.as_raw()
    }
}

impl EventObject for SharedEvent {
    fn event(&self) -> Id {
        self.as_raw()
    }
}
