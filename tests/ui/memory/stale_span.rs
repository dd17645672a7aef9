//! A span does not outlive its tape.

use aruminium::memory::Tape;

fn main() {
    let span = {
        let tape = Tape::start(4096).unwrap();
        tape.slice::<f32>(16).unwrap() //~ ERROR: `tape` does not live long enough
    };
    span.view();
}
