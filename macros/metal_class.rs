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
/// * `table`: also make `RustImps`, the [`imp_table!`](crate::imp_table) of the same methods.
/// * `direct Twin<'a>`: also make `Twin`, which has the same methods, called through the table.
/// * `state Type`: keep a `Type` beside the pointer; see [`ClassState`](crate::objc::ClassState).
///
/// `pub trait Rust for Class` instead adds methods to a class of another crate.
///
/// # A line
///
/// `pub fn name(argument: Type, …) -> Type = [selector:parts:];`, with these additions:
///
/// * `unsafe fn` for a method with demands of its own.
/// * Before the selector: `class` for a method of the class itself; `autoreleased` leaves the
///   returned object to the pool instead of retaining it; `unchecked` does not look whether it is
///   nil.
/// * Behind it, where a `Result` is returned: `or Function` makes the error from the text of the
///   failure; `else value` is the error. Without either, the error type is made from a
///   [`MessageError`](crate::objc::MessageError). A trailing `error:` is not declared as an
///   argument.
///
/// Attributes are the method's; a method that only some systems have stands in a `trait … for …` of its
/// own, under a `#[cfg]`.
///
/// The declaration is a promise: that the class answers the selector with these types, and that a
/// method declared without `unsafe` cannot be misused. The type stays on its thread unless you say
/// otherwise: write `unsafe impl Send` and `Sync` where Apple documents the class as thread-safe.
#[macro_export]
macro_rules! metal_class {
    // A twin calls through a table, so it needs one.
    (
        $(#[$meta:meta])* $vis:vis class $Class:ident: $Objc:ident, direct $Twin:ident $($rest:tt)*
    ) => {
        compile_error!(concat!(
            "`direct ", stringify!($Twin), "` calls through an IMP table, and `", stringify!($Class),
            "` has none: write `class ", stringify!($Class), ": ", stringify!($Objc),
            ", table, direct ", stringify!($Twin), "<'a>`",
        ));
    };
    (
        $(#[$meta:meta])* $vis:vis trait $Trait:ident for $Class:ident, $option:ident $($rest:tt)*
    ) => {
        compile_error!(concat!(
            "methods added to `", stringify!($Class), "` have no room in its IMP table: `",
            stringify!($option), "` belongs to a class; declare a table of their own with `imp_table!`",
        ));
    };

    // A class.
    (
        $(#[$meta:meta])*
        $vis:vis class $Class:ident: $Objc:ident
            $(, table $($table:literal)?)? $(, direct $Twin:ident <$a:lifetime>)? $(, state $State:ty)?;
        $(
            $(#[$about:meta])*
            $fn_vis:vis $(unsafe $($unsafe:literal)?)? fn $name:ident ($($args:tt)*) $(-> $ret:ty)?
                = $($how:ident)* [$($sel:tt)+] $($on:ident $fail:expr)?;
        )*
    ) => {
        $crate::__class_type! { $(#[$meta])* $vis $Class: $Objc [$($State)?] }

        // SAFETY: the object is the one that was wrapped, and lives as long as the wrapper.
        unsafe impl $crate::objc::ObjcClass for $Class {
            const INFO: $crate::objc::ClassInfo = $crate::objc::ClassInfo::new(
                stringify!($Class),
                stringify!($Objc),
                &[$($crate::__method_info!(
                    $Class [$(unsafe $($unsafe)?)?] $name ($($args)*) [$($ret)?] [$($how)*] [$($sel)+] [$($on $fail)?]
                )),*],
            );

            #[inline(always)]
            unsafe fn from_object(object: $crate::objc::Object) -> Self {
                Self { state: $crate::objc::ClassState::attach(&object), object }
            }

            #[inline(always)]
            fn as_raw(&self) -> $crate::abi::Id {
                self.object.as_raw()
            }

            #[inline(always)]
            fn pass_to(&self, to: &mut $crate::objc::Passed<'_>) {
                $crate::objc::ClassState::pass_to(&self.state, &self.object, to);
            }

            #[inline(always)]
            fn sending<A: $crate::objc::Arguments>(&self, moment: $crate::objc::Moment, arguments: &A) {
                $crate::objc::ClassState::sending(&self.state, &self.object, moment, |to| arguments.pass(to));
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

        // An associated constant is only checked where it is used.
        const _: $crate::objc::ClassInfo = <$Class as $crate::objc::ObjcClass>::INFO;

        impl $Class {
            $($crate::__class_fn! {
                $Objc [$(#[$about])* $fn_vis $(unsafe $($unsafe)?)?]
                $name ($($args)*) [$($ret)?] [$($how)*] [$($sel)+] [$($on $fail)?]
            })*
        }

        $($crate::__require_unsafe!($name [$(unsafe $($unsafe)?)?] [$($how)*]);)*

        $crate::__class_table! {
            [$(table $($table)?)?] [$($Twin <$a>)?] $vis $Class: $Objc;
            $(
                $(#[$about])*
                $fn_vis $(unsafe $($unsafe)?)? fn $name ($($args)*) $(-> $ret)?
                    = $($how)* [$($sel)+] $($on $fail)?;
            )*
        }
    };

    // Methods for a class of another crate.
    (
        $(#[$meta:meta])*
        $vis:vis trait $Trait:ident for $Class:ident;
        $(
            $(#[$about:meta])*
            $(unsafe $($unsafe:literal)?)? fn $name:ident ($($args:tt)*) $(-> $ret:ty)?
                = $($how:ident)* [$($sel:tt)+] $($on:ident $fail:expr)?;
        )*
    ) => {
        $(#[$meta])*
        $vis trait $Trait {
            /// The methods that this trait adds.
            const ADDED: &'static [$crate::objc::MethodInfo];

            $(
                $(#[$about])*
                $(unsafe $($unsafe)?)? fn $name(&self, $($args)*) $(-> $ret)?;
            )*
        }

        impl $Trait for $Class {
            const ADDED: &'static [$crate::objc::MethodInfo] = &[$($crate::__method_info!(
                $Class [$(unsafe $($unsafe)?)?] $name ($($args)*) [$($ret)?] [$($how)*] [$($sel)+] [$($on $fail)?]
            )),*];

            $($crate::__send_fn! {
                $Class ($crate::objc::ObjcClass::as_raw(self)) [&self,] [$(unsafe $($unsafe)?)?]
                $name ($($args)*) [$($ret)?] [$($how)*] [$($sel)+] [$($on $fail)?]
            })*
        }

        const _: &[$crate::objc::MethodInfo] = <$Class as $Trait>::ADDED;

        $($crate::__require_no_class!($name [$($how)*]);)*

        $($crate::__require_unsafe!($name [$(unsafe $($unsafe)?)?] [$($how)*]);)*
    };
}

/// The struct of a class.
#[doc(hidden)]
#[macro_export]
macro_rules! __class_type {
    ($(#[$meta:meta])* $vis:vis $Class:ident: $Objc:ident []) => {
        $crate::__class_type! { @$(#[$meta])* #[derive(Clone)] $vis $Class: $Objc [()] }
    };
    ($(#[$meta:meta])* $vis:vis $Class:ident: $Objc:ident [$State:ty]) => {
        $crate::__class_type! { @$(#[$meta])* $vis $Class: $Objc [$State] }
    };
    (@$(#[$meta:meta])* $vis:vis $Class:ident: $Objc:ident [$State:ty]) => {
        $(#[$meta])*
        $vis struct $Class {
            state: $State,
            object: $crate::objc::Object,
        }

        impl Drop for $Class {
            #[inline(always)]
            fn drop(&mut self) {
                $crate::objc::ClassState::detach(&mut self.state, &self.object);
            }
        }

        #[allow(dead_code)] // Every class has these two, also a private one that needs neither.
        impl $Class {
            /// The pointer to the object, which stays this value's to release.
            #[inline(always)]
            $vis fn as_raw(&self) -> $crate::abi::Id {
                self.object.as_raw()
            }

            /// Takes over an object, or answers `None` for nil.
            ///
            /// # Safety
            ///
            #[doc = concat!("`object` is nil or a live `", stringify!($Objc), "`, and the caller owns one")]
            /// reference count of it and gives it away.
            $vis unsafe fn from_raw(object: $crate::abi::Id) -> ::std::option::Option<Self> {
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

/// The wrapper of one line: sent to the object, or to the class.
#[doc(hidden)]
#[macro_export]
macro_rules! __class_fn {
    ($Objc:ident [$($head:tt)*] $name:ident ($($args:tt)*) [$($ret:ty)?] [class] $($rest:tt)*) => {
        $crate::__send_fn! {
            $Objc ({
                static CLASS: $crate::objc::CachedClass =
                    $crate::objc::CachedClass::new(concat!(stringify!($Objc), "\0"));
                CLASS.get().as_id()
            }) [] [$($head)*] $name ($($args)*) [$($ret)?] [class] $($rest)*
        }
    };
    ($Objc:ident [$($head:tt)*] $name:ident ($($args:tt)*) $($rest:tt)*) => {
        $crate::__send_fn! { $Objc (self.object.as_raw()) [&self,] [$($head)*] $name ($($args)*) $($rest)* }
    };
}

/// The table of a class, and its twin.
#[doc(hidden)]
#[macro_export]
macro_rules! __class_table {
    ([] [] $($lines:tt)*) => {};
    ([table] [$($twin:tt)*] $vis:vis $Class:ident: $Objc:ident; $($lines:tt)*) => {
        $crate::__paste! {
            $crate::imp_table! {
                #[doc = concat!("The functions of [`", stringify!($Class), "`]'s methods, found once.")]
                $vis table [<$Class Imps>]: $Objc;
                $($lines)*
            }
            $crate::__class_twin! { [$($twin)*] $vis $Class [<$Class Imps>]; $($lines)* }
        }
    };
}

/// The twin of a class.
#[doc(hidden)]
#[macro_export]
macro_rules! __class_twin {
    ([] $($rest:tt)*) => {};
    (
        [$Twin:ident <$a:lifetime>] $vis:vis $Class:ident $Table:ident;
        $(
            $(#[$about:meta])*
            $fn_vis:vis $(unsafe $($unsafe:literal)?)? fn $name:ident ($($args:tt)*) $(-> $ret:ty)?
                = $($how:ident)* [$($sel:tt)+] $($on:ident $fail:expr)?;
        )*
    ) => {
        #[doc = concat!("[`", stringify!($Class), "`]'s methods, called without `objc_msgSend`.")]
        #[derive(Debug)]
        $vis struct $Twin<$a> {
            object: $crate::abi::Id,
            imps: &$a $Table,
            of: ::std::marker::PhantomData<&$a $Class>,
        }

        impl<$a> $Twin<$a> {
            /// Joins an object and a table; `None` if the table was resolved from another class.
            ///
            /// # Safety
            ///
            #[doc = concat!("What is called here is not seen by [`", stringify!($Class), "`]'s state: the")]
            /// caller does what the state would do. For an encoder: memory that the work uses is not
            /// viewed from the CPU until the work is done.
            #[inline]
            $vis unsafe fn new(object: &$a $Class, imps: &$a $Table) -> ::std::option::Option<Self> {
                let object = object.as_raw();
                // SAFETY: a wrapped object is alive.
                unsafe { imps.matches(object) }.then_some(Self { object, imps, of: ::std::marker::PhantomData })
            }

            /// The pointer to the object.
            #[inline(always)]
            $vis fn as_raw(&self) -> $crate::abi::Id {
                self.object
            }

            $($crate::__direct_fn! {
                [$(#[$about])* $fn_vis $(unsafe $($unsafe)?)?] $name ($($args)*) [$($ret)?]
            })*
        }
    };
}
