//! Many messages, runs that repeat, and bytes that are equal on every back end.

use super::{ring_of, spawn};
use crate::Gpu;
use crate::child::{is_child, run_child};
use crate::memory_use;
use crate::ring::{Actor, Checkpoint, Launch, Recording, Ring, RingOptions, Topology};
use crate::test_scale::scaled;

crate::message! {
    struct Token { value: u32, left: u32 }
    struct Seen { sum: u32, count: u32 }
}

const PASS: &str = "void handle(thread const Token &m, thread Seen &s, thread Outbox<Token> &out) {
    s.count += 1;
    s.sum = s.sum * 31 + m.value;
    Token next;
    next.value = m.value * 3 + 1;
    next.left = m.left - 1;
    if (m.left > 0) { out.send(m.value & 1 ? 0 : out.edges() - 1, next); } else { out.post(m); }
}";

fn circle(ring: &Ring, count: usize, capacity: u32) -> Vec<Actor<Token, Token, Seen>> {
    let launch = Launch::new().capacity(capacity);
    let actors: Vec<_> = (0..count)
        .map(|i| {
            ring.spawn(&format!("{i}"), PASS, Seen { sum: 0, count: 0 }, launch.clone()).unwrap()
        })
        .collect();
    let ids: Vec<_> = actors.iter().map(Actor::id).collect();
    ring.topology(&ids, &Topology::Ring).unwrap();
    actors
}

/// The long run, with `ARUMINIUM_TEST_SCALE=full`, is of 100 million messages; it wants an optimised build.
#[test]
fn no_message_of_millions_is_lost_and_memory_stays_flat() {
    let test = "ring::tests::load::no_message_of_millions_is_lost_and_memory_stays_flat";
    memory_use::measure(test, carry_messages);
}

/// The rounds before the memory of the process is measured.
const WARM: usize = 2;

fn carry_messages() {
    let wanted = if scaled(1) == 100 { 100_000_000 } else { scaled(200_000) as u64 };
    let ring = ring_of(RingOptions { checkpoint_every: 256, ..RingOptions::default() });
    let actors = circle(&ring, 64, 1024);
    let steps = if wanted < 1_000_000 { 99 } else { 499 };
    let tokens = 64 * 8;
    let (mut handled, mut resident, mut round) = (0, 0, 0);
    while handled < wanted {
        for actor in &actors {
            assert_eq!(actor.send_all(&[Token { value: 1, left: steps }; 8]).unwrap(), 8);
        }
        while !ring.run(64).unwrap().idle {}
        let mut arrived = 0;
        for actor in &actors {
            while let Some(token) = actor.try_receive().unwrap() {
                assert_eq!(token.left, 0);
                arrived += 1;
            }
        }
        assert_eq!(arrived, tokens);
        handled += u64::from(steps + 1) * tokens;
        let stat = ring.stat();
        assert_eq!((stat.handled, stat.dead_letters), (handled, 0));
        assert!(stat.checkpoints > 0 || stat.ticks < 256);
        // Until then the allocator, the workers and the ring's own tables grow.
        round += 1;
        if round == WARM {
            resident = memory_use::resident();
        }
    }
    assert!(round > WARM, "there were {round} rounds");
    let grown = memory_use::resident().saturating_sub(resident);
    assert!(
        grown < 1 << 20,
        "the process has {grown} bytes more than after {WARM} rounds of {round}"
    );
    let counted: u64 =
        actors.iter().map(|actor| u64::from(actor.read_state().unwrap().count)).sum();
    assert_eq!(counted, handled);
}

/// A run whose checkpoint every back end and every number of threads must reach.
fn fixed_run() -> Checkpoint {
    let ring = ring_of(RingOptions::default());
    let actors = circle(&ring, 100, 16);
    let echo = spawn(&ring, "echo", super::ECHO, Launch::new());
    for round in 0..5 {
        for (actor, value) in actors.iter().zip(round..) {
            actor
                .send_all(&[Token { value, left: 20 }, Token { value: value + 1, left: 7 }])
                .unwrap();
        }
        echo.send(round).unwrap();
        _ = ring.run(9);
        _ = actors[3].try_receive().unwrap();
    }
    _ = ring.run(1000);
    ring.checkpoint().unwrap()
}

#[test]
fn runs_are_equal_on_every_back_end_with_any_number_of_threads() {
    if is_child() {
        println!("checkpoint {:08x}", crate::ring::bytes::crc32(&fixed_run().to_bytes()));
        return;
    }
    let test = "ring::tests::load::runs_are_equal_on_every_back_end_with_any_number_of_threads";
    let own = format!("checkpoint {:08x}", crate::ring::bytes::crc32(&fixed_run().to_bytes()));
    for variables in [
        [("ARUMINIUM_SOFT_WORKERS", "1"), ("ARUMINIUM_SOFT_JIT", "off")],
        [("ARUMINIUM_SOFT_WORKERS", "4"), ("ARUMINIUM_SOFT_JIT", "always")],
        [("ARUMINIUM_SOFT_WORKERS", "2"), ("ARUMINIUM_ISA", "baseline")],
    ] {
        let output = run_child(test, &variables);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains(&own),
            "{variables:?}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_recorded_run_is_replayed_with_equal_bytes() {
    let build = || {
        let ring =
            Ring::with(&Gpu::open().unwrap(), RingOptions { ticks: 5, ..Default::default() })
                .unwrap();
        let actors = circle(&ring, 6, 64);
        (ring, actors)
    };
    let (ring, actors) = build();
    ring.record();
    for round in 0..8u32 {
        for actor in &actors {
            _ = actor.send(Token { value: round, left: 6 });
        }
        match round {
            2 => actors[1].suspend().unwrap(),
            4 => actors[1].resume().unwrap(),
            6 => actors[5].terminate().unwrap(),
            _ => {}
        }
        _ = ring.run(3);
        while actors[round as usize % 6].try_receive().unwrap().is_some() {}
        if round == 3 {
            assert_eq!(actors[0].call(Token { value: 9, left: 0 }).wait().unwrap().value, 9);
        }
    }
    let recording = ring.take_recording().unwrap();
    let (again, _) = build();
    again.replay(&Recording::parse(&recording.to_bytes()).unwrap()).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
    // On a ring that began otherwise it is an error, or leads elsewhere; it never panics.
    let (other, actors) = build();
    actors[0].terminate().unwrap();
    assert!(other.replay(&recording).is_err());
}
