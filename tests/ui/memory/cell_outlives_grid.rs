//! A cell does not outlive its grid.

use aruminium::memory::Slab;

fn main() {
    let cell = Slab::new(64, 4).unwrap().take().unwrap(); //~ ERROR: temporary value dropped while borrowed
    cell.id();
}
