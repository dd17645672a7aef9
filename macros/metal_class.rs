//! `metal_class!`: a class in a few lines, a method in one.

/// Declares a type that wraps the objects of a class or protocol, or adds methods to one.
///
/// ```
/// use aruminium::metal_class;
///
/// metal_class! {
///     /// A text.
///     pub class Text: NSString, table, direct FastText<'a>;
///
///     /// How many UTF-16 units it has.
///     pub fn units() -> usize = [length];
///     /// Whether it begins with another.
///     pub fn has_prefix(prefix: &str) -> bool = [hasPrefix:];
/// }
///
/// metal_class! {
///     /// A number in a box.
///     pub class Number: NSNumber;
///
///     /// Boxes an integer.
///     pub fn new(value: u64) -> Number = class [numberWithUnsignedLongLong:];
///     /// The integer in the box.
///     pub fn value() -> u64 = [unsignedLongLongValue];
/// }
///
/// assert_eq!(Number::new(7).value(), 7);
/// ```
///
/// # The header
///
/// `pub class Rust: ObjectiveC`, followed by any of these, in this order:
///
/// * `labelled`: the methods `label` and `set_label`, which most of Metal's objects have.
/// * `table`: also make `RustImps`, the [`imp_table!`](crate::imp_table) of the same methods.
/// * `direct Name<'a>`: also make `Name`, which has the same methods, called through the table.
/// * `state Type`: hold a `Type` beside the pointer; see [`ClassState`](crate::objc::ClassState).
///
/// `pub trait Rust for Class` instead adds methods to a class of another crate.
///
/// # A line
///
/// `pub fn name(argument: Type, …) -> Type = [selector:parts:];`, with these additions:
///
/// * `unsafe fn` for a method with requirements of its own.
/// * Before the selector, in this order: `class` for a method of the class itself; `unchecked` omits the check
///   for nil; `autoreleased` leaves the returned object to the pool instead of retaining it.
/// * After the selector, where a `Result` is returned: `or Function` makes the error from the text of the
///   failure; `else value` is the error; `because function` makes it by an `unsafe fn` of the object that the
///   message was sent to. Without any of them, the error type is made from a
///   [`MessageError`](crate::objc::MessageError). A trailing `error:` is not declared as an
///   argument.
///
/// Attributes are the method's; a method that only some systems have stands in a `trait … for …` of its
/// own, under a `#[cfg]`.
///
/// The declaration is a promise: that the class responds to the selector with these types, and that a
/// method declared without `unsafe` cannot be misused. The type stays on its thread unless you say
/// otherwise: write `unsafe impl Send` and `Sync` where Apple documents the class as thread-safe.
#[macro_export]
macro_rules! metal_class {
    (
        $(#[$meta:meta])* $vis:vis class $Class:ident: $Objc:ident $(, labelled)?, direct $Direct:tt $($rest:tt)*
    ) => {
        $crate::__wrong! { DirectNeedsTable $Direct }
    };
    (
        $(#[$meta:meta])*
        $vis:vis class $Class:ident: $Objc:ident
            $(, labelled $($labelled:literal)?)? $(, table $($table:literal)?)? $(, direct $Direct:ident <$a:lifetime>)?
            $(, state $State:ty)?;
        $($lines:tt)*
    ) => {
        $crate::__lines! {
            __class
            [[$(#[$meta])*] [$vis] $Class $Objc [$(table $($table)?)?] [$($Direct $a)?] [$($State)?]]
            $($lines)*
            $(
                /// The label, if one was set.
                $vis fn label() -> ::std::option::Option<::std::string::String> = [label];
                /// Set the label, which tools and error messages show.
                $vis fn set_label(label: &str) = [setLabel:] $($labelled)?;
            )?
        }
    };
    ($(#[$meta:meta])* $vis:vis trait $Trait:ident for $Class:ident; $($lines:tt)*) => {
        $crate::__lines! { __trait [[$(#[$meta])*] [$vis] $Trait $Class] $($lines)* }
    };

    // Errors in a header.
    (
        $(#[$meta:meta])* $vis:vis class $Class:ident: $Objc:ident, $($rest:tt)*
    ) => {
        $crate::__wrong_option! { $($rest)* }
    };
    ($(#[$meta:meta])* $vis:vis trait $Trait:ident for $Class:ident, $option:tt $($rest:tt)*) => {
        $crate::__wrong! { NoOptionOfATrait $option }
    };
}

/// Finds the option of a header that is unknown or out of order.
#[doc(hidden)]
#[macro_export]
macro_rules! __wrong_option {
    (labelled, $($rest:tt)*) => { $crate::__wrong_option! { @labelled $($rest)* } };
    (table, $($rest:tt)*) => { $crate::__wrong_option! { @table $($rest)* } };
    (@labelled table, $($rest:tt)*) => { $crate::__wrong_option! { @table $($rest)* } };
    (@table direct $Direct:ident <$a:lifetime>, $($rest:tt)*) => { $crate::__wrong_option! { @direct $($rest)* } };
    (@table direct $Direct:tt $($rest:tt)*) => { $crate::__wrong! { DirectNeedsALifetime $Direct } };
    (@$after:ident $option:tt $($rest:tt)*) => { $crate::__wrong! { NoOptionHere $option } };
    ($option:tt $($rest:tt)*) => { $crate::__wrong! { NoOptionHere $option } };
}

/// A class, from its parsed lines.
#[doc(hidden)]
#[macro_export]
macro_rules! __class {
    ([$meta:tt $vis:tt $Class:ident $Objc:ident [] $($rest:tt)*] $($line:tt)*) => {
        $crate::__class! { @[] [$meta $vis $Class $Objc [] $($rest)*] $($line)* }
    };
    ([$meta:tt $vis:tt $Class:ident $Objc:ident [table] $($rest:tt)*] $($line:tt)*) => {
        $crate::__class! { @[NotOfTheClass] [$meta $vis $Class $Objc [table] $($rest)*] $($line)* }
    };
    (
        @$rule:tt [$meta:tt $vis:tt $Class:ident $Objc:ident $table:tt $direct:tt [$($State:ty)?]]
        $($line:tt)*
    ) => {
        $crate::__class_type! { $meta $vis $Class: $Objc [$($State)?] }

        // SAFETY: the object is the one that was wrapped, and lives as long as the wrapper.
        unsafe impl $crate::objc::ObjcClass for $Class {
            const INFO: $crate::objc::ClassInfo = {
                _ = || $crate::__check_all! { $rule $($line)* };
                $crate::objc::ClassInfo::new(
                    stringify!($Class),
                    stringify!($Objc),
                    &[$($crate::__method_info! { $line }),*],
                )
            };

            #[inline(always)]
            unsafe fn from_object(object: $crate::objc::Object) -> Self {
                Self { state: $crate::objc::ClassState::attach(&object), object }
            }

            #[inline(always)]
            fn as_raw(&self) -> $crate::abi::Id {
                self.object.as_raw()
            }

            #[inline(always)]
            fn report_to(&self, to: &mut $crate::objc::ArgumentSink<'_>) {
                $crate::objc::ClassState::report_to(&self.state, &self.object, to);
            }

            #[inline(always)]
            fn sending<A: $crate::objc::Arguments>(&self, message_use: $crate::objc::MessageUse, arguments: &A) {
                $crate::objc::ClassState::sending(&self.state, &self.object, message_use, |to| arguments.report(to));
            }

            #[inline(always)]
            fn sent(&self, message_use: $crate::objc::MessageUse) {
                $crate::objc::ClassState::sent(&self.state, &self.object, message_use);
            }

            #[inline(always)]
            fn tracker(&self) -> ::std::option::Option<&::std::sync::Arc<$crate::objc::Tracker>> {
                $crate::objc::ClassState::tracker(&self.state)
            }

            #[inline(always)]
            fn begin<P: $crate::objc::ObjcClass>(&self, parent: &P) {
                $crate::objc::ClassState::begin(&self.state, || parent.tracker());
            }
        }

        impl $Class {
            $($crate::__send_fn! { class $Objc $line })*
        }

        $crate::__class_table! { $table $direct $vis $Class $Objc $($line)* }
    };
}

/// Methods for a class of another crate, from their parsed lines.
#[doc(hidden)]
#[macro_export]
macro_rules! __trait {
    ([[$($meta:tt)*] [$($vis:tt)*] $Trait:ident $Class:ident] $($line:tt)*) => {
        $($meta)*
        $($vis)* trait $Trait {
            /// The methods that this trait adds.
            const ADDED: &'static [$crate::objc::MethodInfo];

            $($crate::__trait_fn! { $line })*
        }

        impl $Trait for $Class {
            const ADDED: &'static [$crate::objc::MethodInfo] = {
                _ = || $crate::__check_all! { [NotOfTheClass] $($line)* };
                &[$($crate::__method_info! { $line }),*]
            };

            $($crate::__send_fn! { trait $Class $line })*
        }
    };
}

/// The declaration of a trait's method.
#[doc(hidden)]
#[macro_export]
macro_rules! __trait_fn {
    (
        ([$($about:tt)*] $vis:tt [$($unsafe:tt)?] $name:tt ($($arg:ident: $ty:ty),*) [$($ret:ty)?] $($rest:tt)*)
    ) => {
        $($about)*
        $($unsafe)? fn $name(&self, $($arg: $ty),*) $(-> $ret)?;
    };
}

/// The struct of a class.
#[doc(hidden)]
#[macro_export]
macro_rules! __class_type {
    ([$($meta:tt)*] $vis:tt $Class:ident: $Objc:ident []) => {
        $crate::__class_type! { @[$($meta)* #[derive(Clone)]] $vis $Class: $Objc [()] }
    };
    ([$($meta:tt)*] $vis:tt $Class:ident: $Objc:ident [$State:ty]) => {
        $crate::__class_type! { @[$($meta)*] $vis $Class: $Objc [$State] }
    };
    (@[$($meta:tt)*] [$($vis:tt)*] $Class:ident: $Objc:ident [$State:ty]) => {
        $($meta)*
        $($vis)* struct $Class {
            state: $State,
            object: $crate::objc::Object,
        }

        impl Drop for $Class {
            #[inline(always)]
            fn drop(&mut self) {
                $crate::objc::ClassState::detach(&mut self.state, &self.object);
            }
        }

        #[allow(dead_code)] // A private class may use neither.
        impl $Class {
            /// The pointer to the object. This value still releases it.
            #[inline(always)]
            $($vis)* fn as_raw(&self) -> $crate::abi::Id {
                self.object.as_raw()
            }

            /// Takes over an object; `None` if it is nil.
            ///
            /// # Safety
            ///
            #[doc = concat!("`object` is nil or a live `", stringify!($Objc), "`, and the caller passes on a")]
            /// reference count that it owns.
            $($vis)* unsafe fn from_raw(object: $crate::abi::Id) -> ::std::option::Option<Self> {
                // SAFETY: passed on to the caller.
                (!object.is_nil()).then(|| unsafe {
                    $crate::objc::ObjcClass::from_object($crate::objc::Object::owned(object))
                })
            }
        }

        // SAFETY: a wrapped object is alive.
        unsafe impl $crate::objc::Receiver for $Class {
            #[inline(always)]
            fn receiver(&self) -> $crate::abi::Id {
                self.object.as_raw()
            }
        }

        impl ::std::fmt::Debug for $Class {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!(stringify!($Class), "({:p})"), self.object.as_raw().as_ptr())
            }
        }
    };
}

/// The table of a class, and its direct type.
#[doc(hidden)]
#[macro_export]
macro_rules! __class_table {
    ([] $($rest:tt)*) => {};
    ([table] $direct:tt $vis:tt $Class:ident $Objc:ident $($line:tt)*) => {
        $crate::__paste! {
            $crate::__table! {
                [
                    [#[doc = concat!("The implementations of [`", stringify!($Class), "`]'s methods, looked up once.")]]
                    $vis [<$Class Imps>] $Objc
                ]
                $($line)*
            }
            $crate::__direct! { $direct $vis $Class [<$Class Imps>] $($line)* }
        }
    };
}

/// The type of an object joined with the table of its class.
#[doc(hidden)]
#[macro_export]
macro_rules! __direct {
    ([] $($rest:tt)*) => {};
    ([$Direct:ident $a:lifetime] [$($vis:tt)*] $Class:ident $Table:ident $($line:tt)*) => {
        #[doc = concat!("[`", stringify!($Class), "`]'s methods, called without `objc_msgSend`.")]
        #[derive(Debug)]
        $($vis)* struct $Direct<$a> {
            object: $crate::abi::Id,
            imps: &$a $Table,
            of: ::std::marker::PhantomData<&$a $Class>,
        }

        impl<$a> $Direct<$a> {
            /// Joins an object and a table; `None` if the table was resolved from another class.
            ///
            /// # Safety
            ///
            #[doc = concat!("Calls made here bypass the state of [`", stringify!($Class), "`]: the caller does what the")]
            /// state would do. For an encoder: memory that the work uses is not viewed from the CPU until the work
            /// is done.
            #[inline]
            $($vis)* unsafe fn new(object: &$a $Class, imps: &$a $Table) -> ::std::option::Option<Self> {
                let object = object.as_raw();
                // SAFETY: a wrapped object is alive.
                unsafe { imps.matches(object) }.then_some(Self { object, imps, of: ::std::marker::PhantomData })
            }

            /// The pointer to the object.
            #[inline(always)]
            $($vis)* fn as_raw(&self) -> $crate::abi::Id {
                self.object
            }

            $($crate::__direct_fn! { $line })*
        }
    };
}
