//! Two arguments for a selector of three.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn bind_buffer(buffer: &aruminium::foundation::NSData, index: usize) = [setBuffer:offset:atIndex:]; //~ ERROR: this method passes 2 arguments, but its selector takes 3
}

fn main() {}
