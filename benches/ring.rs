//! Rings compared with their parts: a call with a dispatch, a batch with single sends, tiles with plain Rust.

use aruminium::ring::{Actor, Border, Halo, Launch, Reach, Ring, Topology};
use aruminium::{Dispatch, Gpu, GpuError};
use rounds::{compare, way};
use std::error::Error;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

mod rounds;

aruminium::message! {
    /// 64 bytes.
    struct Packet { words: [u32; 16] }
    struct Count { handled: u32 }
}

const ECHO: &str = "void handle(thread const uint &m, thread Count &s, thread Outbox<uint> &out) { s.handled += 1; out.reply(m); }";
const SINK: &str = "void handle(thread const Packet &m, thread Count &s, thread Outbox<uint> &out) { s.handled += m.words[0]; }";
const PASS: &str =
    "void handle(thread const Packet &m, thread Count &s, thread Outbox<Packet> &out) {
    s.handled += 1;
    Packet next = m;
    next.words[0] = m.words[0] - 1;
    if (m.words[0] > 0) { out.send(0, next); } else { out.post(m); }
}";

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

/// The time from a call of an idle ring to the reply.
fn calls(gpu: &Gpu) -> Result<(), Box<dyn Error>> {
    let source = "kernel void one(device uint *x) { x[0] += 1; }";
    let pipeline = gpu.pipeline(&gpu.compile(source)?.function("one")?)?;
    let buffer = gpu.buffer(4)?;
    let dispatch = Dispatch::new(&gpu.new_command_queue()?);
    let bare = || -> Result<(), GpuError> {
        // SAFETY: the buffer outlives the call, which waits.
        unsafe { dispatch.dispatch(&pipeline, &[(&buffer, 0, 0)], (1, 1, 1), (1, 1, 1)) }
    };
    let ring = Ring::open(gpu)?;
    let echo = ring.spawn::<u32, u32, Count>("echo", ECHO, Count { handled: 0 }, Launch::new())?;
    compare(
        "a call of an actor",
        None,
        &mut [
            way!("a bare dispatch", bare().expect("it runs")),
            way!("an empty tick", ring.tick().expect("it runs").idle),
            way!("call, blocking", echo.call(1).wait().expect("a reply")),
            way!("call, a future", block_on(echo.call(1)).expect("a reply")),
        ],
    );
    Ok(())
}

/// 4,096 messages to one actor: in one batch, and one tick for each.
fn batches(gpu: &Gpu) -> Result<(), Box<dyn Error>> {
    const COUNT: usize = 4096;
    let ring = Ring::open(gpu)?;
    let launch = Launch::new().capacity(COUNT as u32);
    let sink = ring.spawn::<Packet, u32, Count>("sink", SINK, Count { handled: 0 }, launch)?;
    let packets = vec![Packet { words: [1; 16] }; COUNT];
    compare(
        "4096 messages of 64 B",
        Some(COUNT),
        &mut [
            way!("in one batch", {
                sink.send_all(&packets).expect("there is room");
                ring.tick().expect("it runs").handled
            }),
            way!("one tick for each", {
                for packet in &packets {
                    sink.send(*packet).expect("there is room");
                    ring.tick().expect("it runs");
                }
            }),
        ],
    );
    Ok(())
}

/// Messages between actors, without the host.
fn lanes(gpu: &Gpu) -> Result<(), Box<dyn Error>> {
    const ACTORS: usize = 64;
    const EACH: usize = 32;
    const HOPS: usize = 63;
    let ring = Ring::open(gpu)?;
    let mut actors = Vec::new();
    for i in 0..ACTORS {
        let launch = Launch::new().capacity(256);
        actors.push(ring.spawn::<Packet, Packet, Count>(
            &format!("{i}"),
            PASS,
            Count { handled: 0 },
            launch,
        )?);
    }
    let ids: Vec<_> = actors.iter().map(Actor::id).collect();
    ring.topology(&ids, &Topology::Ring)?;
    let packets = vec![Packet { words: [HOPS as u32; 16] }; EACH];
    compare(
        "64 B around 64 actors",
        Some(ACTORS * EACH * (HOPS + 1)),
        &mut [way!("64 ticks a submission", {
            for actor in &actors {
                actor.send_all(&packets).expect("there is room");
            }
            ring.run(HOPS as u64 + 2).expect("it runs");
            for actor in &actors {
                while actor.try_receive().expect("it is there").is_some() {}
            }
        })],
    );
    Ok(())
}

const HEAT: &str = "
    kernel void heat(device const float *from [[buffer(0)]], device float *to [[buffer(1)]],
                     constant uint &tile [[buffer(2)]], uint3 at [[thread_position_in_grid]]) {
        uint row = tile + 2;
        uint i = at.z * row * row + (at.y + 1) * row + at.x + 1;
        float around = (from[i - 1] + from[i + 1]) + (from[i - row] + from[i + row]);
        to[i] = from[i] + 0.2f * (around - 4.0f * from[i]);
    }";

/// A step of heat on tiles, the exchange included.
fn stencils(gpu: &Gpu) -> Result<(), Box<dyn Error>> {
    const TILES: usize = 8;
    const TILE: usize = 128;
    const SIDE: usize = TILES * TILE;
    const STEPS: usize = 8;
    let halo = Halo::new(
        gpu,
        [TILES, TILES, 1],
        [TILE, TILE, 1],
        1,
        Border::Constant(0.0f32),
        Reach::Faces,
    )?;
    let (one, other) = (halo.tiles(gpu)?, halo.tiles(gpu)?);
    let pipeline = gpu.pipeline(&gpu.compile(HEAT)?.function("heat")?)?;
    let queue = gpu.new_command_queue()?;
    let steps = || -> Result<(), Box<dyn Error>> {
        let commands = queue.commands()?;
        let encoder = commands.encoder()?;
        for step in 0..STEPS {
            let (from, to) = if step % 2 == 0 { (&one, &other) } else { (&other, &one) };
            halo.encode(&encoder, from)?;
            encoder.bind(&pipeline);
            encoder.bind_buffer(from.buffer(), 0, 0);
            encoder.bind_buffer(to.buffer(), 0, 1);
            encoder.push(&(TILE as u32).to_ne_bytes(), 2);
            encoder.launch((TILE, TILE, TILES * TILES), (TILE, 4, 1));
        }
        encoder.finish();
        commands.submit();
        Ok(commands.finish()?)
    };
    let row = SIDE + 2;
    let (mut plate, mut next) = (vec![1.0f32; row * row], vec![0.0f32; row * row]);
    let mut plain = || {
        for _ in 0..STEPS {
            for y in 1..=SIDE {
                let [above, here, below] =
                    [y - 1, y, y + 1].map(|y| &plate[y * row..(y + 1) * row]);
                let to = &mut next[y * row..(y + 1) * row];
                for x in 1..=SIDE {
                    let around = (here[x - 1] + here[x + 1]) + (above[x] + below[x]);
                    to[x] = here[x] + 0.2 * (around - 4.0 * here[x]);
                }
            }
            std::mem::swap(&mut plate, &mut next);
        }
        black_box(&plate);
    };
    compare(
        "8 steps of 1024 x 1024 cells",
        Some(STEPS * SIDE * SIDE),
        &mut [
            way!("plain Rust, one thread", plain()),
            way!("8 x 8 tiles, exchanged", steps().expect("it runs")),
        ],
    );
    let exchange = || halo.exchange(&queue, &one).expect("it runs");
    compare(
        "an exchange of 8 x 8 tiles",
        Some(halo.stat().cells as usize),
        &mut [way!("one launch", exchange())],
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let gpu = Gpu::open()?;
    calls(&gpu)?;
    batches(&gpu)?;
    lanes(&gpu)?;
    stencils(&gpu)
}
