//! Commands in memory keep nothing alive, so that executing them is unsafe.

use aruminium::{Buffer, Encoder, IndirectCommands};

pub fn execute(encoder: &Encoder, commands: &IndirectCommands, range: &Buffer) {
    encoder.execute(commands, (0..1).into()); //~ ERROR: is unsafe
    encoder.execute_indirect(commands, range, 0); //~ ERROR: is unsafe
}

fn main() {}
