//! One declared line: parsed once, into the form that every other macro takes.
//!
//! The form is a group of nine parts, the same for every line:
//!
//! ```text
//! ([#[doc = "…"]] [pub] [unsafe] name (argument: Type, …) [Return] [class unchecked autoreleased] [selector:] [or Error])
//! ```
//!
//! A name is matched as a `tt`, not as an `ident`: only then does an error about it point at the user's own
//! token.

/// Parses the lines of a declaration and passes them on: `$then! { $header (line) (line) … }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __lines {
    (
        $then:ident $header:tt
        $(
            $(#[$about:meta])*
            $vis:vis $(unsafe $($unsafe:literal)?)? fn $name:tt ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?
                = $(class $($class:literal)?)? $(unchecked $($unchecked:literal)?)?
                  $(autoreleased $($autoreleased:literal)?)? [$($sel:tt)+] $($on:ident $fail:expr)?;
        )*
    ) => {
        $crate::$then! {
            $header
            $((
                [$(#[$about])*] [$vis] [$(unsafe $($unsafe)?)?] $name ($($arg: $ty),*) [$($ret)?]
                [$(class $($class)?)? $(unchecked $($unchecked)?)? $(autoreleased $($autoreleased)?)?]
                [$($sel)+] [$($on $fail)?]
            ))*
        }
    };
    ($then:ident $header:tt $($lines:tt)*) => { $crate::__wrong_line! { $($lines)* } };
}

/// Finds the first line that does not parse, and says what is wrong with it. What has no arm here is reported by
/// the compiler, at the token that no arm matches.
#[doc(hidden)]
#[macro_export]
macro_rules! __wrong_line {
    ($(#[$about:meta])* $vis:vis $(unsafe)? fn $name:tt (& $(mut)? self $($args:tt)*) $($rest:tt)*) => {
        $crate::__wrong! { DeclaresSelf $name }
    };
    ($(#[$about:meta])* $vis:vis $(unsafe)? fn $name:tt (self $($args:tt)*) $($rest:tt)*) => {
        $crate::__wrong! { DeclaresSelf $name }
    };
    (
        $(#[$about:meta])* $vis:vis $(unsafe)? fn $name:tt ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $($rest:tt)+
    ) => {
        $crate::__wrong_line! { @selector $($rest)+ }
    };
    // The words before the selector, in their order.
    (@selector class $($rest:tt)+) => { $crate::__wrong_line! { @unchecked $($rest)+ } };
    (@selector $($rest:tt)+) => { $crate::__wrong_line! { @unchecked $($rest)+ } };
    (@unchecked unchecked $($rest:tt)+) => { $crate::__wrong_line! { @autoreleased $($rest)+ } };
    (@unchecked $($rest:tt)+) => { $crate::__wrong_line! { @autoreleased $($rest)+ } };
    (@autoreleased autoreleased $($rest:tt)+) => { $crate::__wrong_line! { @brackets $($rest)+ } };
    (@autoreleased $($rest:tt)+) => { $crate::__wrong_line! { @brackets $($rest)+ } };
    (@brackets [$($sel:tt)+] $($on:ident $fail:expr)?; $($lines:tt)+) => { $crate::__wrong_line! { $($lines)+ } };
    (@brackets $word:tt [$($sel:tt)+] $($rest:tt)*) => { $crate::__wrong! { WordBeforeSelector $word } };
}

/// Reports a broken rule of `objc::rules` at the user's token.
#[doc(hidden)]
#[macro_export]
macro_rules! __wrong {
    ($rule:ident $token:tt) => {
const _: fn() = || $crate::__check!(@$token: $rule);
    };
}

/// Checks all lines of a declaration: an expression that compiles only if they keep the rules.
#[doc(hidden)]
#[macro_export]
macro_rules! __check_all {
    ($rule:tt $(($about:tt $vis:tt $unsafe:tt $name:tt $($rest:tt)*))*) => {{
        /// An error about a name that is declared twice points at the name.
        #[allow(dead_code, non_camel_case_types)]
        enum Methods {
            $($name,)*
        }
        $($crate::__check! { $rule ($about $vis $unsafe $name $($rest)*) };)*
    }};
}

/// Checks a line against the rules of `objc::rules`: an expression that compiles only if the line keeps them.
#[doc(hidden)]
#[macro_export]
macro_rules! __check {
    // A rule is a trait. It is required of a type of the user's name, where a constant of that name becomes an
    // object of the trait: there the compiler reports an error at the name itself.
    (@$token:tt: $($rule:ident $(<$($value:block),+>)?),+) => {{
        #[allow(non_camel_case_types)]
        struct $token {}
        #[allow(non_upper_case_globals)]
        const $token: &$token = &$token {};
        $(let _: &dyn $crate::objc::rules::$rule $(<$($value),+>)? = $token;)+
    }};
    ([$($rule:ident)?] ($about:tt $vis:tt $unsafe:tt $name:tt $args:tt $ret:tt $how:tt [$word:ident] $fail:tt)) => {
        $crate::__check!(@line [$($rule)?] $unsafe $name $args $ret $how [$word] $fail)
    };
    ([$($rule:ident)?] ($about:tt $vis:tt $unsafe:tt $name:tt $args:tt $ret:tt $how:tt [$($word:ident:)+] $fail:tt)) => {
        $crate::__check!(@line [$($rule)?] $unsafe $name $args $ret $how [$($word:)+] $fail)
    };
    ($rules:tt ($about:tt $vis:tt $unsafe:tt $name:tt $($rest:tt)*)) => { $crate::__check!(@$name: NotASelector) };
    (
        @line [$($rule:ident)?] [$($unsafe:tt)*] $name:tt ($($arg:ident: $ty:ty),*) $ret:tt $how:tt $sel:tt $fail:tt
    ) => {{
        $crate::__check!(@$name:
            Fits<
                {
                    $(<$ty as $crate::objc::Argument>::ENCODINGS.len() +)*
                        <$crate::__trailing!($how $ret $fail $sel) as $crate::objc::Argument>::ENCODINGS.len()
                },
                { $crate::objc::rules::takes($crate::__selector_text!($sel)) }
            >,
            VouchesForPointers<{
                stringify!($($unsafe)*).is_empty() && (false $(|| <$ty as $crate::objc::Argument>::RAW)*)
            }>
            $(, $rule<{ $crate::__how!(class $how) }>)?
        );
        $crate::__check!(@how $how [$($unsafe)*] $name $sel);
        $crate::__check!(@fail $fail $name);
    }};
    (@how [$(class $($class:literal)?)?] $($rest:tt)*) => {};
    (@how $how:tt [$($unsafe:tt)*] $name:tt $sel:tt) => {
        $crate::__check!(@$name:
            UncheckedIsUnsafe<{ stringify!($($unsafe)*).is_empty() && $crate::__how!(unchecked $how) }>,
            AutoreleasedIsUnsafe<{ stringify!($($unsafe)*).is_empty() && $crate::__how!(autoreleased $how) }>,
            NotGivenAway<{
                $crate::__how!(autoreleased $how)
                    && $crate::objc::rules::gives_away($crate::__selector_text!($sel))
            }>
        )
    };
    (@fail [] $name:tt) => {};
    (@fail [or $fail:expr] $name:tt) => {};
    (@fail [else $fail:expr] $name:tt) => {};
    (@fail [because $fail:expr] $name:tt) => {};
    (@fail [$on:ident $fail:expr] $name:tt) => { $crate::__check!(@$name: WordAfterSelector) };
}
