//! Selectors that do not parse.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn bind_buffer(buffer: usize, offset: usize) = [setBuffer:offset];
}

//~ ERROR: `setBuffer:offset` is not a selector: write one word, or words that each end in a colon

fn main() {
    let _ = aruminium::selector!(set Buffer:); //~ ERROR: is not a selector
}
