//! Optimised graphs compute the same bytes.

use super::{Bench, Program, values};
use crate::infer::{Arg, DType, FusedArg, Fusion, Graph, Grid, Kernel, Memory, Rule, Tensor};
use crate::memory::Block;
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

/// The first launch reads what the second one writes: one launch that does both would write values that other
/// threads have yet to read. Views of 64 values are more than a SIMD-group has threads.
#[test]
fn launches_that_conflict_in_other_memory_are_not_fused() {
    let Pair { bench, rule, .. } = pair();
    let (b, between) = (bench.tensor(&[7; 64]), bench.tensor(&[0; 64]));
    let initial: Vec<u32> = (0..80).collect();
    for (read, written, fused) in [(0, 1, 0), (1, 0, 0), (0, 0, 0), (0, 63, 0), (0, 64, 1)] {
        let memory = bench.tensor(&initial);
        let [x, y] =
            [read, written].map(|start: usize| memory.narrow(0, start..(start + 64).min(80)));
        let (x, y) = (x.unwrap(), y.unwrap());
        let threads = y.shape()[0];
        let (mut graph, ()) = Graph::record(|stream| {
            stream.scratch(&between)?;
            let grid = Grid::threads_1d(threads);
            stream.launch(&rule.first, &[(&x).into(), (&between).into()], grid)?;
            let args = [(&between).into(), (&b).into(), (&y).into(), Arg::Bytes(&[0; 4])];
            stream.launch(&rule.second, &args, grid)
        })
        .unwrap();
        let done = graph.optimize(&[Rule::Fuse(rule.clone())]).unwrap();
        assert_eq!(done.fused, fused, "reads from {read}, writes from {written}");
        graph.replay(&bench.gpu, &bench.queue, &[], &[]).unwrap().wait().unwrap();
        let mut expected = initial.clone();
        for i in 0..threads {
            expected[written + i] = 2 * initial[read + i] + 7;
        }
        assert_eq!(memory.to_vec::<u32>().unwrap(), expected);
    }
}

/// Random chains over overlapping views and scratch memory: fused and reordered they write the bytes that they write as they
/// were recorded.
#[test]
fn fused_graphs_have_the_bytes_of_their_recording() {
    const VIEW: usize = 64;
    let Pair { bench, rule, .. } = pair();
    let mut random = Random::new(1401);
    let mut fused = 0;
    for round in 0..100 {
        let initial: Vec<u32> = (0..400).map(|i| i * 3 + 1).collect();
        let memory = bench.tensor(&initial);
        let scratch = bench.tensor(&[0; 2 * VIEW]);
        let view = |random: &mut Random| {
            let start = random.below(400 - VIEW + 1);
            memory.narrow(0, start..start + VIEW).unwrap()
        };
        // A view that does not overlap another one: a launch must not race with itself.
        let apart = |random: &mut Random, others: &[&Tensor]| loop {
            let found = view(random);
            let far = |other: &&Tensor| found.offset().abs_diff(other.offset()) >= 4 * VIEW;
            if others.iter().all(far) {
                break found;
            }
        };
        let part = |random: &mut Random| {
            let start = VIEW * random.below(2);
            scratch.narrow(0, start..start + VIEW).unwrap()
        };
        let mut launches: Vec<Vec<Tensor>> = Vec::new();
        for _ in 0..2 + random.below(12) {
            let (from, between) = (view(&mut random), part(&mut random));
            let noise = (random.below(3) == 0).then(|| {
                let from = view(&mut random);
                vec![from.clone(), apart(&mut random, &[&from])]
            });
            let b = view(&mut random);
            let to = apart(&mut random, &[&b]);
            launches.push(vec![from, between.clone()]);
            launches.extend(noise);
            launches.push(vec![between, b, to]);
        }
        let mut run = |rules: &[Rule]| {
            memory.write::<u32>().unwrap().copy_from_slice(&initial);
            scratch.write::<u32>().unwrap().fill(0);
            let (mut graph, ()) = Graph::record(|stream| {
                stream.scratch(&scratch)?;
                for tensors in &launches {
                    let kernel = [&rule.first, &rule.second][tensors.len() - 2];
                    let mut args: Vec<Arg<'_>> = tensors.iter().map(Arg::Tensor).collect();
                    args.extend((tensors.len() == 3).then_some(Arg::Bytes(&[5, 0, 0, 0])));
                    stream.launch(kernel, &args, Grid::threads_1d(VIEW))?;
                }
                Ok(())
            })
            .unwrap();
            fused += graph.optimize(rules).unwrap().fused;
            graph.replay(&bench.gpu, &bench.queue, &[], &[]).unwrap().wait().unwrap();
            memory.to_vec::<u32>().unwrap()
        };
        let expected = run(&[]);
        assert_eq!(run(&[Rule::Fuse(rule.clone())]), expected, "round {round}: {launches:?}");
        let both = [Rule::Fuse(rule.clone()), Rule::Reorder];
        assert_eq!(run(&both), expected, "round {round}, reordered: {launches:?}");
    }
    assert!(fused > 100, "only {fused} pairs were fused");
}

/// A fused kernel that lacks an output of the first kernel, or cannot write it, would leave stale bytes there.
#[test]
fn a_fused_kernel_writes_what_the_two_write() {
    let bench = Bench::new();
    bench.kernels.add(
        "outputs",
        "kernel void first(device const uint *x, device uint *y, device uint *also, uint i [[thread_position_in_grid]]) {
             y[i] = 2 * x[i]; also[i] = x[i];
         }
         kernel void second(device const uint *x, device uint *y, uint i [[thread_position_in_grid]]) { y[i] = x[i] + 1; }
         kernel void dropped(device const uint *x, device uint *y, uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i] + 1; }
         kernel void only_read(device const uint *x, device const uint *also, device uint *y,
                               uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i] + 1; }
         kernel void both(device const uint *x, device uint *also, device uint *y, uint i [[thread_position_in_grid]]) {
             y[i] = 2 * x[i] + 1; also[i] = x[i];
         }",
    );
    let kernel = |name| bench.kernels.get("outputs", name).unwrap();
    let [x, between, also, y] = [3, 0, 0, 0].map(|value| bench.tensor(&[value; 8]));
    let (first, second) = (kernel("first"), kernel("second"));
    let all = [FusedArg::First(0), FusedArg::First(2), FusedArg::Second(1)];
    for (fused, args, writes) in [
        ("dropped", [all[0], all[2]].to_vec(), false),
        ("only_read", all.to_vec(), false),
        ("both", all.to_vec(), true),
    ] {
        let (mut graph, ()) = Graph::record(|stream| {
            stream.scratch(&between)?;
            let args = [(&x).into(), (&between).into(), (&also).into()];
            stream.launch(&first, &args, Grid::threads_1d(8))?;
            stream.launch(&second, &[(&between).into(), (&y).into()], Grid::threads_1d(8))
        })
        .unwrap();
        let rule = Fusion {
            first: first.clone(),
            second: second.clone(),
            link: (1, 0),
            fused: kernel(fused),
            args,
        };
        let result = graph.optimize(&[Rule::Fuse(rule)]);
        if writes {
            assert_eq!(result.unwrap().fused, 1);
            graph.replay(&bench.gpu, &bench.queue, &[], &[]).unwrap().wait().unwrap();
            assert_eq!(also.to_vec::<u32>().unwrap(), [3; 8]);
            assert_eq!(y.to_vec::<u32>().unwrap(), [7; 8]);
        } else {
            let why =
                "it does not write 'also', which 'first', a kernel that it replaces, may write";
            assert_eq!(result.unwrap_err().to_string(), format!("kernel '{fused}': {why}"));
        }
    }
}

/// A rule that fails after it changed the graph leaves no trace: not in what replays require of the tensors of slots either.
#[test]
fn an_error_of_a_rule_leaves_the_graph_unchanged() {
    let bench = Bench::new();
    bench.kernels.add(
        "twice",
        "kernel void first(device const uint *x, device uint *y, uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i]; }
         kernel void second(device const uint *x, device uint *y, uint i [[thread_position_in_grid]]) { y[i] = x[i] + 1; }
         kernel void also(device uint *x, device uint *y, uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i] + 1; }
         kernel void dropped(device uint *x, uint i [[thread_position_in_grid]]) { }",
    );
    let kernel = |name| bench.kernels.get("twice", name).unwrap();
    let [x, between, y] = [3, 0, 0].map(|value| bench.tensor(&[value; 8]));
    let (mut graph, slot) = Graph::record(|stream| {
        let slot = stream.slot(&x)?;
        stream.scratch(&between)?;
        let args = [(&x).into(), (&between).into()];
        stream.launch(&kernel("first"), &args, Grid::threads_1d(8))?;
        stream.launch(&kernel("second"), &[(&between).into(), (&y).into()], Grid::threads_1d(8))?;
        Ok(slot)
    })
    .unwrap();
    let rule = |fused, args: &[FusedArg]| {
        let (first, second) = (kernel("first"), kernel("second"));
        let args = args.to_vec();
        Rule::Fuse(Fusion { first, second, link: (1, 0), fused: kernel(fused), args })
    };
    let also = rule("also", &[FusedArg::First(0), FusedArg::Second(1)]);
    let dropped = rule("dropped", &[FusedArg::First(0)]);
    let block = Block::open(32).unwrap().freeze().unwrap();
    let read_only = Memory::wrap(&bench.gpu, &block).unwrap().tensor(0, DType::U32, &[8]).unwrap();
    let error = graph.optimize(&[dropped]).unwrap_err();
    assert!(error.to_string().contains("it does not write 'y'"), "{error}");
    graph.replay(&bench.gpu, &bench.queue, &[(slot, &read_only)], &[]).unwrap().wait().unwrap();
    assert_eq!(y.to_vec::<u32>().unwrap(), [1; 8]);
    // The requirements of the kernel of a rule that was applied hold.
    assert_eq!(graph.optimize(&[also]).unwrap().fused, 1);
    let result = graph.replay(&bench.gpu, &bench.queue, &[(slot, &read_only)], &[]);
    assert!(result.unwrap_err().to_string().contains("a kernel may write"));
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
