//! The tests of exceptions in a program that has the symbols itself. With the profile `lto` it is optimised as a whole: what
//! the compiler concludes from the functions behind the symbols must not remove the clean-up of their callers.

// Without a use the crate is not linked.
use aruminium as _;

#[path = "exceptions.rs"]
mod exceptions;

#[test]
fn the_program_has_the_symbols() {
    let loaded = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!loaded.contains("libaruminium"), "{loaded}");
}
