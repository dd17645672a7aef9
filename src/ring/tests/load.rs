//! Many messages, runs that repeat, and bytes that are equal on every back end.

use super::{ring_of, spawn};
use crate::Gpu;
use crate::child::{is_child, run_child};
use crate::memory_use;
use crate::ring::bytes::crc32;
use crate::ring::{
    Actor, ActorState, Cause, Checkpoint, Launch, Recording, Ring, RingOptions, Supervision,
    Topology,
};
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
    while handled < wanted || round <= WARM {
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
    let grown = memory_use::resident().saturating_sub(resident);
    assert!(
        grown < 1 << 20,
        "the process has {grown} bytes more than after {WARM} rounds of {round}"
    );
    let counted: u64 =
        actors.iter().map(|actor| u64::from(actor.read_state().unwrap().count)).sum();
    assert_eq!(counted, handled);
}

/// Sums with fractions; a wrong index leaves the state. There is no NaN, whose payload back ends may choose.
const WAVE: &str = "void handle(thread const uint &m, thread Wave &s, thread Outbox<float> &out) {
    for (uint i = 0; i < 8; i++) {
        s.cells[i] = s.cells[i] * 0.75f + float(m * 8 + i) / 7.0f;
        s.energy = fma(s.cells[i], s.cells[i], s.energy) - sqrt(fabs(s.energy) + 1.0f);
    }
    s.phase = sin(s.phase + s.energy * 0.001f) + exp(-s.phase * s.phase);
    if (m % 13 == 12) { s.cells[m * 100] = 1.0f; }
    out.reply(s.energy);
}";
/// The same by all threads of an actor.
const WIDE: &str = "void handle(thread const uint &m, device Wide &s, thread Outbox<float> &out) {
    for (uint i = out.index; i < 100; i += out.count) { s.cells[i] += float(m) / float(i + 3) + s.cells[i] * 0.5f; }
    if (m % 17 == 16 && out.index == out.count - 1) { s.cells[i_of(m)] = 1.0f; }
    if (out.index == 0) { s.count += 1; out.reply(float(s.count)); }
}";

crate::message! {
    struct Wave { cells: [f32; 8], energy: f32, phase: f32 }
    struct Wide { cells: [f32; 100], count: u32 }
}

/// A run whose checkpoint every back end and every number of threads must reach: mail between actors, states of one thread, in place and
/// of many threads, numbers with fractions, faults of kernels and of the outbox's rules, restarts, and actors that stop.
fn fixed_run() -> Checkpoint {
    let ring = ring_of(RingOptions { checkpoint_every: 5, ..RingOptions::default() });
    let actors = circle(&ring, 100, 16);
    let echo = spawn(&ring, "echo", super::ECHO, Launch::new());
    let fails = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { s = s * 3 + m; if (m == 4) { out.fail(m); } }";
    let restart = Launch::new().supervision(Supervision::Restart { limit: 3 });
    let fails = spawn(&ring, "fails", fails, restart.clone());
    let wave = Wave { cells: [0.1; 8], energy: 0.0, phase: 0.5 };
    let waves: Vec<Actor<u32, f32, Wave>> = (0..7)
        .map(|i| ring.spawn(&format!("wave {i}"), WAVE, wave, restart.clone()).unwrap())
        .collect();
    let code = WIDE.replace("i_of(m)", "m * 100");
    let wide: Vec<Actor<u32, f32, Wide>> = [(1, 1), (1, 32), (3, 40)]
        .into_iter()
        .flat_map(|grid| [(grid, restart.clone()), (grid, Launch::new())])
        .enumerate()
        .map(|(i, ((groups, threads), launch))| {
            let wide = Wide { cells: [0.0; 100], count: 0 };
            let launch = launch.grid(groups, threads).in_place();
            ring.spawn(&format!("wide {i}"), &code, wide, launch).unwrap()
        })
        .collect();
    for round in 0..5 {
        for (actor, value) in actors.iter().zip(round..) {
            actor
                .send_all(&[Token { value, left: 20 }, Token { value: value + 1, left: 7 }])
                .unwrap();
        }
        echo.send(round).unwrap();
        _ = fails.send(round + 1);
        waves.iter().zip(round..).for_each(|(actor, i)| _ = actor.send_all(&[i * 3, i * 5, i]));
        wide.iter().zip(round..).for_each(|(actor, i)| _ = actor.send_all(&[i * 4, i]));
        _ = ring.run(9);
        _ = actors[3].try_receive().unwrap();
    }
    _ = ring.run(1000);
    let stat = ring.stat();
    let restarts: u32 = stat.actors.iter().map(|actor| actor.restarts).sum();
    let stopped = stat.actors.iter().filter(|actor| actor.state == ActorState::Failed).count();
    let kernels =
        ring.faults().iter().filter(|fault| matches!(fault.cause, Cause::Kernel(_))).count();
    assert!(restarts > 3 && stopped > 0 && kernels > 3, "{restarts} {stopped} {kernels}");
    let waves: Vec<Wave> = waves.iter().filter_map(|wave| wave.read_state().ok()).collect();
    let are_numbers = waves.iter().all(|wave| wave.phase.is_finite() && wave.energy.is_finite());
    assert!(are_numbers && waves.iter().any(|wave| wave.phase.fract() != 0.0));
    ring.checkpoint().unwrap()
}

/// The checksum of the run's checkpoint.
fn fixed_outcome() -> String {
    format!("{:08x}", crc32(&fixed_run().to_bytes()))
}

/// The instruction sets of this processor for which there is machine code, as `ARUMINIUM_ISA` names them.
fn instruction_sets() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = has!("avx2") && has!("fma") && has!("f16c");
        let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        let sets = [("avx2", avx2), ("avx512", avx2 && avx512)];
        sets.iter().filter(|set| set.1).map(|set| set.0).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    vec!["baseline"]
}

/// Also on the device that `ARUMINIUM_SOFT_DEVICE` names: `.ci/gpu` runs this test.
#[test]
fn a_run_has_equal_bytes_by_interpreter_machine_code_and_device_with_any_number_of_threads() {
    const TEST: &str = "ring::tests::load::a_run_has_equal_bytes_by_interpreter_machine_code_and_device_with_any_number_of_threads";
    if is_child() {
        println!("checkpoint {} by {}", fixed_outcome(), Gpu::open().unwrap().name());
        return;
    }
    let checksum = fixed_outcome();
    let mut settings = vec![("off", "1", "baseline"), ("off", "3", "baseline")];
    for isa in instruction_sets() {
        settings.extend([("off", "1", isa), ("always", "1", isa), ("always", "4", isa)]);
    }
    for (jit, workers, isa) in settings {
        let variables = [
            ("ARUMINIUM_SOFT_JIT", jit),
            ("ARUMINIUM_SOFT_WORKERS", workers),
            ("ARUMINIUM_ISA", isa),
            ("ARUMINIUM_SOFT_DEVICE", "cpu"),
        ];
        let output = run_child(TEST, &variables);
        let text = String::from_utf8_lossy(&output.stdout);
        let way = if jit == "off" { "interpreted" } else { "native code" };
        let expected = |line: &str| {
            line.contains(&format!("checkpoint {checksum} by "))
                && line.contains(&format!("{isa}, {way}"))
        };
        assert!(
            text.lines().any(expected),
            "{variables:?}, not {checksum}: {text} {}",
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
