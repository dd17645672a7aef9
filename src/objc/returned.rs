//! Converts a C function's return value to the return type of a declared method.

use super::error::MessageError;
use super::link;
use super::object::{ObjcClass, Object};
use super::reflect::Nullability;
use super::send::Call;
use super::string;
use crate::abi::{Bool, Encode, Family, Id, MTLSize};

/// The owner of an object that a method returns, and what the caller does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The caller owns it: the method is of a family that returns +1.
    Owned,
    /// Another owner has it; the caller retains it.
    Retained,
    /// Another owner has it, and the caller does not retain it.
    Autoreleased,
}

impl Ownership {
    /// The ownership by the selector's family, unless the declaration leaves the object autoreleased.
    pub const fn of(selector: &str, autoreleased: bool) -> Self {
        if Family::of(selector).returns_owned() {
            assert!(
                !autoreleased,
                "a method of this family returns an object that the caller owns"
            );
            Self::Owned
        } else if autoreleased {
            Self::Autoreleased
        } else {
            Self::Retained
        }
    }
}

/// Whether a method consumes a reference count of its receiver.
#[doc(hidden)]
pub const fn consumes(selector: &str) -> bool {
    matches!(Family::of(selector), Family::Init)
}

/// The facts about a call that was made.
#[derive(Debug)]
pub struct Sent {
    /// The method, as in `-[MTLDevice newCommandQueue]`.
    pub(super) method: &'static str,
    ownership: Ownership,
    /// The error that the call stored.
    pub(super) error: Id,
}

impl Sent {
    #[inline(always)]
    pub(super) fn new(call: Call, error: Id) -> Self {
        Self { method: call.method, ownership: call.ownership, error }
    }

    /// The returned object, which [`own`] has handled already.
    #[inline(always)]
    unsafe fn object(&self, id: Id) -> Object {
        // SAFETY: the object is nil or alive. Unless it was left to a pool, the caller owns a
        // count of it by now.
        unsafe {
            match self.ownership {
                Ownership::Owned | Ownership::Retained => Object::owned(id),
                Ownership::Autoreleased => Object::borrowed(id),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn nil(&self) -> ! {
        panic!(
            "{} returned nil, but it is declared to return an object: declare an `Option` or a `Result`",
            self.method
        )
    }
}

/// Makes the caller an owner of an object that a call has just returned, unless the object stays in a pool.
///
/// This comes directly after the call: a callee that detects it hands the object over without a pool.
#[inline(always)]
unsafe fn own(id: Id, ownership: Ownership) -> Id {
    match ownership {
        Ownership::Owned => id,
        Ownership::Retained => {
            #[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
            let mut pointer = id.as_ptr();
            // This no-op after the call is how arm64 callees recognise such a caller. It takes the
            // returned pointer through its register, so that nothing comes in between.
            #[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
            // SAFETY: it moves a register to itself.
            unsafe {
                std::arch::asm!("mov x29, x29", inlateout("x0") pointer, options(nomem, nostack, preserves_flags));
            }
            #[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
            let id = Id::from_ptr(pointer);
            // SAFETY: the object is nil or alive.
            unsafe { link::objc_retainAutoreleasedReturnValue(id) }
        }
        Ownership::Autoreleased => {
            link::leave_in_pool(id);
            id
        }
    }
}

/// A Rust type that a declared method can return.
///
/// ```
/// use aruminium::{foundation::NSString, msg};
/// let text = NSString::from("one,two");
/// // SAFETY: these are `NSString`'s methods, with these types.
/// unsafe {
///     assert_eq!(msg!(text, [length] -> usize), 7);
///     assert_eq!(msg!(text, [uppercaseString] -> String), "ONE,TWO");
///     assert!(msg!(text, [copy] -> Option<NSString>).is_some());
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a message: it has no Objective-C encoding",
    label = "not a return type",
    note = "return types are integers, floats, `bool`, `String`, `(usize, usize, usize)`, wrapped \
            classes, `Option` and `Result` of objects, and C types declared with `c_type!`"
)]
///
/// # Safety
///
/// `Raw` is the C function's return type, and `from_raw` makes a value of it that is sound to use.
pub unsafe trait Return: Sized {
    /// The C function's return type.
    type Raw: Encode;
    /// Whether a trailing `error:` of the selector is caught rather than declared.
    const CATCHES: bool = false;
    /// Whether the declaration allows nil.
    const NULLABILITY: Nullability = Nullability::NonNull;

    /// Handles the ownership of the returned value, directly after the call.
    ///
    /// # Safety
    ///
    /// `raw` was just returned by a call of this ownership.
    #[inline(always)]
    unsafe fn take(raw: Self::Raw, ownership: Ownership) -> Self::Raw {
        let _ = ownership;
        raw
    }

    /// Converts the returned value, after [`take`](Self::take).
    ///
    /// # Safety
    ///
    /// `raw` was returned by the call that `sent` describes.
    unsafe fn from_raw(raw: Self::Raw, sent: Sent) -> Self;

    /// Called with the wrapper whose method returned the value.
    #[doc(hidden)]
    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        let _ = parent;
    }
}

/// A Rust type that can stand in the `Ok` of a declared `Result`.
///
/// ```
/// use aruminium::{Gpu, ShaderLib, metal_class, objc::MessageError};
/// metal_class! {
///     /// A device.
///     pub class Device: MTLDevice;
///     /// Nil is a failure where the declaration says `Result`.
///     pub fn default_library() -> Result<ShaderLib, MessageError> = [newDefaultLibrary];
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a message cannot fail to return `{Self}`",
    note = "`Option` and `Result` of a declared method hold a wrapped class, `String`, or `()` for \
            a method that returns `BOOL`"
)]
///
/// # Safety
///
/// As for [`Return`].
pub unsafe trait Success: Sized {
    /// The C function's return type.
    type Raw: Encode;

    /// As [`Return::take`].
    ///
    /// # Safety
    ///
    /// As for [`Return::take`].
    #[inline(always)]
    unsafe fn take(raw: Self::Raw, ownership: Ownership) -> Self::Raw {
        let _ = ownership;
        raw
    }

    /// The value, or `None` if the method reports failure.
    ///
    /// # Safety
    ///
    /// As for [`Return::from_raw`].
    unsafe fn success(raw: Self::Raw, sent: &Sent) -> Option<Self>;

    /// As [`Return::begin`].
    #[doc(hidden)]
    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        let _ = parent;
    }
}

/// The two types of a declared `Result`.
///
/// ```
/// use aruminium::{GpuError, Queue, objc::Fallible};
/// fn is_the_same(queue: Queue) -> <Result<Queue, GpuError> as Fallible>::Ok {
///     queue
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`or` and `else` say which error a failure becomes, but `{Self}` has no error",
    label = "not a `Result`",
    note = "declare the method to return `Result<…, …>`"
)]
pub trait Fallible {
    /// The result of a success.
    type Ok: Success;
    /// The result of a failure.
    type Err;
}

impl<T: Success, E> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
}

// SAFETY: an object comes back as its pointer, and is wrapped as the declaration says.
unsafe impl<T: ObjcClass> Success for T {
    type Raw = Id;

    #[inline(always)]
    unsafe fn take(raw: Id, ownership: Ownership) -> Id {
        // SAFETY: passed on to the caller.
        unsafe { own(raw, ownership) }
    }

    #[inline(always)]
    unsafe fn success(raw: Id, sent: &Sent) -> Option<Self> {
        // SAFETY: passed on to the caller; the object is of the class that the declaration names.
        (!raw.is_nil()).then(|| unsafe { T::from_object(sent.object(raw)) })
    }

    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        <T as ObjcClass>::begin(self, parent);
    }
}

// SAFETY: an object comes back as its pointer, and is wrapped as the declaration says.
unsafe impl Success for Object {
    type Raw = Id;

    #[inline(always)]
    unsafe fn take(raw: Id, ownership: Ownership) -> Id {
        // SAFETY: passed on to the caller.
        unsafe { own(raw, ownership) }
    }

    #[inline(always)]
    unsafe fn success(raw: Id, sent: &Sent) -> Option<Self> {
        // SAFETY: passed on to the caller.
        (!raw.is_nil()).then(|| unsafe { sent.object(raw) })
    }
}

// SAFETY: an object comes back as its pointer, and is wrapped as the declaration says.
unsafe impl Success for String {
    type Raw = Id;

    #[inline(always)]
    unsafe fn take(raw: Id, ownership: Ownership) -> Id {
        // SAFETY: passed on to the caller.
        unsafe { own(raw, ownership) }
    }

    #[inline]
    unsafe fn success(raw: Id, sent: &Sent) -> Option<Self> {
        // SAFETY: passed on to the caller; the declaration says that the object is an `NSString`.
        (!raw.is_nil()).then(|| unsafe { string::read(sent.object(raw).as_raw()) })
    }
}

// SAFETY: a method that only succeeds or fails returns a `BOOL`.
unsafe impl Success for () {
    type Raw = Bool;

    #[inline(always)]
    unsafe fn success(raw: Bool, _: &Sent) -> Option<Self> {
        raw.get().then_some(())
    }
}

// SAFETY: as for what it holds.
unsafe impl<T: ObjcClass> Return for T {
    type Raw = Id;

    #[inline(always)]
    unsafe fn take(raw: Self::Raw, ownership: Ownership) -> Self::Raw {
        // SAFETY: passed on to the caller.
        unsafe { <T as Success>::take(raw, ownership) }
    }

    #[inline(always)]
    unsafe fn from_raw(raw: Id, sent: Sent) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { T::success(raw, &sent) }.unwrap_or_else(|| sent.nil())
    }

    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        <T as ObjcClass>::begin(self, parent);
    }
}

// SAFETY: as for what it holds.
unsafe impl<T: Success> Return for Option<T> {
    type Raw = T::Raw;
    const NULLABILITY: Nullability = Nullability::Nullable;

    #[inline(always)]
    unsafe fn take(raw: Self::Raw, ownership: Ownership) -> Self::Raw {
        // SAFETY: passed on to the caller.
        unsafe { <T as Success>::take(raw, ownership) }
    }

    #[inline(always)]
    unsafe fn from_raw(raw: T::Raw, sent: Sent) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { T::success(raw, &sent) }
    }

    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        self.iter().for_each(|value| value.begin(parent));
    }
}

// SAFETY: as for what it holds.
unsafe impl<T: Success, E: From<MessageError>> Return for Result<T, E> {
    type Raw = T::Raw;
    const CATCHES: bool = true;
    const NULLABILITY: Nullability = Nullability::Nullable;

    #[inline(always)]
    unsafe fn take(raw: Self::Raw, ownership: Ownership) -> Self::Raw {
        // SAFETY: passed on to the caller.
        unsafe { <T as Success>::take(raw, ownership) }
    }

    #[inline(always)]
    unsafe fn from_raw(raw: T::Raw, sent: Sent) -> Self {
        // SAFETY: passed on to the caller; a method that failed has stored an `NSError` or nothing.
        unsafe { T::success(raw, &sent).ok_or_else(|| MessageError::of(&sent).into()) }
    }

    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        self.iter().for_each(|value| value.begin(parent));
    }
}

/// An object that is wrapped without a check for nil; messages to nil return zero.
#[doc(hidden)]
#[derive(Debug)]
pub struct Unchecked<T>(pub T);

// SAFETY: as for what it holds.
unsafe impl<T: ObjcClass> Return for Unchecked<T> {
    type Raw = Id;
    const NULLABILITY: Nullability = Nullability::Nullable;

    #[inline(always)]
    unsafe fn take(raw: Self::Raw, ownership: Ownership) -> Self::Raw {
        // SAFETY: passed on to the caller.
        unsafe { <T as Success>::take(raw, ownership) }
    }

    #[inline(always)]
    unsafe fn from_raw(raw: Id, sent: Sent) -> Self {
        // SAFETY: passed on to the caller; the method was declared `unchecked`.
        Self(unsafe { T::from_object(sent.object(raw)) })
    }

    #[inline(always)]
    fn begin<P: ObjcClass>(&self, parent: &P) {
        self.0.begin(parent);
    }
}

/// Implements [`Return`] for types made from one C value.
macro_rules! returned {
    ($($ty:ty as $raw:ty = |$value:ident| $convert:expr;)+) => {$(
        // SAFETY: the value is made from the C value that the entry names.
        unsafe impl Return for $ty {
            type Raw = $raw;

            #[inline(always)]
            unsafe fn from_raw($value: $raw, _: Sent) -> Self {
                $convert
            }
        }
    )+};
}

/// Implements [`Return`] for C types returned as they are.
macro_rules! plain {
    ($($ty:ty),+ $(,)?) => { returned! { $($ty as $ty = |value| value;)+ } };
}

returned! {
    bool as Bool = |value| value.get();
    (usize, usize, usize) as MTLSize = |value| value.into();
}

plain!((), i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, crate::abi::Class);
plain!(
    crate::abi::Sel,
    crate::abi::Protocol,
    MTLSize,
    crate::abi::MTLOrigin,
    crate::abi::MTLResourceID
);
plain!(crate::abi::MTLRegion, crate::abi::NSRange, *const std::ffi::c_char);
plain!(*const std::ffi::c_void, *mut std::ffi::c_void, *const f32);

/// Implements [`Return`] for object types that are not classes of their own.
macro_rules! never_nil {
    ($($ty:ty),+) => {$(
        // SAFETY: as for the `Success` of the type.
        unsafe impl Return for $ty {
            type Raw = Id;

            #[inline(always)]
            unsafe fn take(raw: Id, ownership: Ownership) -> Id {
                // SAFETY: passed on to the caller.
                unsafe { own(raw, ownership) }
            }

            #[inline]
            unsafe fn from_raw(raw: Id, sent: Sent) -> Self {
                // SAFETY: passed on to the caller.
                unsafe { <$ty>::success(raw, &sent) }.unwrap_or_else(|| sent.nil())
            }
        }
    )+};
}

never_nil!(Object, String);

// SAFETY: the pointer as it is; the caller manages the object's ownership.
unsafe impl Return for Id {
    type Raw = Id;

    #[inline(always)]
    unsafe fn take(raw: Id, ownership: Ownership) -> Id {
        if ownership != Ownership::Owned {
            link::leave_in_pool(raw);
        }
        raw
    }

    #[inline(always)]
    unsafe fn from_raw(raw: Id, _: Sent) -> Id {
        raw
    }
}
