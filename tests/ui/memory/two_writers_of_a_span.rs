//! A span has one mutable view, and none beside it.

use aruminium::memory::Tape;

fn main() {
    let tape = Tape::start(4096).unwrap();
    let mut span = tape.slice::<f32>(16).unwrap();
    let view = span.view_mut();
    span.view(); //~ ERROR: cannot borrow `span` as immutable
    drop(view);
}
