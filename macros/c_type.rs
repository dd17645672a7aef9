//! `c_type!`: C types that messages can carry.

/// Lets messages carry C types by value: structs, and enumerations as their integer.
///
/// ```
/// use aruminium::c_type;
///
/// /// The position of a sample inside a pixel.
/// #[repr(C)]
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// pub struct SamplePosition {
///     x: f32,
///     y: f32,
/// }
///
/// // SAFETY: the struct is `repr(C)`, has these two fields, and zero is a value of it.
/// c_type! { unsafe SamplePosition = "{?=ff}"; }
/// ```
///
/// The encoding is Objective-C's. `unsafe` promises what
/// [`Encode`](crate::abi::Encode) requires: that it describes the type correctly.
#[macro_export]
macro_rules! c_type {
    ($(unsafe $ty:ty = $encoding:expr;)+) => {$(
        // SAFETY: the caller of the macro says so.
        unsafe impl $crate::abi::Encode for $ty {
            const ENCODING: &'static str = $encoding;
        }

        // SAFETY: as above.
        unsafe impl $crate::objc::Argument for $ty {
            type Held = $ty;
            type Onto<__List: $crate::objc::ArgList> = __List::Push<$ty>;
            const ENCODINGS: &'static [&'static str] = &[$encoding];

            #[inline(always)]
            fn hold(self) -> $ty {
                self
            }

            #[inline(always)]
            fn place<__List: $crate::objc::ArgList>(held: &$ty, list: __List) -> Self::Onto<__List> {
                list.push(*held)
            }
        }

        // SAFETY: as above.
        unsafe impl $crate::objc::Return for $ty {
            type Raw = $ty;

            #[inline(always)]
            unsafe fn from_raw(raw: $ty, _: $crate::objc::Sent) -> $ty {
                raw
            }
        }
    )+};
}
