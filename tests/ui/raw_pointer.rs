//! Only the caller can vouch for a pointer.

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub fn texture(descriptor: aruminium::abi::Id) -> Device = [newTextureWithDescriptor:]; //~ ERROR: this method takes a raw pointer, which only its caller can vouch for: declare it `unsafe fn`
}

fn main() {}
