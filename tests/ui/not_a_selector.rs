//! Selectors that do not parse.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder, table;
    pub fn bind_buffer(buffer: usize, offset: usize) = [setBuffer:offset]; //~ ERROR: this method's selector is neither one word nor words that each end in a colon
    pub fn finish() = [endEncoding];
}

fn main() {
    let _ = aruminium::selector!(set Buffer:); //~ ERROR: is not a selector
}
