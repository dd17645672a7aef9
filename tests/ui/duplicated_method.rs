//! One name for two methods.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn finish() = [endEncoding];
    pub fn finish() = [popDebugGroup];
}

//~ ERROR: duplicate definitions with name `finish`

fn main() {}
