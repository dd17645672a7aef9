//! Unit tests of rings.

mod damage;
mod endings;
mod faults;
mod halo;
mod interop;
mod limits;
mod load;
mod mail;
mod model;
mod races;
mod stress;

use super::{Actor, Launch, Ring, RingOptions};
use crate::Gpu;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

const NOTHING: &str =
    "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {}";
const SEND: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.send(0, m); }";
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

fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
