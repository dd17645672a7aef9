//! Launches in random orders, as `ARUMINIUM_SOFT_SANITIZE=order=SEED` runs them.

use super::{Bench, Program, values};
use crate::child::{is_child, run_child};
use crate::infer::{Arg, BufferRange, Grid, MemRanges, Role};
use crate::test_random::Random;
use crate::{BarrierScope, DispatchType};
use std::collections::BTreeSet;

/// Runs a program with barriers before some steps, in one concurrent encoder.
fn run(bench: &Bench, program: &Program, barriers: &BTreeSet<usize>) -> Vec<Vec<u32>> {
    let memory = program.memory(bench);
    let commands = bench.queue.commands().unwrap();
    let encoder = commands.encoder_with(DispatchType::Concurrent).unwrap();
    for (number, step) in program.steps.iter().enumerate() {
        if barriers.contains(&number) {
            encoder.barrier(BarrierScope::BUFFERS);
        }
        let kernel = bench.kernel(["twist", "mix", "join"][step.views.len() - 1]);
        encoder.bind(kernel.pipeline());
        for (index, &(memory_index, start)) in step.views.iter().enumerate() {
            encoder.bind_buffer(memory[memory_index].memory(), 4 * start, index);
        }
        encoder.push(&step.add.to_ne_bytes(), step.views.len());
        encoder.launch((super::VIEW, 1, 1), (super::VIEW, 1, 1));
    }
    encoder.finish();
    commands.submit();
    commands.finish().unwrap();
    values(&memory)
}

/// The steps before which the ranges require barriers.
fn barriers(bench: &Bench, program: &Program) -> BTreeSet<usize> {
    let memory = program.memory(bench);
    let mut ranges = MemRanges::new();
    let mut barriers = BTreeSet::new();
    for (number, step) in program.steps.iter().enumerate() {
        let last = step.views.len() - 1;
        let uses = step.views.iter().enumerate().map(|(nth, &(index, start))| {
            let role = if nth == last { Role::Write } else { Role::Read };
            BufferRange::of(&memory[index].narrow(0, start..start + super::VIEW).unwrap(), role)
        });
        if ranges.check_and_add(&uses.collect::<Vec<_>>()) {
            barriers.insert(number);
        }
    }
    barriers
}

/// With all barriers every order computes the same bytes. Without any one of them some order computes others, or all orders
/// agree because conflicting results are overwritten later.
#[test]
fn every_barrier_matters() {
    if !is_child() {
        for seed in ["order=1", "order=2"] {
            let name = "infer::tests::order::every_barrier_matters";
            let output = run_child(name, &[("ARUMINIUM_SOFT_SANITIZE", seed)]);
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}");
        }
        return;
    }
    let bench = Bench::new();
    let mut random = Random::new(5);
    for _ in 0..12 {
        let program = Program::random(&mut random, 14).without_races();
        let expected = program.expected();
        let all = barriers(&bench, &program);
        for _ in 0..6 {
            assert_eq!(run(&bench, &program, &all), expected, "{:?}", program.steps);
        }
        for barrier in &all {
            let mut rest = all.clone();
            rest.remove(barrier);
            let shows = |runs: usize| (0..runs).any(|_| run(&bench, &program, &rest) != expected);
            let matters = |random: &mut Random| {
                (0..500).any(|_| {
                    program.expected_in(shuffled(&program, &rest, random).into_iter()) != expected
                })
            };
            assert!(
                shows(24) || !matters(&mut random) || shows(1000),
                "{barrier} of {:?}",
                program.steps
            );
        }
    }
}

/// The steps in an order that the barriers allow.
fn shuffled(program: &Program, barriers: &BTreeSet<usize>, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..program.steps.len()).collect();
    let mut start = 0;
    for end in barriers.iter().copied().chain([order.len()]) {
        for last in (start + 1..end).rev() {
            order.swap(last, start + random.below(last + 1 - start));
        }
        start = end;
    }
    order
}

/// The same seed leads to the same order, another seed to another one.
#[test]
fn orders_are_repeatable() {
    if is_child() {
        let bench = Bench::new();
        let x = bench.tensor(&[1]);
        let commands = bench.queue.commands().unwrap();
        let encoder = commands.encoder_with(DispatchType::Concurrent).unwrap();
        encoder.bind(bench.kernel("twist").pipeline());
        encoder.bind_buffer(x.memory(), 0, 0);
        for add in 0..20u32 {
            encoder.push(&add.to_ne_bytes(), 1);
            encoder.launch((1, 1, 1), (1, 1, 1));
        }
        encoder.finish();
        commands.submit();
        commands.finish().unwrap();
        println!("result={}", x.to_vec::<u32>().unwrap()[0]);
        return;
    }
    let result = |seed: &str| {
        let name = "infer::tests::order::orders_are_repeatable";
        let output = run_child(name, &[("ARUMINIUM_SOFT_SANITIZE", seed)]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let result = text.lines().find_map(|line| line.split("result=").nth(1).map(str::to_owned));
        result.unwrap_or_else(|| panic!("{text}"))
    };
    assert_eq!(result("order=1"), result("order=1"));
    assert_ne!(result("order=1"), result("order=2"));
}

/// A stream keeps its results in any order.
#[test]
fn streams_keep_their_results_in_any_order() {
    if !is_child() {
        let name = "infer::tests::order::streams_keep_their_results_in_any_order";
        let output = run_child(name, &[("ARUMINIUM_SOFT_SANITIZE", "order=3")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let bench = Bench::new();
    let mut random = Random::new(8);
    for _ in 0..30 {
        let launches = 2 + random.below(60);
        let program = Program::random(&mut random, launches).without_races();
        let memory = program.memory(&bench);
        let mut stream = bench.stream();
        program.record(&bench, &memory, 0..program.steps.len(), &mut stream).unwrap();
        stream.finish().unwrap();
        assert_eq!(values(&memory), program.expected(), "{:?}", program.steps);
    }
    let x = bench.tensor(&[0; 8]);
    let args = [Arg::Tensor(&x), Arg::Bytes(&[1, 0, 0, 0])];
    bench.stream().launch(&bench.kernel("twist"), &args, Grid::threads_1d(8)).unwrap();
}
