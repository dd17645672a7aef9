//! Ends a program that broke a rule of Objective-C: one line on standard error, then abort.

use super::class::ClassData;
use super::object;
use crate::abi::{Id, Sel};
use std::fmt;
use std::io::Write;

/// Reports why and aborts.
#[cold]
pub(crate) fn fatal(why: fmt::Arguments<'_>) -> ! {
    // Not `eprintln!`: a test harness captures its output, and the line would be lost with the process.
    let _ = std::io::stderr().write_all(format!("aruminium: {why}\n").as_bytes());
    std::process::abort()
}

/// `-[Class selector]` or `+[Class selector]`, as Objective-C names a method in its messages.
pub(crate) struct MethodName {
    class: &'static ClassData,
    selector: Sel,
}

impl MethodName {
    /// The name of the method that `selector` is for objects of `class`.
    pub(crate) fn new(class: &'static ClassData, selector: Sel) -> Self {
        Self { class, selector }
    }

    /// The name of the method that `selector` is for `receiver`.
    ///
    /// # Safety
    ///
    /// `receiver` is an object.
    pub(crate) unsafe fn of(receiver: Id, selector: Sel) -> Self {
        // SAFETY: the caller's.
        Self::new(unsafe { object::class_of(receiver) }, selector)
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.class.is_meta() { '+' } else { '-' };
        let selector = super::selector::name(self.selector).map(|name| name.to_string_lossy());
        let selector = selector.as_deref().unwrap_or("(null selector)");
        write!(f, "{sign}[{} {selector}]", self.class)
    }
}
