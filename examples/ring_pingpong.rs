//! Two actors that send a message back and forth on the device, without the host.
//!
//! `cargo run --release --features ring --example ring_pingpong`

use aruminium::Gpu;
use aruminium::ring::{Launch, Ring, RingError};
use std::time::{Duration, Instant};

aruminium::message! {
    /// A ball, and the number of hits left.
    struct Ball { left: u32 }
    struct Player { hits: u32 }
}

const HANDLER: &str = "
    void handle(thread const Ball &ball, thread Player &player, thread Outbox<Ball> &out) {
        player.hits += 1;
        Ball next;
        next.left = ball.left - 1;
        if (ball.left > 1) { out.send(0, next); } else { out.post(next); }
    }";

const HITS: u32 = 10_000;

fn main() -> Result<(), RingError> {
    let ring = Ring::open(&Gpu::open()?)?;
    let ping =
        ring.spawn::<Ball, Ball, Player>("ping", HANDLER, Player { hits: 0 }, Launch::new())?;
    let pong =
        ring.spawn::<Ball, Ball, Player>("pong", HANDLER, Player { hits: 0 }, Launch::new())?;
    ring.connect(ping.id(), pong.id())?;
    ring.connect(pong.id(), ping.id())?;

    let start = Instant::now();
    ping.send(Ball { left: HITS })?;
    let last = pong.receive().wait_envelope(Duration::from_secs(60))?;
    let took = start.elapsed();

    let hits = (ping.read_state()?.hits, pong.read_state()?.hits);
    assert_eq!((hits, last.hops), ((HITS / 2, HITS / 2), HITS));
    let stat = ring.stat();
    println!(
        "{HITS} hits in {:.1} ms, {:.2} us each, in {} ticks and {} submissions",
        took.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e6 / f64::from(HITS),
        stat.ticks,
        stat.submissions
    );
    ring.shutdown()
}
