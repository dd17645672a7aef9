//! A tape is not reset while a span lives.

use aruminium::memory::Tape;

fn main() {
    let mut tape = Tape::start(4096).unwrap();
    let span = tape.slice::<f32>(16).unwrap();
    tape.reset(); //~ ERROR: cannot borrow `tape` as mutable
    span.view();
}
