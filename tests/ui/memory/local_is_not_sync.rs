//! A part of a tape belongs to one thread at a time.

use aruminium::memory::Local;

fn sync<T: Sync>() {}

fn main() {
    sync::<Local<'_>>(); //~ ERROR: cannot be shared between threads safely
}
