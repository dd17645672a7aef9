//! Rings compared with their parts: a call with a dispatch, a batch with single sends, tiles with plain Rust; and what
//! `ringkernel` declares figures for, which `specs/ring.md` has beside these.

use aruminium::ring::interop::{MessageHeader, write_message};
use aruminium::ring::{
    Actor, Border, Clock, Dims, Envelope, Halo, Hlc, Launch, Reach, Ring, RingError, Supervision,
    Topology,
};
use aruminium::{Dispatch, Gpu, GpuError};
use rounds::{compare, way};
use std::error::Error;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

mod rounds;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

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

const FORWARD: &str =
    "void handle(thread const Packet &m, thread Count &s, thread Outbox<Packet> &out) {
    s.handled += 1;
    if (out.has(0)) { out.send(0, m); } else { out.post(m); }
}";
const FAIL: &str =
    "void handle(thread const uint &m, thread Count &s, thread Outbox<uint> &out) { out.fail(m); }";

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
fn calls(gpu: &Gpu) -> Outcome {
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
fn batches(gpu: &Gpu) -> Outcome {
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
fn lanes(gpu: &Gpu) -> Outcome {
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

/// The clock, and a message as bytes of the other crate.
fn clocks() {
    let (clock, word, received) = (Clock::new(1), AtomicU64::new(0), Hlc::new(1, 0, 2));
    compare(
        "a clock",
        None,
        &mut [
            way!("compare-exchange", {
                let now = word.load(Ordering::Relaxed);
                let then = black_box(now + 1);
                word.compare_exchange(now, then, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            }),
            way!("Clock::tick", clock.tick()),
            way!("Clock::update", clock.update(black_box(received)).expect("it is not ahead")),
            way!("Clock::now", clock.now()),
        ],
    );
    let (header, packet) = (MessageHeader::default(), Envelope::new(Packet { words: [1; 16] }, 7));
    compare(
        "a message of the other crate",
        None,
        &mut [
            way!("a header to bytes", black_box(&header).to_bytes()),
            way!("a message to bytes", write_message(black_box(&packet), None)),
        ],
    );
}

/// The time to spawn `times` actors, in rings that have few.
fn spawned(gpu: &Gpu, times: usize) -> Result<Duration, RingError> {
    const EACH: usize = 256;
    let names: Vec<String> = (0..=EACH).map(|i| format!("{i}")).collect();
    let (mut time, mut left) = (Duration::ZERO, times);
    while left > 0 {
        let ring = Ring::open(gpu)?;
        let spawn = |name| {
            let launch = Launch::new().capacity(16);
            ring.spawn::<u32, u32, Count>(name, ECHO, Count { handled: 0 }, launch)
        };
        // Compiles the handler.
        spawn(&names[EACH])?;
        let count = left.min(EACH);
        let start = Instant::now();
        for name in &names[..count] {
            spawn(name)?;
        }
        time += start.elapsed();
        left -= count;
    }
    Ok(time)
}

/// The lives of actors: a new one of a known handler; one that fails, and is restarted.
fn lives(gpu: &Gpu) -> Outcome {
    let ring = Ring::open(gpu)?;
    let launch = Launch::new().supervision(Supervision::Restart { limit: u32::MAX });
    let fails = ring.spawn::<u32, u32, Count>("fails", FAIL, Count { handled: 0 }, launch)?;
    compare(
        "an actor",
        None,
        &mut [
            way!("spawned", timed | times | spawned(gpu, times).expect("actors")),
            way!("failed and restarted", {
                fails.send(1).expect("there is room");
                assert_eq!(ring.tick().expect("it is restarted").faults.len(), 1);
                ring.take_dead_letters()
            }),
        ],
    );
    Ok(())
}

/// Messages through four actors in a row.
fn pipelines(gpu: &Gpu) -> Outcome {
    const COUNT: usize = 4096;
    let ring = Ring::open(gpu)?;
    let stages = (0..4)
        .map(|i| {
            let launch = Launch::new().capacity(COUNT as u32);
            ring.spawn::<Packet, Packet, Count>(
                &format!("{i}"),
                FORWARD,
                Count { handled: 0 },
                launch,
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    for pair in stages.windows(2) {
        ring.connect(pair[0].id(), pair[1].id())?;
    }
    let packets = vec![Packet { words: [1; 16] }; COUNT];
    compare(
        "64 B through four actors",
        Some(COUNT),
        &mut [way!("sent, and received", {
            stages[0].send_all(&packets).expect("there is room");
            ring.run(5).expect("it runs");
            for _ in 0..COUNT {
                black_box(stages[3].try_receive().expect("it is there"));
            }
        })],
    );
    Ok(())
}

const HEAT: &str = "
    kernel void heat_3d(device const float *from [[buffer(0)]], device float *to [[buffer(1)]],
                        constant uint &tile [[buffer(2)]], uint3 at [[thread_position_in_grid]]) {
        uint row = tile + 2, layer = row * row;
        uint i = at.z / tile * layer * row + (at.z % tile + 1) * layer + (at.y + 1) * row + at.x + 1;
        float around = (from[i - 1] + from[i + 1]) + (from[i - row] + from[i + row]) + (from[i - layer] + from[i + layer]);
        to[i] = from[i] + 0.1f * (around - 6.0f * from[i]);
    }
    kernel void heat(device const float *from [[buffer(0)]], device float *to [[buffer(1)]],
                     constant uint &tile [[buffer(2)]], uint3 at [[thread_position_in_grid]]) {
        uint row = tile + 2;
        uint i = at.z * row * row + (at.y + 1) * row + at.x + 1;
        float around = (from[i - 1] + from[i + 1]) + (from[i - row] + from[i + row]);
        to[i] = from[i] + 0.2f * (around - 4.0f * from[i]);
    }";

/// Steps of a stencil over tiles of one width along each axis, exchanges included.
fn steps_on_tiles(
    gpu: &Gpu,
    kernel: &str,
    (grid, tile): (Dims, Dims),
    steps: usize,
) -> Outcome<impl FnMut() -> Outcome> {
    let halo = Halo::new(gpu, grid, tile, 1, Border::Constant(0.0f32), Reach::Faces)?;
    let (one, other) = (halo.tiles(gpu)?, halo.tiles(gpu)?);
    let pipeline = gpu.pipeline(&gpu.compile(HEAT)?.function(kernel)?)?;
    let queue = gpu.new_command_queue()?;
    let threads = (tile[0], tile[1], tile[2] * grid.iter().product::<usize>());
    Ok(move || {
        let commands = queue.commands()?;
        let encoder = commands.encoder()?;
        for step in 0..steps {
            let (from, to) = if step % 2 == 0 { (&one, &other) } else { (&other, &one) };
            halo.encode(&encoder, from)?;
            encoder.bind(&pipeline);
            encoder.bind_buffer(from.buffer(), 0, 0);
            encoder.bind_buffer(to.buffer(), 0, 1);
            encoder.push(&(tile[0] as u32).to_ne_bytes(), 2);
            encoder.launch(threads, (tile[0], 4, 1));
        }
        encoder.finish();
        commands.submit();
        Ok(commands.finish()?)
    })
}

/// A volume, as `ringkernel` declares a figure for: no plain Rust beside it.
fn volumes(gpu: &Gpu) -> Outcome {
    const STEPS: usize = 8;
    let mut steps = steps_on_tiles(gpu, "heat_3d", ([2; 3], [32; 3]), STEPS)?;
    compare(
        "8 steps of 64 x 64 x 64 cells",
        Some(STEPS << 18),
        &mut [way!("2 x 2 x 2 tiles, exchanged", steps().expect("it runs"))],
    );
    Ok(())
}

/// A step of heat on tiles, the exchange included.
fn stencils(gpu: &Gpu) -> Outcome {
    const TILES: usize = 8;
    const TILE: usize = 128;
    const SIDE: usize = TILES * TILE;
    const STEPS: usize = 8;
    let sizes = ([TILES, TILES, 1], [TILE, TILE, 1]);
    let mut steps = steps_on_tiles(gpu, "heat", sizes, STEPS)?;
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
    let halo = Halo::new(gpu, sizes.0, sizes.1, 1, Border::Constant(0.0f32), Reach::Faces)?;
    let (queue, one) = (gpu.new_command_queue()?, halo.tiles(gpu)?);
    let exchange = || halo.exchange(&queue, &one).expect("it runs");
    compare(
        "an exchange of 8 x 8 tiles",
        Some(halo.stat().cells as usize),
        &mut [way!("one launch", exchange())],
    );
    Ok(())
}

fn main() -> Outcome {
    let gpu = Gpu::open()?;
    calls(&gpu)?;
    batches(&gpu)?;
    lanes(&gpu)?;
    pipelines(&gpu)?;
    lives(&gpu)?;
    clocks();
    volumes(&gpu)?;
    stencils(&gpu)
}
