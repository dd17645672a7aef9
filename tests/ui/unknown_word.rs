//! Words before and after the selector that mean nothing.

aruminium::metal_class! {
    pub class Queue: MTLCommandQueue;
    pub fn device() -> Queue = [device];
    pub fn commands() -> Queue = retained [commandBuffer]; //~ ERROR: `class`, `unchecked` and `autoreleased` can stand before a selector, in this order: not one of these, or not in this order
}

aruminium::metal_class! {
    pub class Device: MTLDevice;
    pub unsafe fn queue() -> Queue = autoreleased unchecked [queue]; //~ ERROR: `class`, `unchecked` and `autoreleased` can stand before a selector, in this order
}

aruminium::metal_class! {
    pub class Library: MTLLibrary;
    pub fn function() -> Result<Library, String> = [function] otherwise String::from; //~ ERROR: this method's selector is followed by a word other than `or`, `else` and `because`
}

fn main() {}
