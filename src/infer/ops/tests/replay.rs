//! Every operation in a graph, replayed with tensors that overlap: the same results as of a fresh recording, and the same errors.

use super::Setup;
use super::wrong::OPERATIONS;
use crate::infer::{DType, Error, Graph, Memory, Slot, Stream, Tensor};

/// Bytes that are small floats, and indices of 0 or 1 as integers.
fn fill(tensor: &Tensor, seed: usize) {
    let mut bytes = tensor.write_bytes().expect("free");
    let size = tensor.dtype().block_bytes();
    for (nth, value) in bytes.chunks_mut(size).enumerate() {
        let number = (nth + seed) % 7;
        value.fill(0);
        match tensor.dtype() {
            DType::F32 => value.copy_from_slice(&(number as f32 / 8.0).to_ne_bytes()),
            DType::F16 => value[1] = 0x30 + number as u8,
            _ => value[0] = number as u8 % 2,
        }
    }
}

#[test]
fn replays_check_what_recordings_check() {
    let setup = Setup::new(91);
    let new = |dtype, shape: &[usize]| Tensor::new(&setup.gpu, dtype, shape).expect("memory");
    let (mut refused, mut accepted) = (0, 0);
    for (row, &(op, operands, call)) in OPERATIONS.iter().enumerate() {
        let right: Vec<Tensor> = operands.iter().map(|o| new(o.1, o.2)).collect();
        let record = |stream: &mut Stream, slots: &[usize], tensors: &[Tensor]| {
            let slots = slots.iter().map(|&nth| stream.slot(&tensors[nth]));
            let slots = slots.collect::<Result<Vec<Slot>, Error>>()?;
            call(&setup.ops, stream, tensors)?;
            Ok(slots)
        };
        for (nth, &(name, dtype, shape, flags)) in operands.iter().enumerate() {
            for (other, &(other_name, other_type, other_shape, _)) in operands.iter().enumerate() {
                if other == nth || !flags.contains('o') {
                    continue;
                }
                let memory = Memory::from(setup.gpu.buffer(1 << 14).expect("memory"));
                let found = memory.tensor(0, other_type, other_shape).expect("a view");
                for offset in [0, 4, 4096] {
                    if offset >= found.bytes() && offset < 4096 {
                        continue;
                    }
                    let mut all = right.clone();
                    all[other] = found.clone();
                    all[nth] = memory.tensor(offset, dtype, shape).expect("a view");
                    // The values of all operands and the whole memory after a run, or its error.
                    let run = |record: &dyn Fn(&mut Stream) -> Result<(), Error>| {
                        fill(&memory.tensor(0, DType::F32, &[4096]).expect("a view"), 3);
                        all.iter().enumerate().for_each(|(seed, tensor)| fill(tensor, seed));
                        let mut stream = Stream::new(&setup.gpu, &setup.queue);
                        let result = record(&mut stream).map_err(|error| error.to_string());
                        let launches = stream.finish().expect("it runs").counters.launches;
                        let bytes = |tensor: &Tensor| tensor.read_bytes().expect("free").to_vec();
                        let all = all.iter().map(bytes).collect::<Vec<_>>();
                        result.map(|()| (launches, all))
                    };
                    let fresh = run(&|stream| call(&setup.ops, stream, &all));
                    // Slots for all operands, and for the result alone, over memory that the graph has.
                    let everything: Vec<usize> = (0..operands.len()).collect();
                    let mut recorded = right.clone();
                    recorded[other] = found.clone();
                    for (slots, recorded) in [(everything, &right), (vec![nth], &recorded)] {
                        let (graph, made) =
                            Graph::record(|stream| record(stream, &slots, recorded))
                                .expect("a graph");
                        let filled: Vec<_> =
                            made.into_iter().zip(slots.iter().map(|&slot| &all[slot])).collect();
                        let nodes = &graph.recorded.nodes;
                        assert!(nodes.iter().all(|node| !node.uses_everything()), "{op}");
                        let replayed = run(&|stream| stream.replay(&graph, &filled, &[]));
                        assert_eq!(
                            replayed,
                            fresh,
                            "row {row}, {op}: {name} over {other_name} from byte {offset}, {} slots",
                            slots.len()
                        );
                    }
                    refused += u32::from(fresh.is_err());
                    accepted += u32::from(fresh.is_ok());
                }
            }
        }
    }
    println!("{refused} refused, {accepted} accepted");
    assert!(refused > 200 && accepted > 100);
}
