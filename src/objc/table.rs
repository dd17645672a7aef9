//! Entries of IMP tables: a method's implementation, looked up once and then called directly.

use super::argument::{ArgList, Arguments};
use super::returned::Return;
use super::send::{Call, complete};
use super::variant::implementation;
use crate::abi::{Class, Id, Imp, Sel};
use std::fmt;

/// A method's implementation and the selector that it expects to be called with.
///
/// The entry is untyped: the table's method that calls it has the type.
#[derive(Clone, Copy)]
pub struct ImpEntry {
    imp: Imp,
    selector: Sel,
}

impl ImpEntry {
    /// Looks up the method of a class, which returns an `R`.
    ///
    /// A class without the method gets an entry too: one that ends the process with the names of
    /// class and selector when it is called, as sending the message would.
    ///
    /// # Safety
    ///
    /// `class` is a class of the runtime, and its method, if it has one, returns an `R`.
    #[doc(hidden)]
    pub unsafe fn resolve<R: Return>(class: Class, selector: Sel) -> Self {
        // SAFETY: passed on to the caller.
        let imp = unsafe { implementation::<R::Raw>(class, selector) }
            .expect("an IMP table is resolved from the class of a live object, not from nil");
        Self { imp, selector }
    }

    /// Calls the method.
    ///
    /// # Safety
    ///
    /// The receiver is of the class that the entry was resolved from, the method is of these types, and its own
    /// requirements are met.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn call<A: Arguments, R: Return>(
        &self,
        receiver: Id,
        call: Call,
        arguments: A,
    ) -> R {
        // SAFETY: passed on to the caller.
        unsafe {
            complete(receiver, call, arguments, |words| {
                words.call(A::List::typed::<R::Raw>(self.imp), receiver, self.selector)
            })
        }
    }
}

impl fmt::Debug for ImpEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImpEntry({:?})", self.selector)
    }
}
