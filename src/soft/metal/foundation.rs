//! What the classes here use of the runtime, in one place, and a label as most of them have one.

pub(super) use crate::soft::foundation::{Address, Failure, List, NSObject, Pairs, Text};
pub(super) use crate::soft::runtime::block::HeldBlock;
pub(super) use crate::soft::runtime::declare::{ErrorOut, Ours, This, soft_class};
pub(super) use crate::soft::runtime::fork::{AFTER_FORK, is_forked, lock};
pub(super) use crate::soft::runtime::object::{Object, Retained, SoftClass, Strong};
use std::sync::Mutex;

/// The name that a user gives an object.
#[derive(Default)]
pub(super) struct Label(Mutex<Option<Strong<Text>>>);

impl Label {
    pub(super) fn get(&self) -> Option<Strong<Text>> {
        lock(&self.0).clone()
    }

    /// The old label is released after the lock.
    pub(super) fn set(&self, text: Option<Strong<Text>>) {
        let _old = std::mem::replace(&mut *lock(&self.0), text);
    }

    /// The label in quotation marks after a space, or nothing: to follow a noun.
    pub(super) fn after_noun(&self) -> String {
        self.get().map_or_else(String::new, |text| format!(" \"{}\"", text.to_str()))
    }
}

/// An object that has a label.
pub(super) trait Labelled: SoftClass {
    /// Where it is.
    fn label(&self) -> &Label;
}

/// `label`.
pub(super) fn label<P: Labelled>(this: &P) -> Option<Strong<Text>> {
    this.label().get()
}

/// `setLabel:`.
pub(super) fn set_label<P: Labelled>(this: &P, text: Option<Strong<Text>>) {
    this.label().set(text);
}

/// Says where the label of a class is.
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
