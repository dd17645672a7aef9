//! Commands in memory stay on one thread: a clone is the same commands.

use aruminium::{IndirectCommand, IndirectCommands};

fn send<T: Send>() {}

fn main() {
    send::<IndirectCommands>(); //~ ERROR: cannot be sent between threads safely
    send::<IndirectCommand>(); //~ ERROR: cannot be sent between threads safely
    send::<&IndirectCommands>(); //~ ERROR: cannot be shared between threads safely
}
