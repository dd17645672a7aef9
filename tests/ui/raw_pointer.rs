//! Only the caller can guarantee that a pointer is valid.

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub fn texture(descriptor: aruminium::abi::Id) -> Device = [newTextureWithDescriptor:]; //~ ERROR: this method takes a raw pointer, and only its caller can know whether that is valid: declare it `unsafe fn`
}

fn main() {}
