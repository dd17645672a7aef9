//! Types that Objective-C does not know.
//~ MORE ERRORS: of the code that uses the types

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder;
    pub fn label(
        label: Vec<u8>, //~ ERROR: `Vec<u8>` cannot be passed in a message: it has no Objective-C encoding
    ) = [setLabel:];
    pub fn resources() -> Vec<u8> = [resources]; //~ ERROR: `Vec<u8>` cannot be returned by a message: it has no Objective-C encoding
}

fn main() {}
