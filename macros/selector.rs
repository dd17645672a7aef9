//! `selector!`: a selector written as tokens, registered once.

/// A registered selector, in Objective-C's own spelling.
///
/// The text becomes a NUL-terminated static that is registered on first use; later uses are one
/// relaxed load.
///
/// ```
/// use aruminium::selector;
/// assert_eq!(selector!(setBuffer:offset:atIndex:), selector!(setBuffer:offset:atIndex:));
/// assert_ne!(selector!(commit), selector!(enqueue));
/// ```
#[macro_export]
macro_rules! selector {
    ($word:ident) => { $crate::__cached_selector!($word).get() };
    ($($word:ident :)+) => { $crate::__cached_selector!($($word:)+).get() };
    ($($other:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($($other)*), "` is not a selector: write one word, or words that each ",
            "end in a colon, as in `setBuffer:offset:atIndex:`",
        ))
    };
}

/// A reference to the selector's static.
#[doc(hidden)]
#[macro_export]
macro_rules! __cached_selector {
    ($($sel:tt)+) => {{
        static SELECTOR: $crate::objc::CachedSelector = $crate::objc::CachedSelector::new(
            concat!($crate::__selector_text!([$($sel)+]), "\0"),
        );
        &SELECTOR
    }};
}

/// The text of a selector. Tokens that are no selector are reported by `__check!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __selector_text {
    ([$word:ident]) => { stringify!($word) };
    ([$($word:ident :)+]) => { concat!($(stringify!($word), ":"),+) };
    ([$($other:tt)*]) => { stringify!($($other)*) };
}
