//! A tape is not rewound while a span lives.

use aruminium::memory::Tape;

fn main() {
    let mut tape = Tape::start(4096).unwrap();
    let mark = tape.mark();
    let span = tape.slice::<f32>(16).unwrap();
    tape.rewind(mark); //~ ERROR: cannot borrow `tape` as mutable
    span.view();
}
