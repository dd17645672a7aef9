//! What a ring promises, from inside.

mod faults;
mod halo;
mod load;
mod mail;
mod model;

use super::{Actor, Launch, Ring, RingOptions};
use crate::Gpu;

const NOTHING: &str =
    "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
const ECHO: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s += 1; out.reply(m); }";

fn ring() -> Ring {
    Ring::open(&Gpu::open().unwrap()).unwrap()
}

fn ring_of(options: RingOptions) -> Ring {
    Ring::with(&Gpu::open().unwrap(), options).unwrap()
}

fn spawn(ring: &Ring, name: &str, code: &str, launch: Launch) -> Actor<u32, u32, u32> {
    ring.spawn(name, code, 0, launch).unwrap()
}
