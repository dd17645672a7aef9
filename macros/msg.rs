//! `msg!`: any message to any object, without a declaration.

/// Sends a message.
///
/// `msg!(receiver, [selector: argument, …] -> Type)`, in an `unsafe` block: the caller promises that
/// the receiver responds to the selector with these types. Literals need their
/// type, as in `3usize`. In debug builds the types are compared with the encoding of the method that
/// is called, and a call that would misplace a value panics.
///
/// A trailing `error: _` catches the error of a message that returns a `Result`.
///
/// ```
/// use aruminium::{msg, foundation::NSString};
/// let text = NSString::from("metal");
/// // SAFETY: these are `NSString`'s methods, with these types.
/// unsafe {
///     assert_eq!(msg!(text, [length] -> usize), 5);
///     assert!(msg!(text, [hasPrefix: "met"] -> bool));
///     let loud = msg!(text, [uppercaseString] -> String);
///     assert_eq!(loud, "METAL");
/// }
/// ```
#[macro_export]
macro_rules! msg {
    ($receiver:expr, [$($message:tt)+]) => { $crate::msg!($receiver, [$($message)+] -> ()) };
    ($receiver:expr, [$($message:tt)+] -> $ret:ty) => {
        $crate::__msg!(@[$receiver] [$ret] [] [] $($message)+)
    };
}

/// Parses a message: one word, or words with their arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __msg {
    (@[$receiver:expr] [$ret:ty] [] [] $word:ident) => {
        $crate::__msg!(@send [$receiver] [$ret] [$word] [] false)
    };
    (@[$receiver:expr] [$ret:ty] [$($sel:tt)*] [$($arg:expr,)*] error: _) => {
        $crate::__msg!(@send [$receiver] [$ret] [$($sel)* error:] [$($arg,)*] true)
    };
    (@[$receiver:expr] [$ret:ty] [$($sel:tt)*] [$($arg:expr,)*] $word:ident : $next:expr, $($rest:tt)+) => {
        $crate::__msg!(@[$receiver] [$ret] [$($sel)* $word:] [$($arg,)* $next,] $($rest)+)
    };
    (@[$receiver:expr] [$ret:ty] [$($sel:tt)*] [$($arg:expr,)*] $word:ident : $last:expr $(,)?) => {
        $crate::__msg!(@send [$receiver] [$ret] [$($sel)* $word:] [$($arg,)* $last,] false)
    };
    (@[$receiver:expr] [$ret:ty] [] [] $($other:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($($other)*), "` is not a message: write one word, or words that each have ",
            "an argument, as in `[setBuffer: buffer, offset: 0usize, atIndex: 1usize]`",
        ))
    };
    (@send [$receiver:expr] [$ret:ty] [$($sel:tt)+] [$($arg:expr,)*] $catches:literal) => {{
        let message = $crate::objc::Message::<_, $ret>::new($crate::__cached_selector!($($sel)+));
        // A `match` keeps what its subject borrows from alive to its end.
        match (&$receiver, ($($arg,)* $crate::objc::Trailing::<$catches>::NEW,)) {
            (receiver, arguments) => message.send(
                $crate::objc::Receiver::receiver(receiver),
                $crate::objc::Call {
                    method: concat!("[", $crate::__selector_text!([$($sel)+]), "]"),
                    ownership: const {
                        $crate::objc::Ownership::of($crate::__selector_text!([$($sel)+]), false)
                    },
                    // A wrapper keeps its reference count; a bare pointer has none to keep.
                    consumes: const { $crate::objc::consumes($crate::__selector_text!([$($sel)+])) }
                        && $crate::objc::keeps(receiver),
                },
                arguments,
            ),
        }
    }};
}
