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
    ($($text:tt)+) => { $crate::__cached_selector!($($text)+).get() };
}

/// A reference to the selector's static.
#[doc(hidden)]
#[macro_export]
macro_rules! __cached_selector {
    ($($text:tt)+) => {{
        static SELECTOR: $crate::objc::CachedSelector = $crate::objc::CachedSelector::new(
            concat!($crate::__selector_text!($($text)+), "\0"),
        );
        &SELECTOR
    }};
}

/// The text of a selector, or an error that says how to write one.
#[doc(hidden)]
#[macro_export]
macro_rules! __selector_text {
    ($word:ident) => { stringify!($word) };
    ($($word:ident :)+) => { concat!($(stringify!($word), ":"),+) };
    ($($other:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($($other)*), "` is not a selector: write one word, or words that each ",
            "end in a colon, as in `setBuffer:offset:atIndex:`",
        ))
    };
}
