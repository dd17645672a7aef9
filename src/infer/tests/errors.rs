//! Each argument of a launch wrong once.

use super::Bench;
use crate::infer::{Arg, DType, Grid, Memory, Quant, Tensor};
use crate::memory::Block;

const SOURCE: &str = "
    struct Sizes { uint a, b, c; };
    kernel void all(device const float4 *x [[buffer(1)]], device half *y [[buffer(3)]],
                    device const uchar *blocks [[buffer(4)]], constant Sizes &sizes [[buffer(7)]],
                    threadgroup float *scratch [[threadgroup(2)]], uint i [[thread_position_in_grid]]) {
        scratch[0] = x[i].x + float(blocks[i]) + sizes.c;
        y[i] = half(scratch[0]);
    }";

#[test]
fn each_argument_wrong_once() {
    let bench = Bench::new();
    bench.kernels.add("all", SOURCE);
    let kernel = bench.kernels.get("all", "all").unwrap();
    let new = |dtype, shape: &[usize]| Tensor::new(&bench.gpu, dtype, shape).unwrap();
    let (x, y, q) =
        (new(DType::F32, &[32]), new(DType::F16, &[8]), new(DType::Quant(Quant::Q8_0), &[32]));
    let file = {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("aruminium-infer-{}", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(&[0; 4096]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    };
    // SAFETY: nothing else uses the file.
    let mapped = Memory::wrap(&bench.gpu, &unsafe { Block::map(&file, ..) }.unwrap()).unwrap();
    let mapped = mapped.tensor(0, DType::F16, &[8]).unwrap();
    assert!(mapped.write::<crate::fp16::Half>().is_err());
    let sizes = [0; 12];
    let right = [(&x).into(), (&y).into(), (&q).into(), Arg::Bytes(&sizes), Arg::Shared(4)];
    let grid = Grid::threads_1d(8);
    let launch = |args: &[Arg<'_>], grid| {
        let mut stream = bench.stream();
        stream.launch(&kernel, args, grid).map_err(|error| error.to_string())?;
        stream.finish().map_err(|error| error.to_string())
    };
    assert_eq!(launch(&right, grid).map(|report| report.counters.launches), Ok(1));
    let odd = x.narrow(0, 1..29).unwrap();
    let (halves, short) = (new(DType::F16, &[64]), x.narrow(0, 0..3).unwrap());
    let long = [0; 4097];
    let wrong: &[(usize, Arg<'_>, &str)] = &[
        (0, (&halves).into(), "'x', buffer(1): the kernel declares f32, and the tensor holds f16"),
        (
            0,
            (&short).into(),
            "'x', buffer(1): the tensor has 12 bytes, and the kernel needs at least 16",
        ),
        (0, (&odd).into(), "'x', buffer(1): the tensor's offset 4 is not a multiple of 16"),
        (
            0,
            Arg::Shared(16),
            "'x', buffer(1): it takes a tensor or bytes, and threadgroup memory was passed",
        ),
        (1, (&x).into(), "'y', buffer(3): the kernel declares f16, and the tensor holds f32"),
        (1, Arg::Bytes(&sizes), "'y', buffer(3): the kernel may write it: pass a tensor"),
        (
            1,
            (&mapped).into(),
            "'y', buffer(3): the kernel may write it, and the tensor's memory can only be read",
        ),
        (
            2,
            Arg::Bytes(&long),
            "'blocks', buffer(4): 4097 bytes were passed; the limit is 4096: pass a tensor",
        ),
        (
            3,
            Arg::Bytes(&sizes[..8]),
            "'sizes', buffer(7): 8 bytes were passed, and the kernel needs at least 12",
        ),
        (
            4,
            (&x).into(),
            "'scratch', threadgroup(2): it takes threadgroup memory, and a tensor was passed",
        ),
        (
            4,
            Arg::Bytes(&sizes),
            "'scratch', threadgroup(2): it takes threadgroup memory, and bytes were passed",
        ),
        (4, Arg::Shared(0), "'scratch', threadgroup(2): no threadgroup memory was passed"),
    ];
    for &(nth, arg, message) in wrong {
        let mut args = right;
        args[nth] = arg;
        assert_eq!(launch(&args, grid), Err(format!("kernel 'all', argument {message}")));
    }
    let mut much = right;
    much[4] = Arg::Shared(40_000);
    let mut most = right;
    most[4] = Arg::Shared(usize::MAX);
    for (args, grid, message) in [
        (&right[..4], grid, "4 arguments were passed, and it has 5: x, y, blocks, sizes, scratch"),
        (&much[..], grid, "40000 bytes of threadgroup memory; there are 32768"),
        (&most[..], grid, "18446744073709551615 bytes of threadgroup memory; there are 32768"),
        (
            &right[..],
            Grid::groups_1d(1, 1025),
            "a threadgroup of (1025, 1, 1) threads; from 1 to 1024 threads are possible",
        ),
        (
            &right[..],
            Grid::groups_1d(1, 0),
            "a threadgroup of (0, 1, 1) threads; from 1 to 1024 threads are possible",
        ),
        (
            &right[..],
            Grid::threads_1d(1 << 32),
            "the grid Threads { threads: (4294967296, 1, 1), group: (256, 1, 1) } has more threads along an axis than 32 bits can count",
        ),
    ] {
        assert_eq!(launch(args, grid), Err(format!("kernel 'all': {message}")));
    }
    // No threads, and no values: nothing runs.
    let empty = new(DType::F32, &[0]);
    let mut none = right;
    none[0] = (&empty).into();
    assert_eq!(launch(&none, Grid::threads_1d(0)).map(|report| report.counters.launches), Ok(0));
}

#[test]
fn copies_are_checked() {
    let bench = Bench::new();
    let (x, y) = (bench.tensor(&[0; 8]), bench.tensor(&[0; 4]));
    let matrix = x.reshape(&[2, 4]).unwrap();
    let columns = matrix.transpose(0, 1).unwrap();
    let part = |start| x.narrow(0, start..start + 4).unwrap();
    for (from, to, message) in [
        (&x, &y, "32 bytes are copied to 16 bytes"),
        (&columns, &x, "a tensor that is not contiguous is copied as bytes"),
        (&part(0), &part(3), "the source and the target of a copy overlap"),
    ] {
        let error = bench.stream().copy(from, to).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    bench.stream().copy(&part(0), &part(4)).unwrap();
}
