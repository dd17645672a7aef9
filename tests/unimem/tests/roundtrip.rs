//! unimem's own tests, unchanged except for the crate that they use.

#![allow(unused, clippy::all)] // They are not ours.

/// The method that unimem's test calls on a handle, which is a file descriptor except on Apple's systems.
trait IsNull {
    fn is_null(&self) -> bool;
}

impl IsNull for i32 {
    fn is_null(&self) -> bool {
        *self < 0
    }
}

include!(concat!(env!("OUT_DIR"), "/roundtrip.rs"));
