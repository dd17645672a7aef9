//! One frame lives at a time.

use aruminium::memory::Frames;

fn main() {
    let gpu = aruminium::Gpu::open().unwrap();
    let mut frames = Frames::new(&gpu, 2, 4096).unwrap();
    let first = frames.next().unwrap();
    let second = frames.next().unwrap(); //~ ERROR: cannot borrow `frames` as mutable more than once
    drop((first, second));
}
