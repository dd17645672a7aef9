//! unimem's own tests, as they are but for the crate that they use.

#![allow(unused, clippy::all)] // They are not ours.

/// What unimem's test of a handle asks of it. Here a handle is a file descriptor, but for Apple's systems.
trait IsNull {
    fn is_null(&self) -> bool;
}

impl IsNull for i32 {
    fn is_null(&self) -> bool {
        *self < 0
    }
}

include!(concat!(env!("OUT_DIR"), "/roundtrip.rs"));
