//! A word before the selector that means nothing.

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue;
    pub fn commands() -> Queue = retained [commandBuffer];
}

//~ ERROR: before a selector stand `class`, `autoreleased`, `unchecked` or `unchecked autoreleased`, not `retained`

fn main() {}
