//! Refuses a second copy of this runtime in the same process.
//!
//! Each copy has classes and selectors of its own, so an object of one that reaches the other is used as
//! something it is not.

use super::fatal::fatal;
use crate::soft::system;

/// Ends the program if another copy of the runtime is in it.
pub(super) fn refuse_others() {
    if let [first, second, ..] = &system::copies()[..] {
        fatal(format_args!(
            "two copies of its Objective-C runtime are in this process, in {first} and in {second}: objects of \
             one do not work with the other; link to one of them only"
        ));
    }
}

#[test]
fn this_runtime_is_found_once() {
    assert_eq!(system::copies().len(), 1);
}
