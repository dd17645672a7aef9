//! Only plain types are viewed.

use aruminium::memory::Block;

fn main() {
    Block::open(4096).unwrap().view::<bool>(); //~ ERROR: the trait bound `bool: Plain` is not satisfied
}
