//! Optimised graphs compute the same bytes.

use super::{Bench, Program, values};
use crate::infer::{Arg, FusedArg, Fusion, Graph, Grid, Kernel, Rule, Tensor};
use crate::test_random::Random;

/// Every pair that conflicts keeps its order, the bytes are those of the serial order, and there are as many barriers as the
/// longest chain of conflicts has links.
#[test]
fn reordering_keeps_every_edge() {
    let bench = Bench::new();
    let mut random = Random::new(77);
    let mut better = 0;
    for _ in 0..60 {
        let launches = 2 + random.below(50);
        let program = Program::random(&mut random, launches).without_races();
        let memory = program.memory(&bench);
        let count = program.steps.len();
        let (mut graph, ()) =
            Graph::record(|stream| program.record(&bench, &memory, 0..count, stream)).unwrap();
        let done = graph.optimize(&[Rule::Reorder]).unwrap();
        let mut chain = vec![0u64; count];
        for second in 0..count {
            for first in 0..second {
                if program.conflict(first, second) {
                    chain[second] = chain[second].max(chain[first] + 1);
                }
            }
        }
        assert_eq!(done.barriers_before, program.fewest_barriers());
        assert_eq!(done.barriers_after, chain.into_iter().max().unwrap_or(0));
        better += u64::from(done.barriers_after < done.barriers_before);
        graph.replay(&bench.gpu, &bench.queue, &[], &[]).unwrap().wait().unwrap();
        assert_eq!(values(&memory), program.expected(), "{:?}", program.steps);
    }
    assert!(better > 10);
}

/// A replay that would need another order is refused.
#[test]
fn a_rewritten_graph_refuses_slots_that_overlap() {
    let bench = Bench::new();
    let (x, y) = (bench.tensor(&[1; 8]), bench.tensor(&[1; 8]));
    let twist = bench.kernel("twist");
    let record = |stream: &mut crate::infer::Stream| {
        let slots = [stream.slot(&x)?, stream.slot(&y)?];
        for tensor in [&x, &x, &y] {
            stream.launch(
                &twist,
                &[tensor.into(), Arg::Bytes(&[1, 0, 0, 0])],
                Grid::threads_1d(8),
            )?;
        }
        Ok(slots)
    };
    let (mut graph, [one, other]) = Graph::record(record).unwrap();
    assert_eq!(graph.optimize(&[Rule::Reorder]).unwrap().moved, 2);
    let z = bench.tensor(&[1; 8]);
    let replay = |a, b| graph.replay(&bench.gpu, &bench.queue, &[(one, a), (other, b)], &[]);
    replay(&x, &z).unwrap().wait().unwrap();
    let error = replay(&z, &z).unwrap_err();
    assert!(error.to_string().contains("the slots of this replay do"), "{error}");
}

struct Pair {
    bench: Bench,
    rule: Fusion,
    tensors: [Tensor; 5],
}

/// A pair of kernels and one that does the work of both.
fn pair() -> Pair {
    let bench = Bench::new();
    bench.kernels.add(
        "pair",
        "kernel void double_it(device const uint *x, device uint *y, uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i]; }
         kernel void plus(device const uint *x, device const uint *b, device uint *y, constant uint &a,
                          uint i [[thread_position_in_grid]]) { y[i] = x[i] + b[i] + a; }
         kernel void both(device const uint *x, device const uint *b, device uint *y, constant uint &a,
                          uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i] + b[i] + a; }",
    );
    let kernel = |name| bench.kernels.get("pair", name).unwrap();
    let rule = Fusion {
        first: kernel("double_it"),
        second: kernel("plus"),
        link: (1, 0),
        fused: kernel("both"),
        args: vec![
            FusedArg::First(0),
            FusedArg::Second(1),
            FusedArg::Second(2),
            FusedArg::Second(3),
        ],
    };
    let tensors = [1, 2, 3, 4, 5].map(|value| bench.tensor(&[value; 8]));
    Pair { bench, rule, tensors }
}

/// The cases in which a fusion would change bytes that something reads.
#[test]
fn fusion_requires_that_nothing_else_uses_the_tensor_between() {
    let Pair { bench, rule, tensors } = pair();
    let [x, b, between, y, z] = &tensors;
    type Record<'a> = &'a dyn Fn(&mut dyn FnMut(&Kernel, &[&Tensor]));
    let plus = |stream: &mut dyn FnMut(&Kernel, &[&Tensor]), from: &Tensor, to: &Tensor| {
        stream(&rule.second, &[from, b, to])
    };
    let cases: &[(&str, bool, usize, Record<'_>)] = &[
        ("two launches", true, 1, &|launch| {
            launch(&rule.first, &[x, between]);
            plus(launch, between, y);
        }),
        ("it is not scratch", false, 0, &|launch| {
            launch(&rule.first, &[x, between]);
            plus(launch, between, y);
        }),
        ("another launch reads it", true, 0, &|launch| {
            launch(&rule.first, &[x, between]);
            plus(launch, between, y);
            plus(launch, between, z);
        }),
        ("it is read by a launch between them", true, 0, &|launch| {
            launch(&rule.first, &[x, between]);
            launch(&rule.first, &[between, z]);
            plus(launch, between, y);
        }),
        ("what the first one reads is written between them", true, 0, &|launch| {
            launch(&rule.first, &[x, between]);
            launch(&rule.first, &[b, x]);
            plus(launch, between, y);
        }),
        ("it is written anew later", true, 2, &|launch| {
            launch(&rule.first, &[x, between]);
            plus(launch, between, y);
            launch(&rule.first, &[y, between]);
            plus(launch, between, z);
        }),
        ("both arguments of the second", true, 0, &|launch| {
            launch(&rule.first, &[x, between]);
            launch(&rule.second, &[between, between, y]);
        }),
        ("another launch beside them", true, 1, &|launch| {
            launch(&rule.first, &[x, between]);
            launch(&rule.first, &[x, z]);
            plus(launch, between, y);
        }),
    ];
    for (name, scratch, fused, record) in cases {
        let reset = || {
            for (tensor, value) in tensors.iter().zip(1..) {
                tensor.write::<u32>().unwrap().fill(value);
            }
        };
        let graph = |rules: &[Rule]| {
            let (mut graph, ()) = Graph::record(|stream| {
                if *scratch {
                    stream.scratch(between)?;
                }
                let mut result = Ok(());
                record(&mut |kernel, tensors| {
                    let add = 7u32.to_ne_bytes();
                    let mut args: Vec<Arg<'_>> =
                        tensors.iter().map(|tensor| Arg::Tensor(tensor)).collect();
                    args.extend((tensors.len() == 3).then_some(Arg::Bytes(&add)));
                    let launched = stream.launch(kernel, &args, Grid::threads_1d(8));
                    if result.is_ok() {
                        result = launched;
                    }
                });
                result
            })
            .unwrap();
            let done = graph.optimize(rules).unwrap();
            reset();
            graph.replay(&bench.gpu, &bench.queue, &[], &[]).unwrap().wait().unwrap();
            let results = [x, y, z].map(|tensor| tensor.to_vec::<u32>().unwrap());
            (results, done.fused)
        };
        let (expected, _) = graph(&[]);
        let (found, count) = graph(&[Rule::Fuse(rule.clone()), Rule::Reorder]);
        assert_eq!((found, count), (expected, *fused), "{name}");
    }
}

#[test]
fn wrong_rules_are_errors() {
    let Pair { rule, tensors, .. } = pair();
    let [x, b, between, y, _] = &tensors;
    let graph = || {
        Graph::record(|stream| {
            stream.scratch(between)?;
            stream.launch(&rule.first, &[x.into(), between.into()], Grid::threads_1d(8))?;
            let args = [between.into(), b.into(), y.into(), Arg::Bytes(&[0; 4])];
            stream.launch(&rule.second, &args, Grid::threads_1d(8))
        })
        .unwrap()
        .0
    };
    let few = Fusion { args: rule.args[..3].to_vec(), ..rule.clone() };
    let none = Fusion { args: vec![FusedArg::Second(9)], ..rule.clone() };
    for (wrong, message) in [
        (few, "kernel 'both': 3 arguments were passed, and it has 4: x, b, y, a"),
        (none, "kernel 'both': its rule names argument 9 of 'plus', which has no such argument"),
    ] {
        let mut graph = graph();
        let error = graph.optimize(&[Rule::Fuse(wrong)]).unwrap_err();
        assert_eq!((error.to_string().as_str(), graph.nodes().count()), (message, 2));
    }
}
