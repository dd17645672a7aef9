//! Traits that guarantee a valid pointer cannot be implemented outside of the crate.

use aruminium::abi::Id;

struct Anything;

impl aruminium::Allocation for Anything { //~ ERROR: Sealed` is not satisfied
    fn allocation(&self) -> Id {
        Id::NIL
    }
}

impl aruminium::EventObject for Anything { //~ ERROR: Sealed` is not satisfied
    fn event(&self) -> Id {
        Id::NIL
    }
}

fn main() {}
