//! Two arguments for a selector of three.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn bind_buffer(buffer: &aruminium::foundation::NSData, index: usize) = [setBuffer:offset:atIndex:];
}

//~ ERROR: Encoder::bind_buffer passes 2 arguments, but [setBuffer:offset:atIndex:] takes 3

fn main() {}
