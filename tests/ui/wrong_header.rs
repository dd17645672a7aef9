//! Options of a class that are missing, unknown or out of order.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder, direct Batch<'a>; //~ ERROR: a direct type calls through a table, and this class has none: write `table, direct Name<'a>`
    pub fn finish() = [endEncoding];
}

aruminium::metal_class! {
    pub class Copier: MTLBlitCommandEncoder, table, direct CopyBatch; //~ ERROR: a direct type borrows an object and its table: write `direct Name<'a>`
    pub fn finish() = [endEncoding];
}

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue, table, labeled; //~ ERROR: a class has the options `labelled`, `table`, `direct Name<'a>` and `state Type`, in this order: not one of these
}

aruminium::metal_class! {
    pub class Commands: MTLCommandBuffer, table, labelled; //~ ERROR: a class has the options `labelled`, `table`
}

aruminium::metal_class! {
    pub trait More for Device, table; //~ ERROR: the methods that a trait adds have no entries in the class's table: declare a table of their own
    fn name() -> String = [name];
}

fn main() {}
