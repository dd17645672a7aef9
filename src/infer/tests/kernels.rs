//! The registry of kernels.

use super::Bench;
use crate::infer::{Constant, Error};

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
        ("broken", "one", &["undeclared identifier 'y'"]),
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
