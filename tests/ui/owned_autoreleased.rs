//! A method of the `new` family gives its object away: there is no pool to leave it to.

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub unsafe fn fence() -> Device = autoreleased [newFence];
}

//~ ERROR: a method of this family returns an object that the caller owns

fn main() {}
