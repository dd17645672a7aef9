//! A method of the `new` family gives its object to the caller: there is no pool to leave it to.

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub unsafe fn fence() -> Device = autoreleased [newFence]; //~ ERROR: a method of this family gives its object to the caller, not to a pool: remove `autoreleased`
}

fn main() {}
