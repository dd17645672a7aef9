//! A thread's part of a tape is not reset while a span of it lives.

use aruminium::memory::Tape;

fn main() {
    let tape = Tape::start(4096).unwrap();
    let mut local = tape.local(1024).unwrap();
    let span = local.slice::<f32>(16).unwrap();
    local.reset(); //~ ERROR: cannot borrow `local` as mutable
    span.view();
}
