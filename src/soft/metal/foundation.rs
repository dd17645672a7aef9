//! The parts of the runtime that the classes here use, and properties that most of them have: a label and a device.

pub(super) use crate::soft::fork::{AFTER_FORK, is_forked, lock};
pub(super) use crate::soft::foundation::absent::{lists, reported};
pub(super) use crate::soft::foundation::{
    Address, Bundle, Bytes, Failure, List, NSObject, Number, Pairs, Text, run_on, serial_queue,
};
use crate::soft::kernel::Processor;
pub(super) use crate::soft::runtime::block::HeldBlock;
pub(super) use crate::soft::runtime::declare::{ErrorOut, This, Zone, soft_class};
use crate::soft::runtime::entry::{objc_autoreleasePoolPop, objc_autoreleasePoolPush};
pub(super) use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong};
pub(super) use crate::soft::stream::label::Label;
use crate::soft::stream::threads;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The devices by number, for the classes that they make objects of.
static DEVICES: [OnceLock<Retained>; Processor::MAX] = [const { OnceLock::new() }; Processor::MAX];

/// Sets the device of a number, once.
pub(super) fn set_device(number: usize, device: Retained) {
    _ = DEVICES[number].set(device);
}

/// An object that a device made.
pub(super) trait OfDevice: SoftClass {
    /// The device.
    fn processor(&self) -> Option<&'static Processor>;
}

/// `device` of every object that a device makes.
pub(super) fn device<P: OfDevice>(this: &P) -> Option<Retained> {
    DEVICES[this.processor()?.number].get().cloned()
}

/// Implements [`OfDevice`] with the device of an expression.
macro_rules! of_device {
    ($($ty:ty, $this:ident => $processor:expr;)+) => {$(
        impl $crate::soft::metal::foundation::OfDevice for $ty {
            fn processor(&self) -> Option<&'static $crate::soft::kernel::Processor> {
                let $this = self;
                $processor.into()
            }
        }
    )+};
}
pub(super) use of_device;

/// The next number for `gpuResourceID`. A sampler's is made of its properties instead, so that equal samplers have equal ones.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

/// Compiles on a thread of its own.
pub(super) fn compile_aside(work: impl FnOnce() + Send + 'static) {
    threads::compile_aside(move || in_pool(work));
}

/// Runs with an autorelease pool.
pub(super) fn in_pool(run: impl FnOnce()) {
    // SAFETY: the pool is popped on the thread that pushed it, after all pools pushed in it.
    unsafe {
        let pool = objc_autoreleasePoolPush();
        run();
        objc_autoreleasePoolPop(pool);
    }
}

/// An object that has a label.
pub(super) trait Labelled: SoftClass {
    /// Its label.
    fn label(&self) -> &Label;
}

/// `label`.
pub(super) fn label<P: Labelled>(this: &P) -> Option<Strong<Text>> {
    this.label().get().map(|text| Text::object(&*text))
}

/// `setLabel:`.
pub(super) fn set_label<P: Labelled>(this: &P, text: Option<&Object<Text>>) {
    this.label().set(text.map(|text| text.to_str()).as_deref());
}

/// Implements [`Labelled`] with the field `label`.
macro_rules! labelled {
    ($($ty:ty),+ $(,)?) => {$(
        impl $crate::soft::metal::foundation::Labelled for $ty {
            fn label(&self) -> &$crate::soft::metal::foundation::Label {
                &self.label
            }
        }
    )+};
}
pub(super) use labelled;
