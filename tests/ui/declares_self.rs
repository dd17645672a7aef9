//! The receiver is not declared.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn label() -> Option<String> = [label];
    pub fn finish(&self) = [endEncoding]; //~ ERROR: this method declares `self`, which every method has: leave `self` out
}

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue;
    pub fn finish(self) = [finish]; //~ ERROR: this method declares `self`
}

fn main() {}
