//! The name that a program assigns to an object, for messages and captures.

use crate::soft::fork::lock;
use std::sync::{Arc, Mutex};

/// A label, which may be unset.
#[derive(Debug, Default)]
pub(crate) struct Label(Mutex<Option<Arc<str>>>);

impl Label {
    pub(crate) fn get(&self) -> Option<Arc<str>> {
        lock(&self.0).clone()
    }

    pub(crate) fn set(&self, text: Option<&str>) {
        *lock(&self.0) = text.map(Arc::from);
    }

    /// The label in quotation marks after a space, to follow a noun; empty if there is none.
    pub(crate) fn after_noun(&self) -> String {
        self.get().map_or_else(String::new, |text| format!(" \"{text}\""))
    }
}
