//! A method whose object may be nil or released is an `unsafe fn`.

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue;
    pub fn commands() -> Queue = autoreleased [commandBuffer]; //~ ERROR: what an `autoreleased` method returns is gone when the pool is drained: declare it `unsafe fn`
    pub fn commands_unchecked() -> Queue = unchecked [commandBuffer]; //~ ERROR: what an `unchecked` method returns may be nil: declare it `unsafe fn`
}

fn main() {}
