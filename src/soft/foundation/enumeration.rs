//! Fast enumeration: the message that `for (x in y)` sends to a collection.

use crate::abi::{Encode, Id};
use crate::soft::runtime::declare::values;
use crate::soft::runtime::object::Retained;

/// `NSFastEnumerationState`: the position of the loop, and the objects.
#[repr(C)]
pub(super) struct State {
    state: usize,
    items: *const Id,
    mutations: *const usize,
    extra: [usize; 5],
}

/// The address of a loop's state.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct StatePtr(*mut State);

// SAFETY: a pointer to the struct that the encoding spells.
unsafe impl Encode for StatePtr {
    const ENCODING: &'static str = "^{?=Q^@^Q[5Q]}";
}

values!(StatePtr);

/// Returns all objects of a collection at once. The loop ends the program when the number of changes at the
/// address differs after an object; null for a collection that does not change.
pub(super) fn enumerate(objects: &[Retained], changes: *const usize, state: StatePtr) -> usize {
    // SAFETY: the caller passed its state, which it has set to zero before the first message.
    let Some(state) = (unsafe { state.0.as_mut() }) else { return 0 };
    if state.state != 0 {
        return 0;
    }
    state.state = 1;
    state.items = objects.as_ptr().cast();
    state.mutations = if changes.is_null() { &raw const state.extra[0] } else { changes };
    objects.len()
}
