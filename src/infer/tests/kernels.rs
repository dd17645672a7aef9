//! The registry of kernels.

use super::Bench;
use crate::infer::ops::{Linear, Softmax, Unary};
use crate::infer::{Arg, Constant, Counters, DType, Error, Grid, Ops, Stream, Tensor};

#[test]
fn threads_share_one_pipeline() {
    let bench = Bench::new();
    bench.kernels.add(
        "constants",
        "constant uint n [[function_constant(0)]]; constant bool b [[function_constant(1)]];
         kernel void put(device uint *x) { x[0] = b ? n : 0; }",
    );
    let get = |n: u32| {
        // The order of the constants makes no difference.
        let mut constants: [(usize, Constant); 2] = [(0, n.into()), (1, true.into())];
        if n == 0 {
            constants.reverse();
        }
        bench.kernels.get_with("constants", "put", &constants).unwrap()
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || get(i % 2))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (i, kernel) in all.iter().enumerate() {
        assert!(kernel.is_same(&all[i % 2]) && !kernel.is_same(&all[(i + 1) % 2]));
    }
    assert_eq!(bench.kernels.len(), 2);
}

#[test]
fn errors_name_the_source_and_the_kernel() {
    let bench = Bench::new();
    bench.kernels.add("broken", "kernel void one(device int *x) { y[0] = 1; }");
    bench.kernels.add("image", "kernel void one(texture2d<float> t [[texture(0)]], device float *x) { x[0] = t.read(uint2(0)).x; }");
    for (source, kernel, parts) in [
        ("none", "one", &["'one'", "'none'", "broken, image, order"][..]),
        ("order", "twits", &["source 'order'", "`twits`", "twist"]),
        ("broken", "one", &["source 'broken'", "undeclared identifier 'y'"]),
        ("image", "one", &["kernel 'one'", "'t'", "Texture"]),
    ] {
        let error = bench.kernels.get(source, kernel).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let wanted = [("order", "twist"), ("broken", "one"), ("order", "mix"), ("order", "nothing")];
    let failures = bench.kernels.warm(&wanted).unwrap_err();
    let names: Vec<_> = failures.iter().map(|f| (f.source.as_str(), f.function.as_str())).collect();
    assert_eq!(names, [("broken", "one"), ("order", "nothing")]);
    assert!(matches!(failures[1].error, Error::UnknownKernel(_)));
    assert_eq!(bench.kernels.len(), 2);
}

/// One compilation for a source, whichever kernels of it are requested, and by how many threads at once.
#[test]
fn threads_share_one_compilation() {
    let bench = Bench::new();
    assert_eq!(bench.kernels.compilations(), 0);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let bench = &bench;
            scope.spawn(move || bench.kernel(["twist", "mix", "join"][i % 3]));
        }
    });
    assert_eq!((bench.kernels.compilations(), bench.kernels.len()), (1, 3));
    // A source with an error is compiled for each request: the next one may succeed.
    bench.kernels.add("broken", "kernel void one(device int *x) { y[0] = 1; }");
    for expected in [2, 3] {
        assert!(bench.kernels.get("broken", "one").is_err());
        assert_eq!(bench.kernels.compilations(), expected);
    }
}

#[test]
fn variants_are_counted_by_their_constants() {
    let bench = Bench::new();
    bench.kernels.add(
        "variants",
        "constant uint n [[function_constant(0)]]; constant float f [[function_constant(2)]];
         kernel void counted(device uint *x) { x[0] = n + uint(f); }",
    );
    let x = bench.tensor(&[0]);
    let before = Counters::kernels();
    let constants = [1u32, 2].map(|n| [(2, 0.5f32.into()), (0, n.into())]);
    bench
        .kernels
        .warm_with(&constants.each_ref().map(|c| ("variants", "counted", &c[..])))
        .unwrap();
    let mut stream = bench.stream();
    for (constants, launches) in constants.iter().zip([2, 3]) {
        let kernel = bench.kernels.get_with("variants", "counted", constants).unwrap();
        assert_eq!(kernel.name(), "counted");
        for _ in 0..launches {
            stream.launch(&kernel, &[Arg::Tensor(&x)], Grid::threads_1d(1)).unwrap();
        }
    }
    let report = stream.finish().unwrap();
    let expected = [("counted 0=1 2=0.5".to_owned(), 2), ("counted 0=2 2=0.5".to_owned(), 3)];
    assert_eq!(report.kernels, expected);
    let since = Counters::kernels_since(&before);
    assert!(expected.iter().all(|row| since.contains(row)), "{since:?}");
}

/// Warming operations compiles what their use needs, and runs nothing.
#[test]
fn operations_are_warmed() {
    let bench = Bench::new();
    let ops = Ops::new(&bench.gpu);
    let x = Tensor::from_slice(&bench.gpu, &[1.0f32; 64], &[2, 32]).unwrap();
    let y = Tensor::new(&bench.gpu, DType::F32, &[2, 2]).unwrap();
    let step = |ops: &Ops, stream: &mut Stream| {
        ops.unary(stream, Unary::Exp, &x, &x)?;
        ops.linear(stream, &x, &x, &y, Linear::default())?;
        ops.softmax(stream, &y, &y, Softmax::default())
    };
    assert_eq!(ops.warm(step).unwrap(), 3);
    assert_eq!(ops.warm(step).unwrap(), 0, "all are made");
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0; 64]);
    let mut stream = bench.stream();
    step(&ops, &mut stream).unwrap();
    let report = stream.finish().unwrap();
    assert!(
        report.kernels[1].0.starts_with("linear_few ") && report.kernels[1].0.contains("X=f32")
    );
    // An error of the closure is not one of a kernel.
    let wrong = ops.warm(|ops, stream| ops.softmax(stream, &x, &y, Softmax::default()));
    assert!(matches!(wrong, Err(Error::Shape(_))), "{wrong:?}");
}
