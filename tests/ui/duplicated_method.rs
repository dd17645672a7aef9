//! One name for two methods.
//~ MORE ERRORS: of the methods themselves

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn finish() = [endEncoding];
    pub fn finish() = [popDebugGroup]; //~ ERROR: the name `finish` is defined multiple times
}

fn main() {}
