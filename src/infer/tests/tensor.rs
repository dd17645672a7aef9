//! Types, shapes, views, and the CPU's access.

use crate::Gpu;
use crate::infer::{DType, Error, Memory, Quant, Tensor};
use crate::memory::Block;
use crate::test_random::Random;

fn gpu() -> Gpu {
    Gpu::open().unwrap()
}

/// Tensors of a block that can only be read are written neither by the CPU nor by launches, whichever way the block is wrapped.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn buffers_over_constant_blocks_can_only_be_read() {
    use crate::infer::{Grid, Kernels, Stream};
    use crate::memory::MemError;
    let gpu = gpu();
    let frozen = Block::open(4096).unwrap().freeze().unwrap();
    let kernels = Kernels::new(&gpu);
    kernels.add("one", "kernel void one(device int *x) { x[0] = 1; }");
    let one = kernels.get("one", "one").unwrap();
    for memory in [Memory::wrap(&gpu, &frozen).unwrap(), Memory::from(gpu.wrap(&frozen).unwrap())] {
        assert!(memory.is_read_only());
        let tensor = memory.tensor(1024, DType::I32, &[8]).unwrap();
        assert!(matches!(tensor.write::<i32>(), Err(Error::Memory(MemError::ReadOnly))));
        let mut stream = Stream::new(&gpu, &gpu.new_command_queue().unwrap());
        let error = stream.launch(&one, &[(&tensor).into()], Grid::threads_1d(1)).unwrap_err();
        assert!(error.to_string().contains("can only be read"), "{error}");
        assert_eq!(tensor.to_vec::<i32>().unwrap(), [0; 8]);
    }
    // A block that is frozen twice, and the memory that comes after it at the same address.
    let again = frozen.freeze().unwrap();
    assert!(Memory::from(gpu.wrap(&again).unwrap()).is_read_only());
    drop(again);
    for _ in 0..8 {
        let block = Block::open(4096).unwrap();
        assert!(!Memory::from(gpu.wrap(&block).unwrap()).is_read_only());
    }
}

/// The ids and sizes of the formats, as in ggml's `ggml.h` and `ggml-common.h`; 17 and 25 are easily confused.
#[test]
fn ids_and_sizes_are_those_of_ggml() {
    for (id, block, bytes) in
        [(2, 32, 18), (9, 32, 36), (15, 256, 292), (17, 256, 74), (39, 32, 17)]
    {
        let dtype = DType::from_ggml(id);
        assert_eq!((dtype.ggml(), dtype.block(), dtype.block_bytes()), (Some(id), block, bytes));
    }
    assert_eq!(DType::from_ggml(25), DType::I16);
    let known = (0..64).filter(|&id| DType::from_ggml(id).block() != 0);
    let mut expected: Vec<u32> = Quant::ALL.iter().map(|quant| quant.id()).collect();
    expected.extend(DType::PLAIN.iter().filter_map(|dtype| dtype.ggml()));
    expected.sort_unstable();
    assert_eq!(known.collect::<Vec<_>>(), expected);
    let unknown = DType::from_ggml(4);
    assert_eq!((unknown.to_string().as_str(), unknown.name()), ("ggml type 4", "unknown"));
    assert!(matches!(Tensor::new(&gpu(), unknown, &[32]), Err(Error::DType { .. })));
}

/// Random chains of views, compared with lists of the values that each should have.
#[test]
fn views_have_the_values_of_their_definition() {
    let gpu = gpu();
    let mut random = Random::new(14);
    for _ in 0..200 {
        let mut shape: Vec<usize> = (0..1 + random.below(4)).map(|_| 1 + random.below(4)).collect();
        let mut values: Vec<u32> = (0..shape.iter().product::<usize>() as u32).collect();
        let mut tensor = Tensor::from_slice(&gpu, &values, &shape).unwrap();
        for _ in 0..4 {
            // The list as a function of an index, then the view's list.
            let at = |shape: &[usize], values: &[u32], index: &[usize]| {
                values[index.iter().zip(shape).fold(0, |sum, (i, n)| sum * n + i)]
            };
            let all = |shape: &[usize]| {
                let count: usize = shape.iter().product();
                let shape = shape.to_vec();
                (0..count).map(move |mut flat| {
                    let mut index = vec![0; shape.len()];
                    for axis in (0..shape.len()).rev() {
                        (index[axis], flat) = (flat % shape[axis], flat / shape[axis]);
                    }
                    index
                })
            };
            let axis = random.below(shape.len());
            match random.below(4) {
                0 => {
                    let start = random.below(shape[axis]);
                    let end = start + 1 + random.below(shape[axis] - start);
                    tensor = tensor.narrow(axis, start..end).unwrap();
                    let mut new = shape.clone();
                    new[axis] = end - start;
                    values = all(&new)
                        .map(|mut index| {
                            index[axis] += start;
                            at(&shape, &values, &index)
                        })
                        .collect();
                    shape = new;
                }
                1 => {
                    let other = random.below(shape.len());
                    tensor = tensor.transpose(axis, other).unwrap();
                    let mut new = shape.clone();
                    new.swap(axis, other);
                    values = all(&new)
                        .map(|mut index| {
                            index.swap(axis, other);
                            at(&shape, &values, &index)
                        })
                        .collect();
                    shape = new;
                }
                2 if shape.len() < 6 => {
                    let mut new = shape.clone();
                    new.insert(0, 2);
                    tensor = tensor.broadcast(&new).unwrap();
                    values = all(&new).map(|index| at(&shape, &values, &index[1..])).collect();
                    shape = new;
                }
                _ if tensor.is_contiguous() => {
                    shape = vec![shape.iter().product()];
                    tensor = tensor.reshape(&shape).unwrap();
                }
                _ => assert!(tensor.reshape(&[values.len()]).is_err()),
            }
            assert_eq!(tensor.shape(), shape);
            assert_eq!(tensor.to_vec::<u32>().unwrap(), values);
        }
    }
}

#[test]
fn quantised_views_consist_of_whole_blocks() {
    let tensor = Tensor::new(&gpu(), DType::Quant(Quant::Q4_0), &[4, 64]).unwrap();
    assert_eq!((tensor.bytes(), tensor.count()), (144, 256));
    let part = tensor.view(&[1..3, 32..64]).unwrap();
    assert_eq!((part.offset(), part.bytes()), (36 + 18, 36 + 18));
    assert!(tensor.narrow(1, 16..48).is_err() && tensor.transpose(0, 1).is_err());
    let bytes = part.reinterpret(DType::U8);
    assert!(bytes.unwrap_err().to_string().contains("not contiguous"));
    let bytes = tensor.reinterpret(DType::U8).unwrap();
    assert_eq!(bytes.shape(), [4, 36]);
    assert_eq!(bytes.reinterpret(tensor.dtype()).unwrap().shape(), [4, 64]);
}

#[test]
fn errors_name_what_is_wrong() {
    let gpu = gpu();
    let tensor = Tensor::new(&gpu, DType::F32, &[2, 3]).unwrap();
    let memory = tensor.memory();
    for (result, message) in [
        (tensor.narrow(0, 1..3), "the range 1..3 is not within axis 0 of the shape [2, 3]"),
        (tensor.narrow(2, 0..1), "the shape [2, 3] has no axis 2"),
        (tensor.reshape(&[7]), "the shape [7] has 7 values, and the shape [2, 3] has 6"),
        (tensor.permute(&[0]), "[0] is not an order of 2 axes"),
        (tensor.permute(&[0, 2]), "[0, 2] is not an order of 2 axes"),
        (tensor.broadcast(&[2, 4]), "the shape [2, 3] cannot be broadcast to [2, 4]"),
        (tensor.broadcast(&[3]), "the shape [2, 3] cannot be broadcast to [3]"),
        (
            tensor.reinterpret(DType::F64),
            "the last axis of 3 values of f32 is not a whole number of f64",
        ),
        (
            memory.tensor(2, DType::F32, &[1]),
            "the offset 2 is not a multiple of 4, the size of f32",
        ),
        (
            memory.tensor(4, DType::F32, &[6]),
            "a tensor of f32 with the shape [6] at offset 4 ends at byte 28; the memory has 24",
        ),
        (
            Tensor::new(&gpu, DType::F32, &[1; 9]),
            "the shape [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 axes; at most 8 are supported",
        ),
        (
            Tensor::new(&gpu, DType::F32, &[usize::MAX, 2]),
            "a tensor of f32 with the shape [18446744073709551615, 2] is larger than an address space",
        ),
    ] {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
    let error = tensor.read::<u32>().unwrap_err();
    assert_eq!(error.to_string(), "values of type u32 are viewed, and the tensor holds f32");
}

#[test]
fn empty_tensors_are_tensors() {
    let tensor = Tensor::new(&gpu(), DType::F32, &[3, 0]).unwrap();
    assert_eq!((tensor.count(), tensor.bytes()), (0, 0));
    assert!(tensor.to_vec::<f32>().unwrap().is_empty());
    assert!(tensor.transpose(0, 1).unwrap().to_vec::<f32>().unwrap().is_empty());
    let scalar = Tensor::from_slice(&gpu(), &[1.5f32], &[]).unwrap();
    assert_eq!((scalar.rank(), scalar.to_vec::<f32>().unwrap()), (0, vec![1.5]));
}

/// The guards of tensors, buffers and blocks share one record.
#[test]
fn guards_exclude_each_other() {
    let block = Block::open(4096).unwrap();
    let memory = Memory::wrap(&gpu(), &block).unwrap();
    let (one, other) = (
        memory.tensor(0, DType::F32, &[16]).unwrap(),
        memory.tensor(64, DType::F32, &[16]).unwrap(),
    );
    let writing = one.try_write::<f32>().unwrap();
    assert!(other.try_write::<f32>().is_ok(), "the bytes are not the same");
    assert!(one.try_read::<f32>().is_err() && block.try_view::<u8>().is_err());
    drop(writing);
    assert!(block.try_view::<u8>().is_ok());
}

/// Sizes that overflow are errors, also where another axis has no values.
#[test]
fn shapes_that_overflow_are_errors() {
    let gpu = gpu();
    for dtype in [DType::F32, DType::Quant(Quant::Q4_0), DType::Quant(Quant::Q6_K)] {
        for shape in [&[usize::MAX, 0][..], &[usize::MAX / 2, 4, 0], &[1 << 32, 1 << 32, 256]] {
            let error = Tensor::new(&gpu, dtype, shape).unwrap_err().to_string();
            assert!(error.contains("larger than an address space"), "{dtype} {shape:?}: {error}");
        }
    }
}
