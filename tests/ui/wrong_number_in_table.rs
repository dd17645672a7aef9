//! A slice is two arguments: its pointer and its length.

aruminium::imp_table! {
    pub table EncoderImps: MTLComputeCommandEncoder;
    pub fn push(bytes: &[u8], length: usize, index: usize) = [setBytes:length:atIndex:];
}

//~ ERROR: EncoderImps::push passes 4 arguments, but [setBytes:length:atIndex:] takes 3

fn main() {}
