//! What one declared line becomes: the parts that `metal_class!` and `imp_table!` share.
//!
//! A line is handed round in brackets: `[how]` the words before the selector, `[ret]` the declared
//! return type, `[fail]` what becomes of a failure, `[sel]` the selector's tokens.

/// The type that is sent for: the declared one, or what stands for it until the line's own
/// conversion.
#[doc(hidden)]
#[macro_export]
macro_rules! __sent_type {
    ([$($how:ident)*] [] []) => { () };
    ([unchecked $($how:ident)*] [$ret:ty] []) => { $crate::objc::Unchecked<$ret> };
    ([$($how:ident)*] [$ret:ty] []) => { $ret };
    ([$($how:ident)*] [$ret:ty] [$on:ident $fail:expr]) => {
        ::std::result::Result<<$ret as $crate::objc::Fallible>::Ok, $crate::objc::MessageError>
    };
}

/// The line's own conversion of what was sent for.
#[doc(hidden)]
#[macro_export]
macro_rules! __answer {
    ([unchecked $($how:ident)*] [] $answer:expr) => {
        $answer.0
    };
    ([$($how:ident)*] [] $answer:expr) => {
        $answer
    };
    ([$($how:ident)*] [or $fail:expr] $answer:expr) => {
        $answer.map_err(|error| $fail(::std::string::String::from(error)))
    };
    ([$($how:ident)*] [else $fail:expr] $answer:expr) => {
        $answer.map_err(|_| $fail)
    };
}

/// The words that may stand before a selector: `class`, `autoreleased`, `unchecked`.
#[doc(hidden)]
#[macro_export]
macro_rules! __how {
    (autoreleased []) => { false };
    (autoreleased [class]) => { false };
    (autoreleased [unchecked]) => { false };
    (autoreleased [autoreleased]) => { true };
    (autoreleased [unchecked autoreleased]) => { true };
    (level [class]) => { $crate::objc::Level::Class };
    (level [$($how:ident)*]) => { $crate::objc::Level::Instance };
    (sign [class]) => { "+" };
    (sign [$($how:ident)*]) => { "-" };
    ($what:ident [$($how:ident)*]) => {
        compile_error!(concat!(
            "before a selector stand `class`, `autoreleased`, `unchecked` or `unchecked autoreleased`, not `",
            stringify!($($how)*), "`",
        ))
    };
}

/// What is known of a call before it is made.
#[doc(hidden)]
#[macro_export]
macro_rules! __call {
    ($Objc:ident [$($how:ident)*] [$($sel:tt)+]) => {
        $crate::objc::Call {
            method: concat!(
                $crate::__how!(sign [$($how)*]), "[", stringify!($Objc), " ",
                $crate::__selector_text!($($sel)+), "]",
            ),
            ownership: const {
                $crate::objc::Ownership::of(
                    $crate::__selector_text!($($sel)+),
                    $crate::__how!(autoreleased [$($how)*]),
                )
            },
            consumes: const { $crate::objc::consumes($crate::__selector_text!($($sel)+)) },
        }
    };
}

/// What stands behind a call's own arguments: the slot of an `error:` that the line catches.
#[doc(hidden)]
#[macro_export]
macro_rules! __trailing {
    ([$($how:ident)*] [$($ret:ty)?] [$($fail:tt)*] [$($sel:tt)+]) => {
        $crate::objc::Trailing<{
            $crate::objc::catches::<$crate::__sent_type!([$($how)*] [$($ret)?] [$($fail)*])>(
                $crate::__selector_text!($($sel)+),
            )
        }>
    };
}

/// A function that sends the message.
#[doc(hidden)]
#[macro_export]
macro_rules! __send_fn {
    (
        $Objc:ident ($receiver:expr) [$(&$me:ident,)?] [$($head:tt)*] $name:ident
        ($($arg:ident: $ty:ty),* $(,)?) [$($ret:ty)?] [$($how:ident)*] [$($sel:tt)+] [$($fail:tt)*]
    ) => {
        #[inline]
        #[allow(clippy::too_many_arguments)] // As many as the method has.
        $($head)* fn $name($(&$me,)? $($arg: $ty),*) $(-> $ret)? {
            let message =
                $crate::objc::Message::<_, $crate::__sent_type!([$($how)*] [$($ret)?] [$($fail)*])>::new(
                    $crate::__cached_selector!($($sel)+),
                );
            let arguments =
                ($($arg,)* <$crate::__trailing!([$($how)*] [$($ret)?] [$($fail)*] [$($sel)+])>::NEW,);
            #[allow(dead_code)] // A class method has no wrapper to ask.
            const MOMENT: $crate::objc::Moment = $crate::objc::Moment::of($crate::__selector_text!($($sel)+));
            $($crate::objc::ObjcClass::sending($me, MOMENT, &arguments);)?
            // SAFETY: the declaration says that the class answers this selector with these types,
            // and that a method declared safe has no other demands.
            let answer = unsafe {
                message.send($receiver, $crate::__call!($Objc [$($how)*] [$($sel)+]), arguments)
            };
            $($crate::objc::Return::begin(&answer, $me);)?
            $crate::__answer!([$($how)*] [$($fail)*] answer)
        }
    };
}

/// The row of reflection data; the number of arguments is checked here.
#[doc(hidden)]
#[macro_export]
macro_rules! __method_info {
    (
        $Class:ident [$($unsafe:tt)*] $name:ident ($($arg:ident: $ty:ty),* $(,)?)
        [$($ret:ty)?] [$($how:ident)*] [$($sel:tt)+] [$($fail:tt)*]
    ) => {
        $crate::objc::MethodInfo::new::<
            ($($ty,)* $crate::__trailing!([$($how)*] [$($ret)?] [$($fail)*] [$($sel)+]),),
            $crate::__sent_type!([$($how)*] [$($ret)?] [$($fail)*]),
        >(
            stringify!($Class),
            stringify!($name),
            $crate::__selector_text!($($sel)+),
            $crate::__how!(level [$($how)*]),
            $crate::__how!(autoreleased [$($how)*]),
            stringify!($($unsafe)*).is_empty(),
        )
    };
}

/// The tuple of a line's argument types and its trailing slot, with every lifetime made `'static`:
/// what a struct's field needs, where Rust does not let lifetimes be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_arguments {
    ([$trailing:ty] $name:ident : $($rest:tt)+) => {
        $crate::__static_arguments!(@[$trailing] [] $($rest)+)
    };
    ([$trailing:ty]) => { ($trailing,) };
    (@[$trailing:ty] [$($done:tt)*] , $name:ident : $($rest:tt)+) => {
        $crate::__static_arguments!(@[$trailing] [$($done)* ,] $($rest)+)
    };
    (@[$trailing:ty] [$($done:tt)*] $(,)?) => { ($($done)*, $trailing) };
    (@[$trailing:ty] [$($done:tt)*] & $lifetime:lifetime $($rest:tt)+) => {
        $crate::__static_arguments!(@[$trailing] [$($done)* &'static] $($rest)+)
    };
    (@[$trailing:ty] [$($done:tt)*] & $($rest:tt)+) => {
        $crate::__static_arguments!(@[$trailing] [$($done)* &'static] $($rest)+)
    };
    (@[$trailing:ty] [$($done:tt)*] $lifetime:lifetime $($rest:tt)+) => {
        $crate::__static_arguments!(@[$trailing] [$($done)* 'static] $($rest)+)
    };
    (@[$trailing:ty] [$($done:tt)*] [& $($element:tt)+] $($rest:tt)*) => {
        $crate::__static_arguments!(@[$trailing] [$($done)* [&'static $($element)+]] $($rest)*)
    };
    (@[$trailing:ty] [$($done:tt)*] $token:tt $($rest:tt)*) => {
        $crate::__static_arguments!(@[$trailing] [$($done)* $token] $($rest)*)
    };
}

/// A function that calls a table's entry.
#[doc(hidden)]
#[macro_export]
macro_rules! __imp_fn {
    (
        $Objc:ident [$($head:tt)*] $name:ident ($($arg:ident: $ty:ty),* $(,)?)
        [$($ret:ty)?] [$($how:ident)*] [$($sel:tt)+] [$($fail:tt)*]
    ) => {
        #[inline(always)]
        #[allow(clippy::too_many_arguments)] // As many as the method has.
        $($head)* unsafe fn $name(&self, receiver: $crate::abi::Id, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: passed on to the caller.
            $crate::__answer!([$($how)*] [$($fail)*] unsafe {
                self.$name.call::<_, $crate::__sent_type!([$($how)*] [$($ret)?] [$($fail)*])>(
                    receiver,
                    $crate::__call!($Objc [$($how)*] [$($sel)+]),
                    ($($arg,)* <$crate::__trailing!([$($how)*] [$($ret)?] [$($fail)*] [$($sel)+])>::NEW,),
                )
            })
        }
    };
}

/// A method of the twin: the table's, on the twin's object.
#[doc(hidden)]
#[macro_export]
macro_rules! __direct_fn {
    ([$($head:tt)*] $name:ident ($($arg:ident: $ty:ty),* $(,)?) [$($ret:ty)?]) => {
        #[inline(always)]
        #[allow(clippy::too_many_arguments)] // As many as the method has.
        $($head)* fn $name(&self, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: `new` has compared the object's class with the table's, and the declaration
            // says that a method declared safe has no other demands.
            unsafe { self.imps.$name(self.object, $($arg),*) }
        }
    };
}

/// Refuses a method that could hand out a bad object without being `unsafe`.
#[doc(hidden)]
#[macro_export]
macro_rules! __require_unsafe {
    ($name:ident [] [autoreleased]) => { $crate::__require_unsafe!(@$name "autoreleased"); };
    ($name:ident [] [unchecked $($how:ident)*]) => { $crate::__require_unsafe!(@$name "unchecked"); };
    ($name:ident [$($unsafe:tt)*] [$($how:ident)*]) => {};
    (@$name:ident $word:literal) => {
        compile_error!(concat!(
            "`", stringify!($name), "` is `", $word, "`, so what it returns is only as good as its ",
            "caller is careful: declare it `unsafe fn`",
        ));
    };
}

/// Refuses a class method in a table of objects' methods.
#[doc(hidden)]
#[macro_export]
macro_rules! __require_instance {
    ($name:ident [class]) => {
        compile_error!(concat!(
            "`",
            stringify!($name),
            "` is a method of the class, which an IMP table of its objects ",
            "cannot hold",
        ));
    };
    ($name:ident [$($how:ident)*]) => {};
}

/// Refuses a class method where only a method of the object can be.
#[doc(hidden)]
#[macro_export]
macro_rules! __require_no_class {
    ($name:ident [class]) => {
        compile_error!(concat!(
            "`",
            stringify!($name),
            "` is a method of the class, and a trait adds methods to its ",
            "objects: declare a class of your own for it",
        ));
    };
    ($name:ident [$($how:ident)*]) => {};
}
