//! From what a C function returns to the Rust type a method is declared with.

use super::error::MessageError;
use super::link;
use super::object::{ObjcClass, Object};
use super::reflect::Nullability;
use super::send::Call;
use super::string;
use crate::abi::{Bool, Encode, Family, Id, MTLSize};

/// Who owns an object that a method returns, and what the caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The caller owns it: the method is of a family that returns +1.
    Owned,
    /// Somebody else does; the caller retains it.
    Retained,
    /// Somebody else does, and the caller leaves it at that.
    Autoreleased,
}

impl Ownership {
    /// What the selector's family says, unless the declaration leaves the object autoreleased.
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

/// What is known of a call after it was made.
#[derive(Debug)]
pub struct Sent {
    /// The method, as in `-[MTLDevice newCommandQueue]`.
    pub(super) method: &'static str,
    ownership: Ownership,
    /// The error that the call left behind.
    pub(super) error: Id,
}

impl Sent {
    #[inline(always)]
    pub(super) fn new(call: Call, error: Id) -> Self {
        Self { method: call.method, ownership: call.ownership, error }
    }

    /// The returned object, owned as the declaration says.
    #[inline(always)]
    unsafe fn object(&self, id: Id) -> Object {
        // SAFETY: the method returned nil or a live object: with a count for the caller, or kept
        // by another owner for long enough to be retained, or until the caller's pool is drained.
        unsafe {
            match self.ownership {
                Ownership::Owned => Object::owned(id),
                Ownership::Retained => Object::owned(claim(id)),
                Ownership::Autoreleased => Object::borrowed(id),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn nil(&self) -> ! {
        panic!("{} answered nil, which its declaration rules out", self.method)
    }
}

/// Retains an object that a call has just returned. Where the callee sees this coming, the object
/// is handed over and never enters a pool.
#[inline(always)]
unsafe fn claim(id: Id) -> Id {
    // This no-op after the call is how arm64 callees recognise a caller that will retain.
    #[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
    // SAFETY: it moves a register to itself.
    unsafe {
        std::arch::asm!("mov x29, x29", options(nomem, nostack, preserves_flags));
    }
    // SAFETY: the object is nil or alive.
    unsafe { link::objc_retainAutoreleasedReturnValue(id) }
}

/// A Rust type that a declared method can return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a message: it has no Objective-C encoding",
    label = "not a return type",
    note = "return types are integers, floats, `bool`, `String`, `(usize, usize, usize)`, wrapped \
            classes, `Option` and `Result` of objects, and C types declared with `c_type!`"
)]
pub trait Return: Sized {
    /// What the C function returns.
    type Raw: Encode;
    /// Whether a trailing `error:` of the selector is caught rather than declared.
    const CATCHES: bool = false;
    /// Whether nil is among the answers that the declaration allows for.
    const NULLABILITY: Nullability = Nullability::NonNull;

    /// Converts what was returned.
    ///
    /// # Safety
    ///
    /// `raw` was returned by the call that `sent` tells of.
    unsafe fn from_raw(raw: Self::Raw, sent: Sent) -> Self;
}

/// A Rust type that can stand in the `Ok` of a declared `Result`.
#[diagnostic::on_unimplemented(
    message = "a message cannot fail to return `{Self}`",
    note = "`Option` and `Result` of a declared method hold a wrapped class, `String`, or `()` for \
            a method that returns `BOOL`"
)]
pub trait Success: Sized {
    /// What the C function returns.
    type Raw: Encode;

    /// The value, unless the method says that it failed.
    ///
    /// # Safety
    ///
    /// As for [`Return::from_raw`].
    unsafe fn success(raw: Self::Raw, sent: &Sent) -> Option<Self>;
}

/// The two types of a declared `Result`.
pub trait Fallible {
    /// What a success returns.
    type Ok: Success;
    /// What a failure returns.
    type Err;
}

impl<T: Success, E> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
}

impl<T: ObjcClass> Success for T {
    type Raw = Id;

    #[inline(always)]
    unsafe fn success(raw: Id, sent: &Sent) -> Option<Self> {
        // SAFETY: passed on to the caller; the object is of the class that the declaration names.
        (!raw.is_nil()).then(|| unsafe { T::from_object(sent.object(raw)) })
    }
}

impl Success for Object {
    type Raw = Id;

    #[inline(always)]
    unsafe fn success(raw: Id, sent: &Sent) -> Option<Self> {
        // SAFETY: passed on to the caller.
        (!raw.is_nil()).then(|| unsafe { sent.object(raw) })
    }
}

impl Success for String {
    type Raw = Id;

    #[inline]
    unsafe fn success(raw: Id, sent: &Sent) -> Option<Self> {
        // SAFETY: passed on to the caller; the declaration says that the object is an `NSString`.
        (!raw.is_nil()).then(|| unsafe { string::read(sent.object(raw).as_raw()) })
    }
}

impl Success for () {
    type Raw = Bool;

    #[inline(always)]
    unsafe fn success(raw: Bool, _: &Sent) -> Option<Self> {
        raw.get().then_some(())
    }
}

impl<T: ObjcClass> Return for T {
    type Raw = Id;

    #[inline(always)]
    unsafe fn from_raw(raw: Id, sent: Sent) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { T::success(raw, &sent) }.unwrap_or_else(|| sent.nil())
    }
}

impl<T: Success> Return for Option<T> {
    type Raw = T::Raw;
    const NULLABILITY: Nullability = Nullability::Nullable;

    #[inline(always)]
    unsafe fn from_raw(raw: T::Raw, sent: Sent) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { T::success(raw, &sent) }
    }
}

impl<T: Success, E: From<MessageError>> Return for Result<T, E> {
    type Raw = T::Raw;
    const CATCHES: bool = true;
    const NULLABILITY: Nullability = Nullability::Nullable;

    #[inline(always)]
    unsafe fn from_raw(raw: T::Raw, sent: Sent) -> Self {
        // SAFETY: passed on to the caller; a method that failed has left an `NSError` or nothing.
        unsafe { T::success(raw, &sent).ok_or_else(|| MessageError::of(&sent).into()) }
    }
}

/// An object that is wrapped without a look whether it is nil; messages to nil answer zero.
#[doc(hidden)]
#[derive(Debug)]
pub struct Unchecked<T>(pub T);

impl<T: ObjcClass> Return for Unchecked<T> {
    type Raw = Id;
    const NULLABILITY: Nullability = Nullability::Nullable;

    #[inline(always)]
    unsafe fn from_raw(raw: Id, sent: Sent) -> Self {
        // SAFETY: passed on to the caller, who asked for an unchecked method.
        Self(unsafe { T::from_object(sent.object(raw)) })
    }
}

/// Implements [`Return`] for types made from one C value.
macro_rules! returned {
    ($($ty:ty as $raw:ty = |$value:ident| $convert:expr;)+) => {$(
        impl Return for $ty {
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

plain!((), i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, Id, crate::abi::Class);
plain!(crate::abi::Sel, crate::abi::Protocol, MTLSize, crate::abi::MTLOrigin);
plain!(crate::abi::MTLRegion, crate::abi::NSRange, *const std::ffi::c_char);
plain!(*const std::ffi::c_void, *mut std::ffi::c_void, *const f32);

/// Implements [`Return`] for object types that are not classes of their own.
macro_rules! never_nil {
    ($($ty:ty),+) => {$(
        impl Return for $ty {
            type Raw = Id;

            #[inline]
            unsafe fn from_raw(raw: Id, sent: Sent) -> Self {
                // SAFETY: passed on to the caller.
                unsafe { <$ty>::success(raw, &sent) }.unwrap_or_else(|| sent.nil())
            }
        }
    )+};
}

never_nil!(Object, String);
