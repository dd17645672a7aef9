//! Entries of IMP tables: a method's function, found once and called without a look-up.

use super::argument::{ArgList, Arguments};
use super::returned::Return;
use super::send::{Call, complete};
use super::variant::implementation;
use crate::abi::{Class, Id, Sel};
use std::fmt;

/// The C function of a method that takes arguments `A` and returns an `R`.
pub type ImpFn<A, R> = <<A as Arguments>::List as ArgList>::Fn<<R as Return>::Raw>;

/// A method's function and the selector that it expects to be called with.
#[derive(Clone, Copy)]
pub struct ImpEntry<F> {
    imp: F,
    selector: Sel,
}

impl<F: Copy> ImpEntry<F> {
    /// Finds the method of a class.
    ///
    /// A class without the method gets an entry too: one that ends the process with the name of
    /// class and selector when it is called, as sending the message would.
    ///
    /// # Safety
    ///
    /// `class` is a class of the runtime, and its method, if it has one, is of these types.
    #[doc(hidden)]
    pub unsafe fn resolve<A: Arguments, R: Return>(class: Class, selector: Sel) -> Self
    where
        A::List: ArgList<Fn<R::Raw> = F>,
    {
        // SAFETY: passed on to the caller.
        unsafe {
            let imp = implementation::<R::Raw>(class, selector)
                .expect("an IMP table is resolved from the class of a live object, not from nil");
            Self { imp: <A::List as ArgList>::typed::<R::Raw>(imp), selector }
        }
    }

    /// Calls the method.
    ///
    /// # Safety
    ///
    /// The receiver is of the class that the entry was resolved from, and the method's own demands
    /// are met.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn call<A: Arguments, R: Return>(&self, receiver: Id, call: Call, arguments: A) -> R
    where
        A::List: ArgList<Fn<R::Raw> = F>,
    {
        // SAFETY: passed on to the caller.
        unsafe {
            complete(receiver, call, arguments, |words| {
                words.call(self.imp, receiver, self.selector)
            })
        }
    }
}

impl<F> fmt::Debug for ImpEntry<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImpEntry({:?})", self.selector)
    }
}
