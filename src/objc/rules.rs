//! The rules for declarations, as traits whose messages the compiler prints: `__check!` requires each of them at the
//! user's own token. (A message does not name the token, since the type's name would be a path.)
//!
//! A rule's parameter is `true` if the declaration breaks the rule: the trait is implemented for every type with
//! `false`, and for none with `true`. A rule without a parameter is broken wherever a macro mentions it.

use crate::abi::{Family, colons};

macro_rules! rules {
    ($($(#[$about:meta])* $name:ident: $message:literal, $label:literal;)+) => {$(
        $(#[$about])*
        #[diagnostic::on_unimplemented(message = $message, label = $label)]
        pub trait $name<const BROKEN: bool = true> {}
        impl<T> $name<false> for T {}
    )+};
}

rules! {
    /// Only the caller can know whether a raw pointer is valid.
    VouchesForPointers: "this method takes a raw pointer, and only its caller can know whether that is valid",
        "declare it `unsafe fn`";
    /// An object that is left to a pool is released with the pool.
    AutoreleasedIsUnsafe: "what an `autoreleased` method returns is gone when the pool is drained",
        "declare it `unsafe fn`";
    /// An unchecked object may be nil.
    UncheckedIsUnsafe: "what an `unchecked` method returns may be nil", "declare it `unsafe fn`";
    /// An object that belongs to the caller is in no pool.
    NotGivenAway: "a method of this family gives its object to the caller, not to a pool", "remove `autoreleased`";
    /// Tables and traits hold methods of objects.
    NotOfTheClass: "this is a method of the class itself; tables and traits hold methods of its objects",
        "declare it in a `class` without `table`";
    /// A selector has Objective-C's form.
    NotASelector: "this method's selector is neither one word nor words that each end in a colon",
        "write its selector as in `[commit]` or `[setBuffer:offset:atIndex:]`";
    /// The words before a selector.
    WordBeforeSelector: "`class`, `unchecked` and `autoreleased` can stand before a selector, in this order",
        "not one of these, or not in this order";
    /// The words after a selector.
    WordAfterSelector: "this method's selector is followed by a word other than `or`, `else` and `because`",
        "write `… or Function` or `… else value`";
    /// The receiver is not declared.
    DeclaresSelf: "this method declares `self`, which every method has", "leave `self` out";
    /// Options of a class.
    NoOptionHere: "a class has the options `labelled`, `table`, `direct Name<'a>` and `state Type`, in this order",
        "not one of these, or not in this order";
    /// A direct type calls through a table.
    DirectNeedsTable: "a direct type calls through a table, and this class has none", "write `table, direct Name<'a>`";
    /// A direct type borrows an object and its table.
    DirectNeedsALifetime: "a direct type borrows an object and its table", "write `direct Name<'a>`";
    /// Traits have no options.
    NoOptionOfATrait: "the methods that a trait adds have no entries in the class's table",
        "declare a table of their own with `imp_table!`";
}

/// A method passes as many arguments as its selector takes.
#[diagnostic::on_unimplemented(
    message = "this method passes {PASSES} arguments, but its selector takes {TAKES}",
    label = "a slice is two arguments, and a trailing `error:` of a `Result` is not declared"
)]
pub trait Fits<const PASSES: usize, const TAKES: usize> {}
impl<T, const COUNT: usize> Fits<COUNT, COUNT> for T {}

/// How many arguments a selector takes.
pub const fn takes(selector: &str) -> usize {
    colons(selector)
}

/// Whether a method's object belongs to its caller.
pub const fn gives_away(selector: &str) -> bool {
    Family::of(selector).returns_owned()
}
