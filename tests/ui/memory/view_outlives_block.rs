//! A view does not outlive the handle to its block.

use aruminium::memory::Block;

fn main() {
    let view = Block::open(4096).unwrap().view::<f32>(); //~ ERROR: temporary value dropped while borrowed
    view.len();
}
