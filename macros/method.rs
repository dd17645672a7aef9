//! The items that a parsed line becomes: a message, a call through a table, a method of the direct type, a row of
//! reflection data. `line.rs` describes the form in which lines are passed.

/// Which of the words `class`, `unchecked` and `autoreleased` stand before a selector.
#[doc(hidden)]
#[macro_export]
macro_rules! __how {
    (class [class $($how:ident)*]) => {
        true
    };
    (unchecked [$(class $($class:literal)?)? unchecked $($how:ident)*]) => {
        true
    };
    (autoreleased [$(class $($class:literal)?)? $(unchecked $($unchecked:literal)?)? autoreleased]) => {
        true
    };
    ($word:ident $how:tt) => {
        false
    };
}

/// The type that the message is sent for: the declared one, or a stand-in until the line's own conversion.
#[doc(hidden)]
#[macro_export]
macro_rules! __sent_type {
    ([class $($how:ident)*] $ret:tt $fail:tt) => { $crate::__sent_type!([$($how)*] $ret $fail) };
    ($how:tt [] []) => { () };
    ([unchecked $($how:ident)*] [$ret:ty] []) => { $crate::objc::Unchecked<$ret> };
    ($how:tt [$ret:ty] []) => { $ret };
    ($how:tt [$ret:ty] [$on:ident $fail:expr]) => {
        ::std::result::Result<<$ret as $crate::objc::Fallible>::Ok, $crate::objc::MessageError>
    };
    ($how:tt [] [$on:ident $fail:expr]) => { () };
}

/// The line's own conversion of the value that came back.
#[doc(hidden)]
#[macro_export]
macro_rules! __answer {
    ([class $($how:ident)*] $fail:tt $receiver:tt $answer:expr) => {
        $crate::__answer!([$($how)*] $fail $receiver $answer)
    };
    ([unchecked $($how:ident)*] [] $receiver:tt $answer:expr) => { $answer.0 };
    ($how:tt [or $fail:expr] $receiver:tt $answer:expr) => {
        $answer.map_err(|error| $fail(::std::string::String::from(error)))
    };
    ($how:tt [else $fail:expr] $receiver:tt $answer:expr) => { $answer.map_err(|_| $fail) };
    // SAFETY: the receiver was sent a message just now, so it is nil or alive.
    ($how:tt [because $fail:expr] $receiver:tt $answer:expr) => { $answer.map_err(|_| unsafe { $fail $receiver }) };
    // A word that `__check!` reports.
    ($how:tt [$on:ident $fail:expr] $receiver:tt $answer:expr) => { $answer.map_err(|_| ::std::unreachable!()) };
    ($how:tt [] $receiver:tt $answer:expr) => { $answer };
}

/// The constants of a call.
#[doc(hidden)]
#[macro_export]
macro_rules! __call {
    ([class $($how:ident)*] $Objc:ident $sel:tt) => { $crate::__call!(@"+" [$($how)*] $Objc $sel) };
    ($how:tt $Objc:ident $sel:tt) => { $crate::__call!(@"-" $how $Objc $sel) };
    (@$sign:literal $how:tt $Objc:ident $sel:tt) => {
        $crate::objc::Call {
            method: concat!($sign, "[", stringify!($Objc), " ", $crate::__selector_text!($sel), "]"),
            ownership: const {
                $crate::objc::Ownership::of(
                    $crate::__selector_text!($sel),
                    $crate::__how!(autoreleased $how),
                )
            },
            consumes: const { $crate::objc::consumes($crate::__selector_text!($sel)) },
        }
    };
}

/// The argument after the declared ones: the slot of an `error:` that the line catches, or nothing.
#[doc(hidden)]
#[macro_export]
macro_rules! __trailing {
    ($how:tt $ret:tt $fail:tt $sel:tt) => {
        $crate::objc::Trailing<{
            $crate::objc::catches::<$crate::__sent_type!($how $ret $fail)>($crate::__selector_text!($sel))
        }>
    };
}

/// A method that sends the message: to the class itself, to the object of a wrapper, or to that of any receiver.
#[doc(hidden)]
#[macro_export]
macro_rules! __send_fn {
    (class $Objc:ident ($about:tt $vis:tt $unsafe:tt $name:tt $args:tt $ret:tt [class $($how:ident)*] $($rest:tt)*)) => {
        $crate::__send_fn! {
            @$Objc ({
                static CLASS: $crate::objc::CachedClass =
                    $crate::objc::CachedClass::new(concat!(stringify!($Objc), "\0"));
                CLASS.get().as_id()
            }) [] $about $vis $unsafe $name $args $ret [class $($how)*] $($rest)*
        }
    };
    (class $Objc:ident ($($line:tt)*)) => {
        $crate::__send_fn! { @$Objc (self.object.as_raw()) [&self,] $($line)* }
    };
    (trait $Objc:ident ($about:tt $vis:tt $($line:tt)*)) => {
        $crate::__send_fn! { @$Objc ($crate::objc::ObjcClass::as_raw(self)) [&self,] [] [] $($line)* }
    };
    (
        @$Objc:ident ($receiver:expr) [$(&$me:ident,)?] [$($about:tt)*] [$($vis:tt)*] [$($unsafe:tt)?] $name:tt
        ($($arg:ident: $ty:ty),*) [$($ret:ty)?] $how:tt [$($sel:tt)+] $fail:tt
    ) => {
        $($about)*
        #[inline]
        #[allow(clippy::too_many_arguments)] // As many as the method has.
        $($vis)* $($unsafe)? fn $name($(&$me,)? $($arg: $ty),*) $(-> $ret)? {
            let message = $crate::objc::Message::<_, $crate::__sent_type!($how [$($ret)?] $fail)>::new(
                $crate::__cached_selector!($($sel)+),
            );
            let arguments = ($($arg,)* <$crate::__trailing!($how [$($ret)?] $fail [$($sel)+])>::NEW,);
            #[allow(dead_code)] // A class method has no wrapper to report to.
            const MESSAGE_USE: $crate::objc::MessageUse = $crate::objc::MessageUse::of($crate::__selector_text!([$($sel)+]));
            $($crate::objc::ObjcClass::sending($me, MESSAGE_USE, &arguments);)?
            // SAFETY: the declaration says that the class responds to this selector with these types, and that a
            // method declared safe has no other requirements.
            let answer = unsafe {
                message.send($receiver, $crate::__call!($how $Objc [$($sel)+]), arguments)
            };
            $($crate::objc::ObjcClass::sent($me, MESSAGE_USE);)?
            $($crate::objc::Return::begin(&answer, $me);)?
            $crate::__answer!($how $fail ($receiver) answer)
        }
    };
}

/// A method of a table: it calls the entry.
#[doc(hidden)]
#[macro_export]
macro_rules! __table_fn {
    (
        $Objc:ident
        ([$($about:tt)*] [$($vis:tt)*] $unsafe:tt $name:tt ($($arg:ident: $ty:ty),*) [$($ret:ty)?] $how:tt $sel:tt $fail:tt)
    ) => {
        $($about)*
        ///
        /// # Safety
        ///
        /// `receiver` is a live object that the table [`matches`](Self::matches), and the method's own
        /// requirements are met.
        #[inline(always)]
        #[allow(clippy::too_many_arguments)] // As many as the method has.
        $($vis)* unsafe fn $name(&self, receiver: $crate::abi::Id, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: passed on to the caller.
            $crate::__answer!($how $fail (receiver) unsafe {
                self.$name.call::<_, $crate::__sent_type!($how [$($ret)?] $fail)>(
                    receiver,
                    $crate::__call!($how $Objc $sel),
                    ($($arg,)* <$crate::__trailing!($how [$($ret)?] $fail $sel)>::NEW,),
                )
            })
        }
    };
}

/// A method of the direct type: that of the table, on the object that the type holds.
#[doc(hidden)]
#[macro_export]
macro_rules! __direct_fn {
    (
        ([$($about:tt)*] [$($vis:tt)*] [$($unsafe:tt)?] $name:tt ($($arg:ident: $ty:ty),*) [$($ret:ty)?] $($rest:tt)*)
    ) => {
        $($about)*
        #[inline(always)]
        #[allow(clippy::too_many_arguments)] // As many as the method has.
        $($vis)* $($unsafe)? fn $name(&self, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: `new` has compared the object's class with the table's, and the declaration says that a
            // method declared safe has no other requirements.
            unsafe { self.imps.$name(self.object, $($arg),*) }
        }
    };
}

/// The row of reflection data.
#[doc(hidden)]
#[macro_export]
macro_rules! __method_info {
    (
        ($about:tt $vis:tt $unsafe:tt $name:tt ($($arg:ident: $ty:ty),*) $ret:tt $how:tt $sel:tt $fail:tt)
    ) => {
        $crate::objc::MethodInfo::new::<
            ($($ty,)* $crate::__trailing!($how $ret $fail $sel),),
            $crate::__sent_type!($how $ret $fail),
        >(stringify!($name), $crate::__selector_text!($sel), $crate::__how!(class $how))
    };
}
