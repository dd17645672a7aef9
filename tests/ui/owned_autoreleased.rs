//! A method of the `new` family gives its object away: there is no pool to leave it to.

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub unsafe fn fence() -> Device = autoreleased [newFence];
}

//~ ERROR: Device::fence cannot be `autoreleased`: [newFence] gives its object to the caller

fn main() {}
