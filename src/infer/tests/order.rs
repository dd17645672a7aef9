//! Launches in random orders, as `ARUMINIUM_SOFT_SANITIZE=order=SEED` runs them.

use super::{Bench, Program, values};
use crate::child::{is_child, run_child};
use crate::infer::{Arg, Graph, Grid, Stream};
use crate::test_random::Random;
use crate::{BarrierScope, DispatchType};
use std::collections::{BTreeMap, BTreeSet};

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

/// The steps before which a stream puts barriers. The plan of a graph has the same.
fn barriers(bench: &Bench, program: &Program) -> BTreeSet<usize> {
    let memory = program.memory(bench);
    let mut stream = bench.stream();
    let mut barriers = BTreeSet::new();
    for number in 0..program.steps.len() {
        let before = stream.log.counters.barriers;
        program.record(bench, &memory, number..number + 1, &mut stream).unwrap();
        if stream.log.counters.barriers > before {
            barriers.insert(number);
        }
    }
    let record =
        |stream: &mut Stream| program.record(bench, &memory, 0..program.steps.len(), stream);
    let groups = Graph::record(record).unwrap().0.plan.groups;
    let changes = (1..groups.len()).filter(|&number| groups[number] > groups[number - 1]);
    assert_eq!(barriers, changes.collect(), "{:?}", program.steps);
    barriers
}

/// Whether some order of the launches computes other bytes if a barrier is removed. All orders are tried: those of the launches
/// between the barriers before and after it, by the values that each set of them can leave.
fn matters(program: &Program, barriers: &BTreeSet<usize>, barrier: usize) -> bool {
    let start = barriers.range(..barrier).next_back().copied().unwrap_or(0);
    let count = program.steps.len();
    let end = barriers.range(barrier + 1..).next().copied().unwrap_or(count);
    let launches = end - start;
    let before = program.expected_in(0..start);
    // The values after each set of launches; the sets of a size come after all smaller ones.
    let mut reached = BTreeMap::from([((0, 0u64), BTreeSet::from([before]))]);
    let all = loop {
        let ((size, set), states) = reached.pop_first().unwrap();
        if size == launches {
            break states;
        }
        for launch in (0..launches).filter(|launch| set & 1 << launch == 0) {
            let after = states.iter().map(|values| {
                let mut values = values.clone();
                program.step(start + launch, &mut values);
                values
            });
            reached.entry((size + 1, set | 1 << launch)).or_default().extend(after);
        }
    };
    let expected = program.expected();
    all.into_iter().any(|mut values| {
        (end..count).for_each(|step| program.step(step, &mut values));
        values != expected
    })
}

/// With all barriers every order computes the same bytes. Without any one of them the launches compute others in some order, if
/// there is an order that does; if all orders agree, because conflicting results are overwritten later, they never do.
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
    let (mut needed, mut agreeing) = (0, 0);
    for launches in [2, 7, 14, 14, 14, 30, 60, 110, 200] {
        // Some steps are left out.
        let mut program = Program::random(&mut random, 3 * launches).without_races();
        program.steps.truncate(launches);
        assert_eq!(program.steps.len(), launches);
        let expected = program.expected();
        let all = barriers(&bench, &program);
        for _ in 0..6 {
            assert_eq!(run(&bench, &program, &all), expected, "{:?}", program.steps);
        }
        for barrier in &all {
            let mut rest = all.clone();
            rest.remove(barrier);
            let shows = |runs: usize| (0..runs).any(|_| run(&bench, &program, &rest) != expected);
            let differs = matters(&program, &all, *barrier);
            *if differs { &mut needed } else { &mut agreeing } += 1;
            assert_eq!(
                shows(if differs { 1000 } else { 4 }),
                differs,
                "{barrier} of {:?}",
                program.steps
            );
        }
    }
    assert!(needed > 100 && agreeing > 0, "{needed} are needed, {agreeing} are not");
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
