//! What may be dangling or nil is for callers who promise to take care.

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue;
    pub fn commands() -> Queue = autoreleased [commandBuffer];
    pub fn commands_unchecked() -> Queue = unchecked [commandBuffer];
}

//~ ERROR: `commands` is `autoreleased`, so what it returns is only as good as its caller is careful: declare it `unsafe fn`
//~ ERROR: `commands_unchecked` is `unchecked`

fn main() {}
