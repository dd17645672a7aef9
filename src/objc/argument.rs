//! Converts the declared arguments of a method to the words that its C function takes.
//!
//! An [`Argument`] becomes zero, one or two words, that is, C arguments: `&[u8]` is a pointer and a
//! length, an `error:` is the address of a slot. [`Arguments`] collects the words of a whole call in an
//! [`ArgList`], whose type determines the type of the C function. All of this happens at compile time
//! and costs nothing at run time.

use super::block::{Block, BlockPtr};
use super::object::{ObjcClass, Object};
use super::returned::Return;
use super::selector::CachedSelector;
use super::string;
use super::tracking::ArgumentSink;
use super::variant::messenger;
use crate::abi::{Bool, Encode, Id, Imp, MTLOrigin, MTLSize, Sel};
use std::cell::Cell;
use std::ffi::c_void;

/// A Rust type that a declared method can take.
///
/// ```
/// use aruminium::{msg, foundation::NSString};
/// let text = NSString::from("metal");
/// // A `&str` becomes an `NSString`, a reference to a wrapper the pointer of its object.
/// // SAFETY: these are `NSString`'s methods, with these types.
/// unsafe {
///     assert!(msg!(text, [hasSuffix: "tal"] -> bool));
///     assert!(msg!(text, [isEqualToString: &text] -> bool));
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed in a message: it has no Objective-C encoding",
    label = "not an argument type",
    note = "arguments are integers, floats, `bool`, `&str`, `&[u8]`, `(usize, usize, usize)`, \
            references to wrapped classes, their `Option`s, and C types declared with `c_type!`"
)]
///
/// # Safety
///
/// The words have the types that the encodings say, and are valid while `Held` lives.
pub unsafe trait Argument: Sized {
    /// The value that lives until the call has returned.
    type Held;
    /// The list with this argument's words appended.
    type Onto<List: ArgList>: ArgList;
    /// The encodings of this argument's words.
    const ENCODINGS: &'static [&'static str];
    /// Whether a word is a raw pointer, whose validity only the caller can know.
    const RAW: bool = false;

    /// Turns the argument into what the call keeps alive.
    fn hold(self) -> Self::Held;
    /// Appends the argument's words.
    fn place<List: ArgList>(held: &Self::Held, list: List) -> Self::Onto<List>;
    /// Shows the argument to the encoder or command buffer that it is passed to.
    #[doc(hidden)]
    #[inline(always)]
    fn report(&self, to: &mut ArgumentSink<'_>) {
        to.other();
    }
    /// Whether this is the slot of an `error:`.
    const CATCHES: bool = false;

    /// The error that the call stored, for the argument that catches it.
    #[inline(always)]
    fn caught(_: &Self::Held) -> Id {
        Id::NIL
    }
}

/// The C arguments of a method after the receiver and the selector.
///
/// # Safety
///
/// `Fn` takes a receiver, a selector and these words, and the functions do what their documentation says.
pub unsafe trait ArgList: Copy {
    /// The C function that takes these words.
    type Fn<R: Encode>: Copy;
    /// This list with one more word at its end.
    type Push<T: Encode>: ArgList;

    /// Appends a word.
    fn push<T: Encode>(self, word: T) -> Self::Push<T>;
    /// Casts a method's function to its type.
    ///
    /// # Safety
    ///
    /// The function takes a receiver, a selector and these words, and returns an `R`.
    unsafe fn typed<R: Encode>(imp: Imp) -> Self::Fn<R>;
    /// Calls a method's function.
    ///
    /// # Safety
    ///
    /// The method's own requirements are met.
    unsafe fn call<R: Encode>(self, function: Self::Fn<R>, receiver: Id, selector: Sel) -> R;
    /// The function to call instead of the messenger for the first message of a selector that is not
    /// registered yet: instead of the selector it takes the address of the [`CachedSelector`].
    ///
    /// It has the method's own type, so that later messages need no stack space for this case.
    fn first<R: Encode>() -> Self::Fn<R>;
}

macro_rules! arg_list {
    ([$($word:ident)*] push [$($next:ty)?]) => {
        // SAFETY: the tuple has these words.
        unsafe impl<$($word: Encode),*> ArgList for ($($word,)*) {
            type Fn<Ret: Encode> = unsafe extern "C" fn(Id, Sel, $($word),*) -> Ret;
            type Push<Z: Encode> = arg_list!(@push [$($word)*] [$($next)?]);

            #[inline(always)]
            #[allow(non_snake_case, unused_variables)] // One body for every length.
            fn push<Z: Encode>(self, z: Z) -> Self::Push<Z> {
                let ($($word,)*) = self;
                arg_list!(@value [$($word)*] z [$($next)?])
            }

            #[inline(always)]
            unsafe fn typed<Ret: Encode>(imp: Imp) -> Self::Fn<Ret> {
                // SAFETY: both are function pointers; the caller promises that the type is right.
                unsafe { std::mem::transmute::<Imp, Self::Fn<Ret>>(imp) }
            }

            #[inline(always)]
            #[allow(non_snake_case)] // As above.
            unsafe fn call<Ret: Encode>(self, function: Self::Fn<Ret>, receiver: Id, selector: Sel) -> Ret {
                let ($($word,)*) = self;
                // SAFETY: passed on to the caller.
                unsafe { function(receiver, selector, $($word),*) }
            }

            fn first<Ret: Encode>() -> Self::Fn<Ret> {
                #[cold]
                #[inline(never)]
                #[allow(non_snake_case)] // As above.
                unsafe extern "C" fn first<Ret: Encode, $($word: Encode),*>(
                    receiver: Id,
                    cached: Sel,
                    $($word: $word),*
                ) -> Ret {
                    // SAFETY: the caller passes the address of a static `CachedSelector`, and the
                    // other arguments as the method requires.
                    unsafe {
                        let selector = (*cached.as_ptr().cast::<CachedSelector>()).get();
                        let words = ($($word,)*);
                        let function = <($($word,)*) as ArgList>::typed::<Ret>(messenger::<Ret>());
                        words.call(function, receiver, selector)
                    }
                }
                first::<Ret, $($word),*>
            }
        }
    };
    (@push [$($word:ident)*] [$next:ty]) => { ($($word,)* Z,) };
    (@push [$($word:ident)*] []) => { Self };
    (@value [$($word:ident)*] $z:ident [$next:ty]) => { ($($word,)* $z,) };
    (@value [$($word:ident)*] $z:ident []) => {
        const { panic!("a message takes at most 12 words of arguments") }
    };
}

arg_list!([] push [Z]);
arg_list!([A] push [Z]);
arg_list!([A B] push [Z]);
arg_list!([A B C] push [Z]);
arg_list!([A B C D] push [Z]);
arg_list!([A B C D E] push [Z]);
arg_list!([A B C D E F] push [Z]);
arg_list!([A B C D E F G] push [Z]);
arg_list!([A B C D E F G H] push [Z]);
arg_list!([A B C D E F G H I] push [Z]);
arg_list!([A B C D E F G H I J] push [Z]);
arg_list!([A B C D E F G H I J K] push [Z]);
arg_list!([A B C D E F G H I J K L] push []);

/// The arguments of one call.
///
/// # Safety
///
/// As for [`Argument`].
///
/// ```
/// use aruminium::objc::Arguments;
/// assert_eq!(<(usize, &[u8], bool)>::ENCODINGS.concat().len(), 4);
/// ```
pub unsafe trait Arguments: Sized {
    /// The value that lives until the call has returned.
    type Held;
    /// The words of all arguments.
    type List: ArgList;
    /// The encodings of each argument's words.
    const ENCODINGS: &'static [&'static [&'static str]];
    /// Whether one of them is a raw pointer, whose validity only the caller can know.
    const RAW: bool;
    /// Whether the last one catches an error.
    const CATCHES: bool;

    /// Shows the arguments to the encoder or command buffer that they are passed to.
    #[doc(hidden)]
    fn report(&self, to: &mut ArgumentSink<'_>);
    /// Turns the arguments into what the call keeps alive.
    fn hold(self) -> Self::Held;
    /// The words.
    fn list(held: &Self::Held) -> Self::List;
    /// The error that the call stored.
    fn caught(held: &Self::Held) -> Id;
}

macro_rules! arguments {
    ($($name:ident)* ; $last:ident) => {
        // SAFETY: as for each of them.
        unsafe impl<$($name: Argument,)* $last: Argument> Arguments for ($($name,)* $last,) {
            type Held = ($($name::Held,)* $last::Held,);
            type List = arguments!(@list [()] $($name)* $last);
            const ENCODINGS: &'static [&'static [&'static str]] =
                &[$($name::ENCODINGS,)* $last::ENCODINGS];
            const RAW: bool = $($name::RAW ||)* $last::RAW;
            const CATCHES: bool = $last::CATCHES;

            #[inline(always)]
            #[allow(non_snake_case)] // One body for every length.
            fn report(&self, to: &mut ArgumentSink<'_>) {
                let ($($name,)* $last,) = self;
                $($name.report(to);)*
                $last.report(to);
            }

            #[inline(always)]
            #[allow(non_snake_case)] // As above.
            fn hold(self) -> Self::Held {
                let ($($name,)* $last,) = self;
                ($($name.hold(),)* $last.hold(),)
            }

            #[inline(always)]
            #[allow(non_snake_case)] // As above.
            fn list(held: &Self::Held) -> Self::List {
                let ($($name,)* $last,) = held;
                let list = ();
                $(let list = <$name as Argument>::place($name, list);)*
                <$last as Argument>::place($last, list)
            }

            #[inline(always)]
            #[allow(non_snake_case, unused_variables)] // As above.
            fn caught(held: &Self::Held) -> Id {
                let ($($name,)* $last,) = held;
                <$last as Argument>::caught($last)
            }
        }
    };
    (@list [$list:ty]) => { $list };
    (@list [$list:ty] $head:ident $($tail:ident)*) => {
        arguments!(@list [<$head as Argument>::Onto<$list>] $($tail)*)
    };
}

arguments!(; Z);
arguments!(A ; Z);
arguments!(A B ; Z);
arguments!(A B C ; Z);
arguments!(A B C D ; Z);
arguments!(A B C D E ; Z);
arguments!(A B C D E F ; Z);
arguments!(A B C D E F G ; Z);
arguments!(A B C D E F G H ; Z);
arguments!(A B C D E F G H I ; Z);
arguments!(A B C D E F G H I J ; Z);
arguments!(A B C D E F G H I J K ; Z);
arguments!(A B C D E F G H I J K L ; Z);

/// Implements [`Argument`] for a type that becomes one word.
macro_rules! one_word {
    ($(
        [$($generics:tt)*] $ty:ty as $word:ty $(, raw $raw:literal)? = |$value:ident| $convert:expr
            $(, report |$value_of:ident, $to:ident| $report:expr)?;
    )+) => {$(
        // SAFETY: the macro's row names the word's type, and a reference outlives the call.
        unsafe impl<$($generics)*> Argument for $ty {
            $(const RAW: bool = $raw;)?
            type Held = $word;
            type Onto<List: ArgList> = List::Push<$word>;
            const ENCODINGS: &'static [&'static str] = &[<$word as Encode>::ENCODING];

            $(
                #[inline(always)]
                fn report(&self, $to: &mut ArgumentSink<'_>) {
                    let $value_of = self;
                    $report
                }
            )?

            #[inline(always)]
            fn hold(self) -> $word {
                let $value = self;
                $convert
            }

            #[inline(always)]
            fn place<List: ArgList>(held: &$word, list: List) -> Self::Onto<List> {
                list.push(*held)
            }
        }
    )+};
}

one_word! {
    [] bool as Bool = |value| Bool::new(value);
    [] (usize, usize, usize) as MTLSize = |value| MTLSize::from(value);
    ['a, T: ObjcClass] &'a T as Id = |value| value.as_raw(), report |value, to| value.report_to(to);
    ['a, T: ObjcClass] Option<&'a T> as Id = |value| value.map_or(Id::NIL, T::as_raw),
        report |value, to| value.iter().for_each(|value| value.report_to(to));
    ['a] &'a Object as Id = |value| value.as_raw();
    ['a, A, R] &'a Block<A, R> as BlockPtr = |value| value.as_ptr();
}

/// Implements [`Argument`] for a type that becomes a pointer and a count.
macro_rules! pointer_and_count {
    ($(
        [$($generics:tt)*] $ty:ty as $held:ty, $pointer:ty $(, raw $raw:literal)? = |$value:ident| $convert:expr
            $(, report |$value_of:ident, $to:ident| $report:expr)?;
    )+) => {$(
        // SAFETY: the words are the start and the length of what `Held` holds.
        unsafe impl<$($generics)*> Argument for $ty {
            $(const RAW: bool = $raw;)?
            type Held = $held;
            type Onto<List: ArgList> = <List::Push<$pointer> as ArgList>::Push<usize>;
            const ENCODINGS: &'static [&'static str] =
                &[<$pointer as Encode>::ENCODING, <usize as Encode>::ENCODING];

            $(
                #[inline(always)]
                fn report(&self, $to: &mut ArgumentSink<'_>) {
                    let $value_of = self;
                    $report
                }
            )?

            #[inline(always)]
            fn hold(self) -> $held {
                let $value = self;
                $convert
            }

            #[inline(always)]
            fn place<List: ArgList>(held: &$held, list: List) -> Self::Onto<List> {
                list.push(held.as_ptr() as $pointer).push(held.len())
            }
        }
    )+};
}

pointer_and_count! {
    ['a] &'a [u8] as &'a [u8], *const c_void = |value| value;
    ['a] &'a [Id] as &'a [Id], *const Id, raw true = |value| value;
    ['a, 'b, T: ObjcClass] &'a [&'b T] as Vec<Id>, *const Id =
        |value| value.iter().map(|object| object.as_raw()).collect(),
        report |value, to| value.iter().for_each(|value| value.report_to(to));
}

/// Implements [`Argument`] for a text, which becomes an `NSString` for the time of the call.
macro_rules! text {
    ($($ty:ty = |$value:ident| $convert:expr;)+) => {$(
        // SAFETY: the word is the string that `Held` owns.
        unsafe impl Argument for $ty {
            type Held = Object;
            type Onto<List: ArgList> = List::Push<Id>;
            const ENCODINGS: &'static [&'static str] = &[<Id as Encode>::ENCODING];

            #[inline]
            fn hold(self) -> Object {
                let $value = self;
                $convert
            }

            #[inline(always)]
            fn place<List: ArgList>(held: &Object, list: List) -> Self::Onto<List> {
                list.push(held.as_raw())
            }
        }
    )+};
}

text! {
    &str = |value| string::new(value);
    // SAFETY: nil needs no owner.
    Option<&str> = |value| value.map_or(unsafe { Object::borrowed(Id::NIL) }, string::new);
}

/// Whether a method that returns an `R` catches the selector's trailing `error:`.
#[doc(hidden)]
pub const fn catches<R: Return>(selector: &str) -> bool {
    const ERROR: &[u8] = b"error:";
    let text = selector.as_bytes();
    if !R::CATCHES || text.len() < ERROR.len() {
        return false;
    }
    let (head, tail) = text.split_at(text.len() - ERROR.len());
    let mut i = 0;
    while i < ERROR.len() && tail[i] == ERROR[i] {
        i += 1;
    }
    i == ERROR.len() && (head.is_empty() || head[head.len() - 1] == b':')
}

/// The end of a call's arguments: the slot of a trailing `error:`, or nothing.
#[derive(Debug)]
pub struct Trailing<const CATCHES: bool>(());

impl<const CATCHES: bool> Trailing<CATCHES> {
    /// The only value.
    #[doc(hidden)]
    pub const NEW: Self = Self(());
}

// SAFETY: there is no word.
unsafe impl Argument for Trailing<false> {
    type Held = ();
    type Onto<List: ArgList> = List;
    const ENCODINGS: &'static [&'static str] = &[];

    #[inline(always)]
    fn report(&self, _: &mut ArgumentSink<'_>) {}

    #[inline(always)]
    fn hold(self) {}

    #[inline(always)]
    fn place<List: ArgList>(_: &(), list: List) -> List {
        list
    }
}

// SAFETY: the word is the address of the slot that `Held` is.
unsafe impl Argument for Trailing<true> {
    const CATCHES: bool = true;
    type Held = Cell<Id>;
    type Onto<List: ArgList> = List::Push<*mut Id>;
    const ENCODINGS: &'static [&'static str] = &[<*mut Id as Encode>::ENCODING];

    #[inline(always)]
    fn hold(self) -> Cell<Id> {
        Cell::new(Id::NIL)
    }

    #[inline(always)]
    fn place<List: ArgList>(held: &Cell<Id>, list: List) -> Self::Onto<List> {
        list.push(held.as_ptr())
    }

    #[inline(always)]
    fn caught(held: &Cell<Id>) -> Id {
        held.get()
    }
}

/// Arguments by value: every plain C type is one word. The first list is of integers, which may be the
/// index of a buffer; the last is of pointers, which a method that is safe to call does not take.
macro_rules! plain {
    (integer $($int:ty),+ $(,)?; $($ty:ty),+ $(,)?; raw $($raw:ty),+ $(,)?) => {
        one_word! {
            $([] $int as $int = |value| value, report |value, to| to.number(usize::try_from(*value).ok());)+
            $([] $ty as $ty = |value| value;)+
            $([] $raw as $raw, raw true = |value| value;)+
        }
    };
}

plain! {
    integer i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    f32, f64, crate::abi::Class, Sel, crate::abi::Protocol,
    MTLSize, MTLOrigin, crate::abi::MTLRegion, crate::abi::NSRange, crate::abi::MTLResourceID;
    raw Id, BlockPtr, *const c_void, *mut c_void, *const std::ffi::c_char, *const Id, *mut Id,
    *const usize, *const isize, *const u16, *mut u16, *const f32,
}
