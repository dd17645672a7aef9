//! The runtime, tested through its C functions.

mod send;
