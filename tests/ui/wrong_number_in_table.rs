//! A slice is two arguments: its pointer and its length.

aruminium::imp_table! {
    pub table EncoderImps: MTLComputeCommandEncoder;
    pub fn push(bytes: &[u8], length: usize, index: usize) = [setBytes:length:atIndex:]; //~ ERROR: this method passes 4 arguments, but its selector takes 3: a slice is two arguments
}

fn main() {}
