//! A table of the statistics of actors, and a trace for Chrome or Perfetto.
//!
//! `cargo run --release --features ring --example ring_top [trace.json]`

use aruminium::Gpu;
use aruminium::ring::{Actor, Launch, Ring, Topology};

aruminium::message! {
    /// A walker on a torus, and the steps that it has left.
    struct Walker { random: u32, left: u32 }
    struct Visits { count: u32 }
}

const HANDLER: &str = "
    void handle(thread const Walker &walker, thread Visits &visits, thread Outbox<Walker> &out) {
        visits.count += 1;
        if (walker.left == 0) { out.post(walker); return; }
        Walker next;
        next.random = walker.random * 1664525 + 1013904223;
        next.left = walker.left - 1;
        out.send(next.random >> 30, next);
    }";

const SIDE: usize = 4;
const WALKERS: u32 = 200;
const STEPS: u32 = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ring = Ring::open(&Gpu::open()?)?;
    let mut cells = Vec::new();
    for i in 0..SIDE * SIDE {
        let name = format!("cell {}, {}", i % SIDE, i / SIDE);
        cells.push(ring.spawn::<Walker, Walker, Visits>(
            &name,
            HANDLER,
            Visits { count: 0 },
            Launch::new(),
        )?);
    }
    let ids: Vec<_> = cells.iter().map(Actor::id).collect();
    ring.topology(&ids, &Topology::Grid2 { width: SIDE, height: SIDE, wrap: true })?;
    ring.start_trace();
    for (walker, cell) in (0..WALKERS).zip(cells.iter().cycle()) {
        cell.send(Walker { random: walker * 7919, left: STEPS })?;
    }

    // The table after each hundred ticks; a terminal would draw it at the same position.
    while !ring.run(100)?.idle {
        println!("{}", ring.stat());
    }
    let stat = ring.stat();
    println!("{stat}");
    assert_eq!(stat.handled, u64::from(WALKERS) * (u64::from(STEPS) + 1));
    assert!(stat.actors.iter().all(|actor| actor.dropped == 0));

    let trace = ring.take_trace().unwrap_or_default();
    match std::env::args().nth(1) {
        Some(path) => std::fs::write(path, trace)?,
        None => println!("{} bytes of trace; name a file to keep it", trace.len()),
    }
    Ok(())
}
