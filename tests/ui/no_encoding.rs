//! Types that Objective-C does not know.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn label(label: Vec<u8>) = [setLabel:];
    pub fn resources() -> Vec<u8> = [resources];
}

//~ ERROR: `Vec<u8>` cannot be passed in a message: it has no Objective-C encoding
//~ ERROR: `Vec<u8>` cannot be returned by a message: it has no Objective-C encoding

fn main() {}
