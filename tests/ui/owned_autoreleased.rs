//! The caller owns the object of a method of the `new` family: it is in no pool.

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub unsafe fn fence() -> Device = autoreleased [newFence]; //~ ERROR: a method of this family gives its object to the caller, not to a pool: remove `autoreleased`
}

fn main() {}
