//! A twin calls through a table, so the table must be asked for.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder, direct Batch<'a>;
    pub fn finish() = [endEncoding];
}

//~ ERROR: write `class Encoder: MTLComputeCommandEncoder, table, direct Batch<'a>`

aruminium::metal_class! {
    pub trait More for Encoder, direct Batch<'a>;
    fn finish_again() = [endEncoding];
}

//~ ERROR: declare a table of their own with `imp_table!`

fn main() {}
