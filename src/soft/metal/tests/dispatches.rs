//! Kernels, from source text to result.

use super::*;

#[test]
fn saxpy_from_source_to_result() {
    let count = 10_000;
    let x: Vec<f32> = (0..count).map(|i| i as f32).collect();
    let (y, x) = (buffer_of(&vec![1.0f32; count]), buffer_of(&x));
    let pipeline = pipeline(SAXPY, "saxpy");
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *y, 0, 0);
    bind_buffer(*encoder, *x, 0, 1);
    push(*encoder, &2.0f32, 2);
    launch(*encoder, count, 256);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    for (i, y) in contents::<f32>(*y).into_iter().enumerate() {
        assert_eq!(y, 2.0 * i as f32 + 1.0);
    }
    let time = |selector| send!(*commands, selector; f64);
    let (start, end) = (time("GPUStartTime"), time("GPUEndTime"));
    assert!(0.0 < start && start < end && end - start < 60.0);
    assert!(time("kernelStartTime") <= time("kernelEndTime"));
    assert!(time("kernelEndTime") <= start);
}
