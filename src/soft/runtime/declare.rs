//! `soft_class!`: a class in a few lines, and a method a line.
//!
//! A class is a Rust struct, its payload, with ordinary methods; the declaration maps selectors to
//! them. The C function of a method, its conversions and its type encoding follow from the Rust
//! signature, and who owns a returned object from the selector's family.
//!
//! ```text
//! soft_class! {
//!     /// A string.
//!     pub(crate) class NSString(Text): NSObject, conforms [NSCopying];
//!     [length] = Text::length;                         // fn(&Text) -> usize
//!     [isEqualToString:] = Text::is_equal;             // fn(&Text, Option<&Object<Text>>) -> bool
//!     [uppercaseString] = Text::uppercase;             // fn(&Text) -> Strong<Text>
//!     class [availableStringEncodings] = encodings;    // fn(Class) -> *const usize
//!     make [stringWithUTF8String:] = Text::from_c;     // fn(*const c_char) -> Option<Text>
//!     init [initWithUTF8String:] = Text::from_c;       // the same, into what `alloc` made
//!     raw [initWithFormat:] = (function, types);       // a function in assembly; `raw_class` for a class method
//! }
//! ```
//!
//! The first parameter is the receiver: `&Payload`, [`This`] for the object around the payload, or
//! a raw `Id` or `Class`. `make` and `init` take no receiver and return the payload.

use super::block::{BlockRef, HeldBlock};
use super::class::{ClassData, Row};
use super::fatal::{MethodName, fatal};
use super::object::{self, Object, Retained, SoftClass, Strong};
use super::pool;
use crate::abi::{
    Bool, Class, Encode, Id, Imp, MTL4BufferRange, MTLOrigin, MTLRegion, MTLResourceID, MTLSize,
    MTLSizeAndAlign, MTLTextureSwizzleChannels, MethodEncoding, NSRange, Protocol, Sel, colons,
};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ops::Deref;

/// The message that is being handled, for error messages.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    receiver: Id,
    selector: Sel,
}

impl Call {
    /// Ends the program because of what the message passed.
    pub(crate) fn fault(self, why: std::fmt::Arguments<'_>) -> ! {
        // SAFETY: a message's receiver is an object.
        fatal(format_args!("{}: {why}", unsafe { MethodName::of(self.receiver, self.selector) }))
    }

    /// Ends the program because the receiver does not have the payload of a class.
    #[cold]
    fn wrong_receiver(self, class: &ClassData) -> ! {
        self.fault(format_args!("sent to an object that is not of class {class}"))
    }

    /// Ends the program because an argument, an object or nil, is not of a class.
    #[cold]
    fn wrong_argument(self, argument: Id, class: &ClassData) -> ! {
        if argument.is_nil() {
            self.fault(format_args!("nil was passed where {class} is needed"))
        }
        // SAFETY: it is an object.
        let passed = unsafe { object::class_of(argument) };
        self.fault(format_args!("{passed} was passed where {class} is needed"))
    }
}

/// The types of a method's first parameter.
pub(crate) trait Receiver {
    /// # Safety
    ///
    /// The receiver of the call is an object that lives until the call is over. `Self` is not used
    /// after that: a method never requires a `'static` reference.
    unsafe fn receive(call: Call) -> Self;
}

/// An object of ours as the receiver of a message, where the payload alone would not do.
pub(crate) struct This<'a, P> {
    object: &'a Object<P>,
    call: Call,
}

impl<P> Clone for This<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for This<'_, P> {}

impl<P> Deref for This<'_, P> {
    type Target = Object<P>;

    fn deref(&self) -> &Object<P> {
        self.object
    }
}

impl<P> This<'_, P> {
    /// Ends the program because of what the message passed.
    pub(crate) fn fault(&self, why: std::fmt::Arguments<'_>) -> ! {
        self.call.fault(why)
    }
}

impl<P: SoftClass> Receiver for This<'_, P> {
    unsafe fn receive(call: Call) -> Self {
        // SAFETY: the caller's.
        match unsafe { Object::from_receiver(call.receiver) } {
            Some(object) => This { object, call },
            None => call.wrong_receiver(P::class()),
        }
    }
}

impl<'a, P: SoftClass> Receiver for &'a P {
    unsafe fn receive(call: Call) -> Self {
        // SAFETY: the caller's.
        let this: This<'a, P> = unsafe { This::receive(call) };
        this.object
    }
}

impl Receiver for Id {
    unsafe fn receive(call: Call) -> Self {
        call.receiver
    }
}

impl Receiver for Class {
    unsafe fn receive(call: Call) -> Self {
        Class::from_ptr(call.receiver.as_ptr())
    }
}

/// The types of a method's further parameters.
pub(crate) trait Argument {
    /// The type that is passed.
    type Raw: Encode;
    /// # Safety
    ///
    /// An object that is passed lives until the call is over. `Self` is not used after that.
    unsafe fn take(raw: Self::Raw, call: Call) -> Self;
}

/// The types of a method's result.
pub(crate) trait Returned {
    /// The type that is passed.
    type Raw: Encode;
    /// Converts to what is returned to C. An object is returned at +1 if `owned`, else autoreleased.
    fn into_raw(self, owned: bool) -> Self::Raw;
}

/// Types that are passed as they are.
macro_rules! values {
    ($($ty:ty),+ $(,)?) => {$(
        impl $crate::soft::runtime::declare::Argument for $ty {
            type Raw = $ty;
            unsafe fn take(raw: $ty, _: $crate::soft::runtime::declare::Call) -> $ty {
                raw
            }
        }
        impl $crate::soft::runtime::declare::Returned for $ty {
            type Raw = $ty;
            fn into_raw(self, _: bool) -> $ty {
                self
            }
        }
    )+};
}

values! {
    (), i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64,
    MTL4BufferRange, MTLSize, MTLOrigin, MTLRegion, MTLSizeAndAlign, MTLResourceID, MTLTextureSwizzleChannels, NSRange, Id, Class, Sel, Protocol,
    *const c_void, *mut c_void, *const c_char, *mut c_char, *const Id, *mut Id,
    *const usize, *mut usize, *const isize, *const u16, *mut u16, *const f32, *mut f32,
    BlockRef, Zone,
}

/// The memory zone that `copyWithZone:` and `allocWithZone:` pass, which means nothing any more.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Zone(*mut c_void);

// SAFETY: a pointer to the struct that the encoding names.
unsafe impl Encode for Zone {
    const ENCODING: &'static str = "^{_NSZone=}";
}

impl Argument for bool {
    type Raw = Bool;
    unsafe fn take(raw: Bool, _: Call) -> bool {
        raw.get()
    }
}

impl Returned for bool {
    type Raw = Bool;
    fn into_raw(self, _: bool) -> Bool {
        Bool::new(self)
    }
}

/// An object of ours, or nil.
impl<P: SoftClass> Argument for Option<&Object<P>> {
    type Raw = Id;
    unsafe fn take(raw: Id, call: Call) -> Self {
        if raw.is_nil() {
            return None;
        }
        // SAFETY: the caller's.
        Some(unsafe { <&Object<P>>::take(raw, call) })
    }
}

/// An object of ours. nil ends the program.
impl<P: SoftClass> Argument for &Object<P> {
    type Raw = Id;
    unsafe fn take(raw: Id, call: Call) -> Self {
        // SAFETY: the caller's.
        match unsafe { Object::from_id(raw) } {
            Some(object) => object,
            None => call.wrong_argument(raw, P::class()),
        }
    }
}

/// Any object, as one of ours if it is.
pub(crate) struct Ours<'a, P>(pub(crate) Option<&'a Object<P>>);

impl<P: SoftClass> Argument for Ours<'_, P> {
    type Raw = Id;
    unsafe fn take(raw: Id, _: Call) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { Object::from_id(raw) })
    }
}

/// An object of any class that the method retains, or nil.
impl Argument for Option<Retained> {
    type Raw = Id;
    unsafe fn take(raw: Id, _: Call) -> Self {
        // SAFETY: the caller's.
        unsafe { Retained::retain(raw) }
    }
}

/// An object of ours that the method keeps, or nil.
impl<P: SoftClass> Argument for Option<Strong<P>> {
    type Raw = Id;
    unsafe fn take(raw: Id, call: Call) -> Self {
        // SAFETY: the caller's.
        unsafe { <Option<&Object<P>> as Argument>::take(raw, call) }.map(P::keep)
    }
}

/// A block that the method retains, or nil.
impl Argument for Option<HeldBlock> {
    type Raw = BlockRef;
    unsafe fn take(raw: BlockRef, _: Call) -> Self {
        raw.hold()
    }
}

/// The `error:` argument: where a method stores an error unless it is null.
#[derive(Clone, Copy)]
pub(crate) struct ErrorOut(*mut Id);

impl Argument for ErrorOut {
    type Raw = *mut Id;
    unsafe fn take(raw: *mut Id, _: Call) -> Self {
        Self(raw)
    }
}

impl ErrorOut {
    /// The argument of a message, as it was passed: null or the address of a variable.
    pub(crate) fn at(address: *mut Id) -> Self {
        Self(address)
    }

    /// The argument of a message that has none.
    pub(crate) fn none() -> Self {
        Self(std::ptr::null_mut())
    }

    /// Stores an error, autoreleased.
    pub(crate) fn set<P: SoftClass>(self, error: Strong<P>) {
        self.set_or_nil(Some(error));
    }

    /// Stores an object, autoreleased, or nil.
    pub(crate) fn set_or_nil<P: SoftClass>(self, object: Option<Strong<P>>) {
        if !self.0.is_null() {
            let object = object.map_or(Id::NIL, |object| object.into_retained().into_owned());
            // SAFETY: the caller passed the address of a variable. The pool takes over the object.
            unsafe { *self.0 = pool::autorelease(object) }
        }
    }
}

impl Returned for Option<Retained> {
    type Raw = Id;
    fn into_raw(self, owned: bool) -> Id {
        let object = self.map_or(Id::NIL, Retained::into_owned);
        // SAFETY: the object was owned here.
        if owned { object } else { unsafe { pool::autorelease_return_value(object) } }
    }
}

impl Returned for Retained {
    type Raw = Id;
    fn into_raw(self, owned: bool) -> Id {
        Some(self).into_raw(owned)
    }
}

impl<P: SoftClass> Returned for Option<Strong<P>> {
    type Raw = Id;
    fn into_raw(self, owned: bool) -> Id {
        self.map(Strong::into_retained).into_raw(owned)
    }
}

impl<P: SoftClass> Returned for Strong<P> {
    type Raw = Id;
    fn into_raw(self, owned: bool) -> Id {
        Some(self).into_raw(owned)
    }
}

/// The result of a maker: the payload, or nothing if it cannot be made.
pub(crate) trait Made<P> {
    fn made(self) -> Option<P>;
}

impl<P: SoftClass> Made<P> for P {
    fn made(self) -> Option<P> {
        Some(self)
    }
}

impl<P: SoftClass> Made<P> for Option<P> {
    fn made(self) -> Option<P> {
        self
    }
}

/// A Rust function that can be a method. `Signature` is the function's type as a pointer.
pub(crate) trait Method<const OWNED: bool, Signature>: Copy {
    /// How many arguments the selector takes.
    const ARGUMENTS: usize;
    /// The C function.
    const IMP: Imp;
    /// The types of the result and of the arguments.
    const TYPES: Types;
}

/// A Rust function that makes the payload `P` of a new object.
pub(crate) trait Maker<const OWNED: bool, P, Signature>: Copy {
    /// How many arguments the selector takes.
    const ARGUMENTS: usize;
    /// The C function of a class method that returns a new object.
    const MAKE: Imp;
    /// The C function of an instance method that fills the receiver.
    const INIT: Imp;
    /// The types of the result and of the arguments.
    const TYPES: Types;
}

/// The encodings of a method's result and arguments, without receiver and selector. Data, and no function: a class has many
/// methods, of which a program asks few for their types.
pub(crate) type Types = &'static [&'static str];

/// The [`Types`] of some Rust types, the result's first.
macro_rules! types {
    ($($ty:ty),+) => { &[$(<$ty as $crate::abi::Encode>::ENCODING),+] };
}

/// The encoding of a method.
pub(crate) fn method_encoding(types: Types) -> MethodEncoding {
    let parse = |text: &&str| text.parse().expect("an `Encode` type has a well-formed encoding");
    MethodEncoding::new(parse(&types[0]), types[1..].iter().map(parse))
}

/// The same, as Objective-C writes it.
pub(super) fn encoded(types: Types) -> CString {
    CString::new(method_encoding(types).to_string()).expect("an encoding has no NUL")
}

/// The only value of a function's own type.
fn conjure<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "a method is a function or a closure that captures nothing") };
    // SAFETY: the type has no bytes, and a row was made from a value of it.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

macro_rules! arities {
    ($([$($argument:ident $raw:ident),*])+) => {$(
        impl<const OWNED: bool, F, T, R, $($argument),*> Method<OWNED, fn(T, $($argument),*) -> R> for F
        where
            F: Fn(T, $($argument),*) -> R + Copy,
            T: Receiver,
            R: Returned,
            $($argument: Argument,)*
        {
            const ARGUMENTS: usize = <[&str]>::len(&[$(stringify!($argument)),*]);
            const IMP: Imp = {
                unsafe extern "C" fn imp<const OWNED: bool, F, T, R, $($argument),*>(
                    receiver: Id,
                    selector: Sel,
                    $($raw: $argument::Raw),*
                ) -> R::Raw
                where
                    F: Fn(T, $($argument),*) -> R + Copy,
                    T: Receiver,
                    R: Returned,
                    $($argument: Argument,)*
                {
                    let call = Call { receiver, selector };
                    // SAFETY: a sender passes what the method's type encoding says.
                    conjure::<F>()(unsafe { T::receive(call) }, $(unsafe { $argument::take($raw, call) }),*)
                        .into_raw(OWNED)
                }
                let imp: unsafe extern "C" fn(Id, Sel, $($argument::Raw),*) -> R::Raw =
                    imp::<OWNED, F, T, R, $($argument),*>;
                // SAFETY: an `Imp` is called only after a cast to the method's own type.
                unsafe { std::mem::transmute(imp) }
            };
            const TYPES: Types = types!(R::Raw $(, $argument::Raw)*);
        }

        impl<const OWNED: bool, P, F, R, $($argument),*> Maker<OWNED, P, fn($($argument),*) -> R> for F
        where
            P: SoftClass,
            F: Fn($($argument),*) -> R + Copy,
            R: Made<P>,
            $($argument: Argument,)*
        {
            const ARGUMENTS: usize = <[&str]>::len(&[$(stringify!($argument)),*]);
            const MAKE: Imp = {
                unsafe extern "C" fn imp<const OWNED: bool, P, F, R, $($argument),*>(
                    receiver: Id,
                    selector: Sel,
                    $($raw: $argument::Raw),*
                ) -> Id
                where
                    P: SoftClass,
                    F: Fn($($argument),*) -> R + Copy,
                    R: Made<P>,
                    $($argument: Argument,)*
                {
                    let _call = Call { receiver, selector };
                    // SAFETY: a sender passes what the method's type encoding says.
                    let made = conjure::<F>()($(unsafe { $argument::take($raw, _call) }),*).made();
                    // SAFETY: the receiver of a class method is a class.
                    unsafe { make_object::<P>(receiver, made) }.into_raw(OWNED)
                }
                let imp: unsafe extern "C" fn(Id, Sel, $($argument::Raw),*) -> Id =
                    imp::<OWNED, P, F, R, $($argument),*>;
                // SAFETY: an `Imp` is called only after a cast to the method's own type.
                unsafe { std::mem::transmute(imp) }
            };
            const INIT: Imp = {
                unsafe extern "C" fn imp<P, F, R, $($argument),*>(
                    receiver: Id,
                    selector: Sel,
                    $($raw: $argument::Raw),*
                ) -> Id
                where
                    P: SoftClass,
                    F: Fn($($argument),*) -> R + Copy,
                    R: Made<P>,
                    $($argument: Argument,)*
                {
                    let call = Call { receiver, selector };
                    // SAFETY: a sender passes what the method's type encoding says.
                    let made = conjure::<F>()($(unsafe { $argument::take($raw, call) }),*).made();
                    // SAFETY: as above; `init` takes the receiver over.
                    unsafe { fill_object::<P>(call, made) }
                }
                let imp: unsafe extern "C" fn(Id, Sel, $($argument::Raw),*) -> Id =
                    imp::<P, F, R, $($argument),*>;
                // SAFETY: an `Imp` is called only after a cast to the method's own type.
                unsafe { std::mem::transmute(imp) }
            };
            const TYPES: Types = types!(Id $(, $argument::Raw)*);
        }
    )+};
}

arities! {
    []
    [A a]
    [A a, B b]
    [A a, B b, C c]
    [A a, B b, C c, D d]
    [A a, B b, C c, D d, E e]
    [A a, B b, C c, D d, E e, G g]
    [A a, B b, C c, D d, E e, G g, H h]
    [A a, B b, C c, D d, E e, G g, H h, I i]
    [A a, B b, C c, D d, E e, G g, H h, I i, J j]
    [A a, B b, C c, D d, E e, G g, H h, I i, J j, K k]
    [A a, B b, C c, D d, E e, G g, H h, I i, J j, K k, L l]
    [A a, B b, C c, D d, E e, G g, H h, I i, J j, K k, L l, M m]
}

/// A new object of the receiver, which may be a subclass of the class that declares the payload.
///
/// # Safety
///
/// `receiver` is a class.
unsafe fn make_object<P: SoftClass>(receiver: Id, payload: Option<P>) -> Option<Retained> {
    let payload = payload?;
    // SAFETY: the caller's.
    let class = unsafe { ClassData::from_handle(Class::from_ptr(receiver.as_ptr())) }?;
    let object = object::allocate(class);
    // SAFETY: it is new, and owned here.
    unsafe {
        match Object::<P>::from_id(object) {
            Some(object) => _ = object.fill(payload),
            None => fatal(format_args!(
                "objects of class {class} do not hold what {} holds",
                P::class()
            )),
        }
        Retained::from_owned(object)
    }
}

/// Initialises what `alloc` made, or releases it.
///
/// # Safety
///
/// The receiver of the call is an object that the caller owns and passes ownership of.
unsafe fn fill_object<P: SoftClass>(call: Call, payload: Option<P>) -> Id {
    let Some(payload) = payload else {
        // SAFETY: the caller's.
        unsafe { object::release(call.receiver) };
        return Id::NIL;
    };
    // SAFETY: the caller's.
    let this: This<'_, P> = unsafe { This::receive(call) };
    if !this.fill(payload) {
        call.fault(format_args!("sent to an object that is initialised already"));
    }
    call.receiver
}

/// The text of a name whose last character is NUL.
pub(crate) const fn c_name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a NUL inside a name"),
    }
}

/// The row of a method. `selector` ends in NUL.
pub(crate) const fn method<const OWNED: bool, M: Method<OWNED, Signature>, Signature>(
    of_class: bool,
    selector: &'static str,
    _: M,
) -> Row {
    assert!(
        colons(selector) == M::ARGUMENTS,
        "the selector's colons and the method's arguments differ"
    );
    Row { of_class, selector: c_name(selector), imp: M::IMP, types: M::TYPES }
}

/// The row of a class method that returns a new object with this payload.
pub(crate) const fn make<const OWNED: bool, P, M: Maker<OWNED, P, Signature>, Signature>(
    selector: &'static str,
    _: M,
) -> Row {
    assert!(
        colons(selector) == M::ARGUMENTS,
        "the selector's colons and the method's arguments differ"
    );
    Row { of_class: true, selector: c_name(selector), imp: M::MAKE, types: M::TYPES }
}

/// The row of an instance method that fills its receiver with this payload.
pub(crate) const fn init<P, M: Maker<true, P, Signature>, Signature>(
    selector: &'static str,
    _: M,
) -> Row {
    assert!(
        colons(selector) == M::ARGUMENTS,
        "the selector's colons and the method's arguments differ"
    );
    Row { of_class: false, selector: c_name(selector), imp: M::INIT, types: M::TYPES }
}

/// The row of a method whose implementation is a function in assembly, with a variable number of arguments for example.
/// `types` are the result's and those of the arguments that it always has.
pub(crate) const fn raw(of_class: bool, selector: &'static str, (imp, types): (Imp, Types)) -> Row {
    Row { of_class, selector: c_name(selector), imp, types }
}

/// Declares a class. See the head of this file.
macro_rules! soft_class {
    (
        $(#[$doc:meta])*
        $vis:vis class $name:ident $(($payload:ty))? $(: $superclass:ident)?
        $(, kind $kind:ident)? $(, named $text:literal)? $(, conforms [$($protocol:ident),+ $(,)?])?
        $(, lacks $lacks:path)? $(, kept as $keep:path)? $(, or $stand_in:path)?;
        $($($place:ident)? [$($selector:tt)+] = $function:expr;)*
    ) => {
        $(#[$doc])*
        #[allow(non_upper_case_globals)] // The class's own name.
        $vis static $name: $crate::soft::runtime::class::ClassPair = {
            use $crate::soft::runtime::class::{ClassPair, Declaration, Kind, Row};
            use $crate::soft::runtime::declare::c_name;
            $(
                // Named by the rows that make objects. Not every class has one.
                type Instance = $payload;
                const _: usize = size_of::<Instance>();
            )?
            static METHODS: &[Row] = &[
                $($crate::soft::runtime::declare::soft_class!(@row $($place)? concat!($(stringify!($selector),)+ "\0"), $function)),*
            ];
            static DECLARATION: Declaration = Declaration {
                payload: $crate::soft::runtime::declare::soft_class!(@payload $($payload)?),
                protocols: &[$($(c_name(concat!(stringify!($protocol), "\0"))),+)?],
                methods: METHODS,
                lacks: $crate::soft::runtime::declare::soft_class!(@lacks $($lacks)?),
            };
            ClassPair::declared(
                &$name,
                c_name($crate::soft::runtime::declare::soft_class!(@first $(concat!($text, "\0"),)? concat!(stringify!($name), "\0"))),
                $crate::soft::runtime::declare::soft_class!(@superclass $($superclass)?),
                $crate::soft::runtime::declare::soft_class!(@first $(Kind::$kind,)? Kind::Counted),
                &DECLARATION,
            )
        };
        const _: () = {
            $crate::soft::system::entry!(classes: $crate::soft::runtime::class::ClassPair = &$name);
        };
        $crate::soft::runtime::declare::soft_class!(@class $name ($($payload)?) $($keep)? $(, $stand_in)?);
    };
    (@class $name:ident () $($keep:path)?) => {};
    (@class $name:ident ($payload:ty) $($keep:path)? $(, $stand_in:path)?) => {
        // SAFETY: this is the class that declares the payload.
        unsafe impl $crate::soft::runtime::object::SoftClass for $payload {
            fn class() -> &'static $crate::soft::runtime::class::ClassData {
                &$name.class
            }
            $(
                fn keep(
                    object: &$crate::soft::runtime::object::Object<Self>,
                ) -> $crate::soft::runtime::object::Strong<Self> {
                    $keep(object)
                }
            )?
            $(
                unsafe fn stand_in(
                    object: $crate::abi::Id,
                ) -> Option<&'static $crate::soft::runtime::object::Object<Self>> {
                    // SAFETY: the caller's.
                    unsafe { $stand_in(object) }
                }
            )?
        }
    };
    (@row $selector:expr, $function:expr) => {
        $crate::soft::runtime::declare::method::<{ $crate::soft::runtime::declare::soft_class!(@owned $selector) }, _, _>(
            false, $selector, $function,
        )
    };
    (@row class $selector:expr, $function:expr) => {
        $crate::soft::runtime::declare::method::<{ $crate::soft::runtime::declare::soft_class!(@owned $selector) }, _, _>(
            true, $selector, $function,
        )
    };
    (@row make $selector:expr, $function:expr) => {
        $crate::soft::runtime::declare::make::<{ $crate::soft::runtime::declare::soft_class!(@owned $selector) }, Instance, _, _>(
            $selector, $function,
        )
    };
    (@row init $selector:expr, $function:expr) => {
        $crate::soft::runtime::declare::init::<Instance, _, _>($selector, $function)
    };
    (@row raw $selector:expr, $function:expr) => {
        $crate::soft::runtime::declare::raw(false, $selector, $function)
    };
    (@row raw_class $selector:expr, $function:expr) => {
        $crate::soft::runtime::declare::raw(true, $selector, $function)
    };
    (@owned $selector:expr) => { $crate::abi::Family::of($selector).returns_owned() };
    (@payload) => { None };
    (@payload $payload:ty) => { Some($crate::soft::runtime::object::Payload::of::<$payload>()) };
    (@lacks) => { None };
    (@lacks $lacks:path) => { Some(&$lacks) };
    (@superclass) => { None };
    (@superclass $superclass:ident) => { Some(&$superclass) };
    (@first $first:expr $(, $rest:expr)*) => { $first };
}
pub(crate) use {soft_class, types, values};
