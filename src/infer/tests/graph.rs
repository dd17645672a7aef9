//! Graphs: replay, slots, drawings.

use super::{Bench, Program, Step, VALUES, VIEW, values};
use crate::infer::{
    Arg, ByteSlot, DType, Error, Graph, Grid, Memory, Sampling, Slot, Stream, Tensor,
};
use crate::memory::Block;
use crate::test_random::Random;

/// A replay with other tensors equals a new recording with them, also if they overlap each other, and if the stream has
/// other launches before and after it.
#[test]
fn replay_equals_a_fresh_recording() {
    let bench = Bench::new();
    let mut random = Random::new(21);
    for round in 0..60 {
        let launches = 2 + random.below(40);
        let program = Program::random(&mut random, launches).without_races();
        let recorded = program.memory(&bench);
        let count = random.below(program.memories + 1);
        let (graph, slots) = Graph::record(|stream| {
            let slots = recorded[..count]
                .iter()
                .map(|tensor| stream.slot(tensor))
                .collect::<Result<Vec<_>, _>>()?;
            program.record(&bench, &recorded, 0..program.steps.len(), stream)?;
            Ok(slots)
        })
        .unwrap();
        assert_eq!(values(&recorded), values(&program.memory(&bench)), "recording runs nothing");
        assert_eq!(graph.barriers(), program.fewest_barriers());
        // Twice with other tensors: the second time in part the same memory for several slots.
        for overlap in [false, true] {
            let large = bench.tensor(&(0..200).collect::<Vec<_>>());
            let other = bench.tensor(&(0..200).collect::<Vec<_>>());
            let part = |memory: &Tensor, slot: usize| {
                let start = if overlap { 7 * slot } else { 45 * slot };
                memory.narrow(0, start..start + super::VALUES).unwrap()
            };
            let fill = |memory: &Tensor| -> Vec<Tensor> {
                let mut all: Vec<Tensor> = (0..count).map(|slot| part(memory, slot)).collect();
                all.extend(program.memory(&bench).drain(count..));
                all
            };
            let (by_replay, by_recording) = (fill(&large), fill(&other));
            // Tensors without a slot are the recorded ones.
            let rest = |memory: &[Tensor]| -> Vec<Tensor> {
                memory[..count].iter().chain(&recorded[count..]).cloned().collect()
            };
            for tensor in &recorded[count..] {
                let initial = program.memory(&bench);
                let position = recorded
                    .iter()
                    .position(|other| other.memory().is_same(tensor.memory()))
                    .unwrap();
                tensor
                    .write::<u32>()
                    .unwrap()
                    .copy_from_slice(&initial[position].read::<u32>().unwrap());
            }
            let mut stream = bench.stream();
            if round % 3 == 2 {
                stream.sample(Sampling::Launches).unwrap();
            }
            let twist = bench.kernel("twist");
            let around = |stream: &mut crate::infer::Stream, tensors: &[Tensor]| {
                let view = tensors[0].narrow(0, 0..VIEW).unwrap();
                stream
                    .launch(
                        &twist,
                        &[(&view).into(), Arg::Bytes(&[1, 0, 0, 0])],
                        Grid::threads_1d(VIEW),
                    )
                    .unwrap();
            };
            let filled: Vec<_> = slots.iter().copied().zip(&by_replay).collect();
            let first = rest(&by_replay);
            around(&mut stream, &first);
            stream.replay(&graph, &filled, &[]).unwrap();
            around(&mut stream, &first);
            let report = stream.finish().unwrap();
            assert_eq!(report.counters.launches, program.steps.len() as u64 + 2);

            let mut stream = bench.stream();
            let second: Vec<Tensor> = by_recording;
            around(&mut stream, &second);
            program.record(&bench, &second, 0..program.steps.len(), &mut stream).unwrap();
            around(&mut stream, &second);
            stream.finish().unwrap();
            assert_eq!(large.to_vec::<u32>().unwrap(), other.to_vec::<u32>().unwrap());
            assert_eq!(values(&first), values(&second), "{:?}", program.steps);
        }
    }
}

/// One command of a program for replays: a step, a copy between views, or a barrier.
#[derive(Debug)]
enum Part {
    Step(Step),
    Copy([(usize, usize); 2]),
    Barrier,
}

/// A program with copies, barriers and bytes that change.
struct Parts {
    parts: Vec<Part>,
    memories: usize,
}

impl Parts {
    fn random(random: &mut Random) -> Self {
        let launches = 1 + random.below(12);
        let Program { steps, memories } = Program::random(random, launches).without_races();
        let mut parts = Vec::new();
        for step in steps {
            let views = [(); 2].map(|_| (random.below(memories), random.below(VALUES - VIEW + 1)));
            let apart = views[0].0 != views[1].0 || views[0].1.abs_diff(views[1].1) >= VIEW;
            match random.below(8) {
                0 if apart => parts.push(Part::Copy(views)),
                1 => parts.push(Part::Barrier),
                _ => {}
            }
            parts.push(Part::Step(step));
        }
        // Half of the programs end with copies.
        for _ in 0..random.below(3) {
            let copy = [(); 2].map(|_| (random.below(memories), random.below(VALUES - VIEW + 1)));
            if copy[0].0 != copy[1].0 {
                parts.push(Part::Copy(copy));
            }
        }
        Self { parts, memories }
    }

    /// Records the program. Bytes are those of the steps, or others; if slots are passed, they are of these.
    fn record(
        &self,
        bench: &Bench,
        memory: &[Tensor],
        stream: &mut Stream,
        bytes: &[[u8; 4]],
        slots: &[ByteSlot],
    ) -> Result<(), Error> {
        let view =
            |(memory_of, start): (usize, usize)| memory[memory_of].narrow(0, start..start + VIEW);
        for (number, part) in self.parts.iter().enumerate() {
            match part {
                Part::Barrier => stream.barrier(),
                Part::Copy([from, to]) => stream.copy(&view(*from)?, &view(*to)?)?,
                Part::Step(step) => {
                    let views =
                        step.views.iter().map(|&at| view(at)).collect::<Result<Vec<_>, _>>()?;
                    let kernel = bench.kernel(["twist", "mix", "join"][views.len() - 1]);
                    let mut args: Vec<Arg<'_>> = views.iter().map(Arg::Tensor).collect();
                    args.push(match slots.get(number) {
                        Some(slot) => Arg::Slot(*slot, &bytes[number]),
                        None => Arg::Bytes(&bytes[number]),
                    });
                    stream.launch(&kernel, &args, Grid::threads_1d(VIEW))?;
                }
            }
        }
        Ok(())
    }
}

/// Several replays in one stream, with other tensors and bytes each, are what the same calls without a graph are: values,
/// barriers, fences, and barriers that were not needed.
#[test]
fn replays_in_one_stream_equal_recordings_in_one_stream() {
    let bench = Bench::new();
    let mut random = Random::new(1402);
    let (mut without, mut with) = (0, 0);
    for round in 0..80 {
        let program = Parts::random(&mut random);
        let count = program.parts.len();
        let bytes = |random: &mut Random| -> Vec<[u8; 4]> {
            (0..count).map(|_| (random.below(1000) as u32).to_ne_bytes()).collect()
        };
        let (own, initial) = (bytes(&mut random), [0; VALUES]);
        let recorded: Vec<Tensor> = (0..program.memories).map(|_| bench.tensor(&initial)).collect();
        let (graph, (slots, byte_slots)) = Graph::record(|stream| {
            let slots = recorded.iter().map(|tensor| stream.slot(tensor));
            let slots = slots.collect::<Result<Vec<_>, _>>()?;
            let byte_slots = (0..count).map(|_| stream.byte_slot());
            let byte_slots = byte_slots.collect::<Result<Vec<_>, _>>()?;
            program.record(&bench, &recorded, stream, &own, &byte_slots)?;
            Ok((slots, byte_slots))
        })
        .unwrap();
        // Byte slots of copies and barriers have no size.
        let used = |number: usize| matches!(program.parts[number], Part::Step(_));
        // Each run picks its memories from a few, so that some runs conflict with the one before and others do not.
        let runs: Vec<(Vec<usize>, Vec<[u8; 4]>)> = (0..3)
            .map(|_| {
                let mut free: Vec<usize> = (0..program.memories + 4).collect();
                let take = |_| free.swap_remove(random.below(free.len()));
                let picks = (0..program.memories).map(take).collect();
                (picks, bytes(&mut random))
            })
            .collect();
        let mut results = Vec::new();
        for replayed in [true, false] {
            let pool: Vec<Tensor> = (0..program.memories + 4)
                .map(|n| bench.tensor(&[n as u32 * 100 + 1; VALUES]))
                .collect();
            let mut stream = bench.stream();
            for (picks, bytes) in &runs {
                let memory: Vec<Tensor> = picks.iter().map(|&n| pool[n].clone()).collect();
                if replayed {
                    let tensors: Vec<_> = slots.iter().copied().zip(&memory).collect();
                    let filled = byte_slots.iter().zip(bytes).enumerate();
                    let filled: Vec<(ByteSlot, &[u8])> = filled
                        .filter(|(number, _)| used(*number))
                        .map(|(_, (slot, bytes))| (*slot, &bytes[..]))
                        .collect();
                    stream.replay(&graph, &tensors, &filled).unwrap();
                } else {
                    program.record(&bench, &memory, &mut stream, bytes, &[]).unwrap();
                }
            }
            let counters = stream.finish().unwrap().counters;
            results.push((
                values(&pool),
                [counters.launches, counters.copies, counters.fences],
                [counters.barriers, counters.barriers_avoided],
            ));
        }
        assert_eq!(results[0], results[1], "round {round}: {:?} {runs:?}", program.parts);
        let more = results[0].2[0] - 3 * graph.barriers();
        (without, with) = (without + u64::from(more == 0), with + u64::from(more > 0));
    }
    assert!(without > 10 && with > 10, "{without} without and {with} with further barriers");
}

/// A launch that shares bytes with a slot, and is no view of it, cannot be replayed with another tensor.
#[test]
fn launches_that_overlap_a_slot_are_views_of_it() {
    let bench = Bench::new();
    let twist = bench.kernel("twist");
    let block = Block::open(64).unwrap();
    let [memory, again] = [(); 2].map(|_| Memory::wrap(&bench.gpu, &block).unwrap());
    let whole = memory.tensor(0, DType::U32, &[16]).unwrap();
    let slot = whole.narrow(0, 4..12).unwrap();
    let other = again.tensor(16, DType::U32, &[8]).unwrap();
    let far = bench.tensor(&[0; 8]);
    let one = [1u8, 0, 0, 0];
    let (graph, ()) = Graph::record(|stream| {
        stream.slot(&slot)?;
        for (tensor, message) in [
            (&whole, "is not a part of it"),
            (&whole.narrow(0, 0..5)?, "is not a part of it"),
            (&other, "is other memory over the same bytes"),
        ] {
            let args = [tensor.into(), Arg::Bytes(&one)];
            let launched = stream.launch(&twist, &args, Grid::threads_1d(8));
            let error = launched.unwrap_err().to_string();
            assert!(error.contains("overlaps slot 0") && error.contains(message), "{error}");
        }
        assert!(stream.copy(&far, &other).is_err() && stream.copy(&other, &far).is_err());
        // Parts of the slot, and what only touches it.
        for tensor in [&slot, &slot.narrow(0, 3..5)?, &whole.narrow(0, 0..4)?] {
            let args = [tensor.into(), Arg::Bytes(&one)];
            stream.launch(&twist, &args, Grid::threads_1d(tensor.count()))?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(graph.nodes().count(), 3);
}

/// The columns of a matrix as a slot: the other columns lie between its bytes, and are not its own.
#[test]
fn launches_beside_a_strided_slot_keep_their_tensor() {
    let bench = Bench::new();
    let twist = bench.kernel("twist");
    let whole = Tensor::from_slice(&bench.gpu, &[1u32; 64], &[4, 16]).unwrap();
    let columns = whole.narrow(1, 0..8).unwrap();
    let beside = whole.narrow(1, 8..16).unwrap();
    let (graph, slot) = Graph::record(|stream| {
        let slot = stream.slot(&columns)?;
        let rows = beside.narrow(0, 0..3)?;
        for tensor in [&columns.narrow(0, 0..2)?.narrow(1, 2..4)?, &rows, &beside] {
            let args = [tensor.into(), Arg::Bytes(&[2, 0, 0, 0])];
            stream.launch(&twist, &args, Grid::threads_1d(2))?;
        }
        // In the range of the slot, and only in part its bytes.
        let row = whole.narrow(0, 1..2)?;
        let args = [(&row).into(), Arg::Bytes(&[2, 0, 0, 0])];
        let error = stream.launch(&twist, &args, Grid::threads_1d(2)).unwrap_err().to_string();
        assert!(error.contains("is not a part of it"), "{error}");
        Ok(slot)
    })
    .unwrap();
    let other = Tensor::from_slice(&bench.gpu, &[1u32; 64], &[4, 16]).unwrap();
    let filled = [(slot, &other.narrow(1, 0..8).unwrap())];
    graph.replay(&bench.gpu, &bench.queue, &filled, &[]).unwrap().wait().unwrap();
    // From (1 * 3 + 2), once in the other tensor and twice in this one.
    let expected = |at: usize, value: u32| {
        let mut values = [1; 64];
        values[at..at + 2].fill(value);
        values
    };
    assert_eq!(other.to_vec::<u32>().unwrap(), expected(2, 5));
    assert_eq!(whole.to_vec::<u32>().unwrap(), expected(8, 17));
}

/// The spans of a profile are those of the sampling, for replays too.
#[test]
fn replays_are_sampled_by_label_and_apart_from_sampled_launches() {
    let bench = Bench::new();
    let twist = bench.kernel("twist");
    let x = bench.tensor(&[0; 8]);
    let launch = |stream: &mut crate::infer::Stream, label: &str| {
        stream.label(label)?;
        let args = [(&x).into(), Arg::Bytes(&[1, 0, 0, 0])];
        stream.launch(&twist, &args, Grid::threads_1d(8))
    };
    let (graph, ()) = Graph::record(|stream| {
        launch(stream, "a")?;
        launch(stream, "a")?;
        launch(stream, "b")
    })
    .unwrap();
    let spans = |stream: crate::infer::Stream| -> Vec<(String, u64)> {
        let spans = stream.finish().unwrap().profile.spans;
        spans.iter().map(|span| (span.label.clone(), span.launches)).collect()
    };
    let mut stream = bench.stream();
    stream.sample(Sampling::Labels).unwrap();
    stream.replay(&graph, &[], &[]).unwrap();
    launch(&mut stream, "").unwrap();
    launch(&mut stream, "b").unwrap();
    let expected = [("a", 2), ("b", 1), ("", 1), ("b", 1)];
    assert_eq!(spans(stream), expected.map(|(label, count)| (label.to_owned(), count)));

    let mut stream = bench.stream();
    stream.sample(Sampling::Launches).unwrap();
    launch(&mut stream, "first").unwrap();
    stream.sample(Sampling::CommandBuffers).unwrap();
    stream.replay(&graph, &[], &[]).unwrap();
    assert_eq!(spans(stream), [("first".to_owned(), 1), (String::new(), 3)]);
}

/// Copies have labels like launches, in a stream and in a replay.
#[test]
fn copies_are_sampled_by_label() {
    let bench = Bench::new();
    let twist = bench.kernel("twist");
    let [x, y] = [0, 1].map(|value| bench.tensor(&[value; 8]));
    let record = |stream: &mut Stream| {
        stream.label("copies")?;
        stream.copy(&y, &x)?;
        stream.label("launches")?;
        let args = [(&x).into(), Arg::Bytes(&[1, 0, 0, 0])];
        stream.launch(&twist, &args, Grid::threads_1d(8))?;
        stream.copy(&x, &y)?;
        stream.label("copies")?;
        stream.copy(&y, &x)
    };
    let (graph, ()) = Graph::record(record).unwrap();
    let expected = |sampling| match sampling {
        Sampling::Labels => {
            vec![("own", "twist", 1), ("copies", "", 0), ("launches", "", 1), ("copies", "", 0)]
        }
        Sampling::Launches => vec![
            ("own", "twist", 1),
            ("copies", "", 0),
            ("launches", "twist", 1),
            ("launches", "", 0),
            ("copies", "", 0),
        ],
        Sampling::CommandBuffers => vec![("", "", 2)],
    };
    for sampling in [Sampling::Labels, Sampling::Launches, Sampling::CommandBuffers] {
        for replayed in [false, true] {
            let mut stream = bench.stream();
            stream.sample(sampling).unwrap();
            stream.label("own").unwrap();
            let args = [(&x).into(), Arg::Bytes(&[1, 0, 0, 0])];
            stream.launch(&twist, &args, Grid::threads_1d(8)).unwrap();
            match replayed {
                true => stream.replay(&graph, &[], &[]).unwrap(),
                false => record(&mut stream).unwrap(),
            }
            let spans = stream.finish().unwrap().profile.spans;
            let found: Vec<_> =
                spans.iter().map(|s| (&s.label[..], &s.kernel[..], s.launches)).collect();
            assert_eq!(found, expected(sampling), "{sampling:?}, replayed: {replayed}");
        }
    }
    // A command buffer of copies alone has their label.
    let mut stream = bench.stream();
    stream.label("copies").unwrap();
    stream.copy(&x, &y).unwrap();
    assert_eq!(stream.finish().unwrap().profile.spans[0].label, "copies");
}

#[test]
fn slots_are_checked() {
    let bench = Bench::new();
    let (x, y) = (bench.tensor(&[0; 8]), bench.tensor(&[0; 8]));
    let (graph, (slot, bytes)) = Graph::record(|stream| {
        let (slot, bytes) = (stream.slot(&x)?, stream.byte_slot()?);
        assert!(
            stream
                .slot(&x.narrow(0, 2..4)?)
                .unwrap_err()
                .to_string()
                .contains("overlaps another slot")
        );
        let args = [Arg::Tensor(&x), Arg::Slot(bytes, &[1, 0, 0, 0])];
        stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8))?;
        let args = [Arg::Tensor(&y), Arg::Bytes(&[1, 0, 0, 0])];
        stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8))?;
        let long = [Arg::Tensor(&x), Arg::Slot(bytes, &[0; 8])];
        let error = stream.launch(&bench.kernel("twist"), &long, Grid::threads_1d(8)).unwrap_err();
        assert_eq!(error.to_string(), "byte slot 0 has 4 bytes, and 8 were passed");
        assert!(
            stream.slot(&y).unwrap_err().to_string().contains("a launch before it uses its memory")
        );
        assert!(stream.cut().is_err() && stream.sample(Sampling::Labels).is_err());
        Ok((slot, bytes))
    })
    .unwrap();
    let (_, (foreign, foreign_bytes)) =
        Graph::record(|stream| Ok((stream.slot(&x)?, stream.byte_slot()?))).unwrap();
    let passed = Graph::record(|stream| {
        let args = [Arg::Tensor(&x), Arg::Slot(foreign_bytes, &[1, 0, 0, 0])];
        stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8))
    });
    assert!(passed.unwrap_err().to_string().contains("not one of this graph"));
    let halves = Tensor::new(&bench.gpu, DType::F16, &[16]).unwrap();
    let short = bench.tensor(&[0; 7]);
    let replay = |slots: &[_], bytes: &[_]| {
        let result = bench.stream().replay(&graph, slots, bytes);
        result.map_err(|error| error.to_string())
    };
    assert_eq!(replay(&[(slot, &y)], &[(bytes, &[0; 4])]), Ok(()));
    for (slots, bytes, message) in [
        (&[(foreign, &y)][..], &[][..], "a slot is not one of this graph"),
        (&[], &[(foreign_bytes, &[0; 4][..])], "a byte slot is not one of this graph"),
        (&[], &[(bytes, &[0; 3][..])], "byte slot 0 was recorded with 4 bytes, and 3 were passed"),
    ] {
        assert_eq!(replay(slots, bytes), Err(message.to_owned()));
    }
    for wrong in [&halves, &short] {
        assert!(
            replay(&[(slot, wrong)], &[])
                .unwrap_err()
                .contains("has another type, shape or strides")
        );
    }
    assert!(bench.stream().slot(&x).is_err() && bench.stream().byte_slot().is_err());
}

/// A graph of one slot of bytes that a kernel of bytes changes as a view of floats, and that is copied.
fn raised_and_copied(bench: &Bench) -> (Graph, Slot, Tensor) {
    let source =
        "kernel void raise(device uchar *x, uint i [[thread_position_in_grid]]) { x[i] += 1; }";
    bench.kernels.add("bytes", source);
    let raise = bench.kernels.get("bytes", "raise").unwrap();
    let [x, y] = [(); 2].map(|_| Tensor::new(&bench.gpu, DType::U8, &[32]).unwrap());
    let (graph, slot) = Graph::record(|stream| {
        let slot = stream.slot(&x)?;
        let floats = x.reinterpret(DType::F32)?;
        stream.launch(&raise, &[(&floats).into()], Grid::threads_1d(32))?;
        stream.copy(&x, &y)?;
        Ok(slot)
    })
    .unwrap();
    (graph, slot, y)
}

/// Launches of one kernel around a replay that fails. Returns its error, and the values that the launches made.
fn around_a_failure(
    bench: &Bench,
    graph: &Graph,
    slot: Slot,
    tensor: &Tensor,
) -> (String, Vec<u32>) {
    let (twist, values) = (bench.kernel("twist"), bench.tensor(&[1; 8]));
    let twist = |stream: &mut Stream| {
        let args = [(&values).into(), Arg::Bytes(&[1, 0, 0, 0])];
        stream.launch(&twist, &args, Grid::threads_1d(8)).unwrap();
    };
    let mut stream = bench.stream();
    twist(&mut stream);
    let error = stream.replay(graph, &[(slot, tensor)], &[]).unwrap_err();
    twist(&mut stream);
    let counters = stream.finish().unwrap().counters;
    assert_eq!((counters.launches, counters.copies), (2, 0));
    (error.to_string(), values.to_vec().unwrap())
}

/// Operands are bytes: each must be aligned for all types that it was recorded with, whatever its kernels need.
#[test]
fn slots_are_aligned_for_every_view_of_them() {
    let bench = Bench::new();
    let (graph, slot, _) = raised_and_copied(&bench);
    let large = Tensor::new(&bench.gpu, DType::U8, &[40]).unwrap();
    let odd = large.narrow(0, 1..33).unwrap();
    let (error, values) = around_a_failure(&bench, &graph, slot, &odd);
    assert!(error.contains("slot 0") && error.contains("not a multiple of 4"), "{error}");
    assert_eq!(values, [(3 + 1) * 3 + 1; 8]);
    assert_eq!(large.to_vec::<u8>().unwrap(), [0; 40], "nothing is recorded");
}

/// A replay that fails between its commands leaves the kernels and barriers of the stream right.
#[test]
fn launches_after_a_replay_that_failed_halfway_are_their_own() {
    let bench = Bench::new();
    let (mut graph, slot, copy) = raised_and_copied(&bench);
    // As if the copy could not be encoded: its operand is accepted, and then is not aligned.
    graph.recorded.operands.iter_mut().for_each(|operand| operand.align = 1);
    let large = Tensor::new(&bench.gpu, DType::U8, &[40]).unwrap();
    let odd = large.narrow(0, 1..33).unwrap();
    let (error, values) = around_a_failure(&bench, &graph, slot, &odd);
    assert!(error.contains("multiple of 4"), "{error}");
    assert_eq!(values, [(3 + 1) * 3 + 1; 8]);
    assert_eq!(odd.to_vec::<u8>().unwrap(), [1; 32], "the launch before the failure runs");
    assert_eq!(copy.to_vec::<u8>().unwrap(), [0; 32]);
    // Without a launch in between: the barrier is due to the replay alone.
    let mut stream = bench.stream();
    stream.replay(&graph, &[(slot, &odd)], &[]).unwrap_err();
    let values = bench.tensor(&[1; 8]);
    let args = [(&values).into(), Arg::Bytes(&[1, 0, 0, 0])];
    stream.launch(&bench.kernel("twist"), &args, Grid::threads_1d(8)).unwrap();
    assert_eq!(stream.finish().unwrap().counters.barriers, 1);
}

/// Copies whose tensors are not aligned or overlap are refused as a whole.
#[test]
fn copies_of_a_replay_are_checked_before_anything_is_encoded() {
    let bench = Bench::new();
    let bytes = |count: usize| Tensor::new(&bench.gpu, DType::U8, &[count]).unwrap();
    let (x, y) = (bytes(8), bytes(8));
    let (graph, (from, to)) = Graph::record(|stream| {
        let slots = (stream.slot(&x)?, stream.slot(&y)?);
        stream.copy(&x.reinterpret(DType::F32)?, &y.reinterpret(DType::F32)?)?;
        Ok(slots)
    })
    .unwrap();
    let large = bytes(32);
    let part = |start: usize| large.narrow(0, start..start + 8).unwrap();
    for (one, other, why) in [(1, 16, "multiple of 4"), (16, 2, "multiple of 4"), (0, 4, "overlap")]
    {
        let (one, other) = (part(one), part(other));
        let mut stream = bench.stream();
        let error = stream.replay(&graph, &[(from, &one), (to, &other)], &[]).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        stream.replay(&graph, &[(from, &part(0)), (to, &part(8))], &[]).unwrap();
        assert_eq!(stream.finish().unwrap().counters.copies, 1);
    }
}

/// Copies in a graph change the encoder; labels stay in order.
#[test]
fn graphs_with_copies_and_labels() {
    let bench = Bench::new();
    let [a, b] = [1, 2].map(|x| bench.tensor(&[x; 8]));
    let twist = bench.kernel("twist");
    let (graph, slot) = Graph::record(|stream| {
        let slot = stream.slot(&a)?;
        stream.label("one")?;
        stream.launch(&twist, &[(&a).into(), Arg::Bytes(&[1, 0, 0, 0])], Grid::threads_1d(8))?;
        stream.copy(&a, &b)?;
        stream.label("two & <three>")?;
        stream.launch(&twist, &[(&b).into(), Arg::Bytes(&[1, 0, 0, 0])], Grid::threads_1d(8))?;
        stream.barrier();
        stream.launch(&twist, &[(&a).into(), Arg::Bytes(&[2, 0, 0, 0])], Grid::threads_1d(8))?;
        Ok(slot)
    })
    .unwrap();
    let c = bench.tensor(&[5; 8]);
    let report =
        graph.replay(&bench.gpu, &bench.queue, &[(slot, &c)], &[]).unwrap().wait().unwrap();
    assert_eq!(b.to_vec::<u32>().unwrap(), [(5 * 3 + 1) * 3 + 1; 8]);
    assert_eq!(c.to_vec::<u32>().unwrap(), [(5 * 3 + 1) * 3 + 2; 8]);
    assert_eq!(a.to_vec::<u32>().unwrap(), [1; 8]);
    assert_eq!(report.labels, [("one".into(), 1), ("two & <three>".into(), 2)]);
    assert_eq!(
        (report.counters.copies, report.counters.fences, report.counters.barriers),
        (1, 2, 1)
    );
    let groups: Vec<usize> = graph.nodes().map(|node| node.group).collect();
    assert_eq!(groups, [0, 1, 2, 3, 3]);
    let svg = graph.to_svg();
    assert!(svg.contains("two &amp; &lt;three&gt;"));
    // The node of the barrier, and the rule above it; fences are where the encoder changes.
    let count = |text: &str| svg.matches(&format!(">{text}</text>")).count();
    assert_eq!((count("barrier"), count("fence")), (2, 2));
    assert!(graph.to_dot().contains("two & <three>: twist"));
}

/// Launches without a label count under that of the stream, also after launches of the same graph that have one.
#[test]
fn launches_of_a_replay_without_a_label_have_that_of_the_stream() {
    let bench = Bench::new();
    let [a, b] = [1, 2].map(|x| bench.tensor(&[x; 8]));
    let (twist, mix) = (bench.kernel("twist"), bench.kernel("mix"));
    let (graph, slot) = Graph::record(|stream| {
        let slot = stream.slot(&a)?;
        stream.label("labelled")?;
        stream.launch(&twist, &[(&a).into(), Arg::Bytes(&[1, 0, 0, 0])], Grid::threads_1d(8))?;
        stream.label("")?;
        let args = [(&a).into(), (&b).into(), Arg::Bytes(&[1, 0, 0, 0])];
        stream.launch(&mix, &args, Grid::threads_1d(8))?;
        Ok(slot)
    })
    .unwrap();
    // By the plan, and recorded again, because the slot's tensor is the other one.
    for tensor in [&a, &b] {
        let mut stream = bench.stream();
        stream.label("own").unwrap();
        stream.replay(&graph, &[(slot, tensor)], &[]).unwrap();
        let report = stream.finish().unwrap();
        assert_eq!(report.labels, [("own".into(), 1), ("labelled".into(), 1)]);
    }
}

/// The edges are those of the definition, without those that follow from others.
#[test]
fn edges_are_the_conflicts() {
    let bench = Bench::new();
    let mut random = Random::new(4);
    for _ in 0..20 {
        let program = Program::random(&mut random, 25);
        let memory = program.memory(&bench);
        let count = program.steps.len();
        let (graph, ()) =
            Graph::record(|stream| program.record(&bench, &memory, 0..count, stream)).unwrap();
        let edges = graph.edges();
        let mut reaches = vec![vec![false; count]; count];
        for &(first, second) in &edges {
            assert!(program.conflict(first, second) && first < second);
            reaches[first][second] = true;
        }
        for middle in 0..count {
            for first in 0..count {
                for second in 0..count {
                    reaches[first][second] |= reaches[first][middle] && reaches[middle][second];
                }
            }
        }
        for second in 0..count {
            for first in 0..second {
                assert!(reaches[first][second] || !program.conflict(first, second));
                let edge = edges.contains(&(first, second));
                let follows = (first + 1..second)
                    .any(|middle| reaches[first][middle] && reaches[middle][second]);
                assert!(!(edge && follows), "the edge {first} {second} follows from others");
            }
        }
    }
}
