//! Pointers to objects, owned or borrowed, and the types that wrap them.

use super::argument::Arguments;
use super::link;
use super::reflect::ClassInfo;
use super::tracking::{ArgumentSink, MessageUse, Tracker};
use crate::abi::{Class, Id};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A pointer to an object, released on drop if it is owned.
///
/// It is neither `Send` nor `Sync`; a type that wraps one declares these itself if its class allows it.
///
/// ```
/// use aruminium::{msg, objc::Object, foundation::NSString};
/// let text = NSString::from("metal");
/// // SAFETY: `copy` takes nothing and returns an object that the caller owns.
/// let copy = unsafe { msg!(text, [copy] -> Object) };
/// assert!(!copy.as_raw().is_nil());
/// ```
pub struct Object {
    id: Id,
    owned: bool,
    /// Whether objects may be used from several threads depends on the class.
    not_send: PhantomData<*const ()>,
}

impl Object {
    /// Takes ownership of one reference count of an object.
    ///
    /// # Safety
    ///
    /// `id` is nil or a live object, and the caller passes on a reference count that it owns.
    ///
    /// ```
    /// use aruminium::{ffi::nsstring, objc::Object};
    /// // SAFETY: the string is new, and its count is the caller's.
    /// let text = unsafe { Object::owned(nsstring("metal")) };
    /// ```
    #[inline(always)]
    pub const unsafe fn owned(id: Id) -> Self {
        Self { id, owned: true, not_send: PhantomData }
    }

    /// Borrows an object that another owner keeps alive: nothing is released on drop.
    ///
    /// # Safety
    ///
    /// `id` is nil or an object that outlives the value returned here.
    ///
    /// ```
    /// use aruminium::{foundation::NSString, objc::Object};
    /// let text = NSString::from("metal");
    /// // SAFETY: the string lives longer.
    /// let same = unsafe { Object::borrowed(text.as_raw()) };
    /// assert_eq!(same.as_raw(), text.as_raw());
    /// ```
    #[inline(always)]
    pub const unsafe fn borrowed(id: Id) -> Self {
        Self { id, owned: false, not_send: PhantomData }
    }

    /// The pointer.
    #[inline(always)]
    pub const fn as_raw(&self) -> Id {
        self.id
    }

    /// Returns the pointer, and with it the reference count if this value owns one.
    ///
    /// ```
    /// use aruminium::{ffi, objc::Object};
    /// // SAFETY: one count goes in, and the same count out and back.
    /// unsafe {
    ///     let raw = Object::owned(ffi::nsstring("metal")).into_raw();
    ///     ffi::release(raw);
    /// }
    /// ```
    #[inline(always)]
    pub fn into_raw(self) -> Id {
        std::mem::ManuallyDrop::new(self).id
    }

    /// The object's present class.
    ///
    /// ```
    /// use aruminium::{Gpu, msg, objc::Object};
    /// let gpu = Gpu::open()?;
    /// // SAFETY: the method of a device that returns a queue, which the caller owns.
    /// let (one, other) = unsafe {
    ///     (msg!(gpu, [newCommandQueue] -> Object), msg!(gpu, [newCommandQueue] -> Object))
    /// };
    /// assert_eq!(one.class(), other.class());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline(always)]
    pub fn class(&self) -> Class {
        // SAFETY: the constructors promise nil or a live object.
        unsafe { link::object_getClass(self.id) }
    }
}

impl Clone for Object {
    /// Retains the object: the copy owns a count of its own, also when the original does not.
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: the object is alive, and retaining it makes the count that the copy owns.
        unsafe { Self::owned(link::objc_retain(self.id)) }
    }
}

impl Drop for Object {
    #[inline(always)]
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: the caller of `owned` promised that the count belongs to this value.
            unsafe { link::objc_release(self.id) }
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({:p})", self.id.as_ptr())
    }
}

/// A Rust type that wraps objects of one class or protocol; [`metal_class!`](crate::metal_class)
/// implements it.
///
/// # Safety
///
/// `as_raw` returns the object that was wrapped, which lives as long as the value.
///
/// ```
/// use aruminium::{Gpu, objc::ObjcClass};
/// assert_eq!((Gpu::INFO.rust, Gpu::INFO.objc), ("Gpu", "MTLDevice"));
/// ```
pub unsafe trait ObjcClass: Sized {
    /// The declaration: the class or protocol, and its methods.
    const INFO: ClassInfo;

    /// Wraps an object.
    ///
    /// # Safety
    ///
    /// The object is of the class, or of one that conforms to the protocol, and is not nil unless
    /// the method was declared `unchecked`.
    unsafe fn from_object(object: Object) -> Self;

    /// The pointer to the object.
    fn as_raw(&self) -> Id;

    // The hooks of `ClassState`, which `metal_class!` forwards to the state.

    #[doc(hidden)]
    #[inline(always)]
    fn report_to(&self, to: &mut ArgumentSink<'_>) {
        let _ = to;
    }

    #[doc(hidden)]
    #[inline(always)]
    fn sending<A: Arguments>(&self, message_use: MessageUse, arguments: &A) {
        let _ = (message_use, arguments);
    }

    #[doc(hidden)]
    #[inline(always)]
    fn sent(&self, message_use: MessageUse) {
        let _ = message_use;
    }

    #[doc(hidden)]
    #[inline(always)]
    fn tracker(&self) -> Option<&Arc<Tracker>> {
        None
    }

    #[doc(hidden)]
    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        let _ = parent;
    }
}

/// The value that a wrapper has beside its pointer: `metal_class!`'s `state`.
///
/// ```
/// use aruminium::metal_class;
/// use aruminium::objc::{ClassState, Object};
///
/// /// Counts requests.
/// #[derive(Default)]
/// struct Requests(std::cell::Cell<u32>);
/// impl ClassState for Requests {
///     fn attach(_: &Object) -> Self {
///         Self::default()
///     }
/// }
///
/// metal_class! {
///     /// A device that counts requests.
///     pub class Device: MTLDevice, state Requests;
///     fn name() -> String = [name];
/// }
/// impl Device {
///     fn ask(&self) -> (String, u32) {
///         self.state.0.set(self.state.0.get() + 1);
///         (self.name(), self.state.0.get())
///     }
/// }
/// // SAFETY: the pointer is a device, and is retained for the new wrapper.
/// let device = unsafe { Device::from_raw(aruminium::ffi::retain(aruminium::Gpu::open()?.as_raw())) }.unwrap();
/// device.ask();
/// assert_eq!(device.ask().1, 2);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub trait ClassState {
    /// Made when an object is wrapped.
    fn attach(object: &Object) -> Self;

    /// Called when the wrapper is dropped, before the object is released.
    fn detach(&mut self, object: &Object) {
        let _ = object;
    }

    /// Called when the wrapper is an argument of a message to an encoder or a command buffer.
    #[doc(hidden)]
    #[inline(always)]
    fn report_to(&self, object: &Object, to: &mut ArgumentSink<'_>) {
        let _ = (object, to);
    }

    /// Called when a message is about to be sent; `arguments` passes its arguments to a visitor.
    #[doc(hidden)]
    #[inline(always)]
    fn sending(
        &self,
        object: &Object,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        let _ = (object, message_use, arguments);
    }

    /// Called when the message was sent.
    #[doc(hidden)]
    #[inline(always)]
    fn sent(&self, object: &Object, message_use: MessageUse) {
        let _ = (object, message_use);
    }

    /// The tracker that records the uses of a command buffer.
    #[doc(hidden)]
    #[inline(always)]
    fn tracker(&self) -> Option<&Arc<Tracker>> {
        None
    }

    /// Called when a method has returned the wrapper, with the tracker of the method's object.
    #[doc(hidden)]
    #[inline(always)]
    fn begin<'a>(&self, tracker: impl FnOnce() -> Option<&'a Arc<Tracker>>) {
        let _ = tracker;
    }
}

impl ClassState for () {
    #[inline(always)]
    fn attach(_: &Object) {}
}

/// A value that a message can be sent to.
///
/// # Safety
///
/// `receiver` returns nil or a live object, as far as the caller of an `unsafe` message can know.
///
/// ```
/// use aruminium::{foundation::NSString, msg, objc::Receiver};
/// fn length(string: &impl Receiver) -> usize {
///     // SAFETY: whatever is passed here is a string.
///     unsafe { msg!(string, [length] -> usize) }
/// }
/// assert_eq!(length(&NSString::from("metal")), 5);
/// assert_eq!(length(&aruminium::abi::Id::NIL), 0);
/// ```
pub unsafe trait Receiver {
    /// Whether the value keeps its reference count when the message consumes one.
    const KEEPS: bool = true;

    /// The object that receives.
    fn receiver(&self) -> Id;
}

// SAFETY: the caller of the message promises that the pointer is valid.
unsafe impl Receiver for Id {
    const KEEPS: bool = false;

    #[inline(always)]
    fn receiver(&self) -> Id {
        *self
    }
}

// SAFETY: as above.
unsafe impl Receiver for Class {
    const KEEPS: bool = false;

    #[inline(always)]
    fn receiver(&self) -> Id {
        self.as_id()
    }
}

// SAFETY: the constructors promise nil or a live object.
unsafe impl Receiver for Object {
    #[inline(always)]
    fn receiver(&self) -> Id {
        self.id
    }
}

// SAFETY: as for what is referred to.
unsafe impl<T: Receiver + ?Sized> Receiver for &T {
    const KEEPS: bool = T::KEEPS;

    #[inline(always)]
    fn receiver(&self) -> Id {
        (**self).receiver()
    }
}

/// Whether a receiver keeps its reference count when a message consumes one.
#[doc(hidden)]
pub const fn keeps<T: Receiver + ?Sized>(_: &T) -> bool {
    T::KEEPS
}
