//! A mistake without a message of ours is reported by the compiler, at the token where it stops.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn bind(index: usize) = [bind:];
    pub fn label() -> Option<String> [label]; //~ ERROR: no rules expected `[`
}

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue;
    pub fn device<T>() = [device]; //~ ERROR: no rules expected `<`
}

fn main() {}
