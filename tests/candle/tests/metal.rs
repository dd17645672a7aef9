//! candle's transformer on its Metal device, which is soft Metal here, computes what it computes on its CPU device:
//! `aruminium run cargo test --release --features metal --test metal`.
#![cfg(feature = "metal")]

use candle_core::Device;
use candle_tests::{Candle, Llama, RandomModel, best};

const PROMPT: [i32; 12] = [3, 400, 77, 255, 12, 130, 9, 31, 500, 64, 2, 301];
const STEPS: usize = 32;

fn largest(logits: impl Iterator<Item = f32>) -> f32 {
    logits.fold(f32::NEG_INFINITY, f32::max)
}

/// Lets the Metal device read `metal` and the CPU device read `cpu`: a prompt, then the tokens that the CPU device
/// chooses. Returns the largest difference of two logits, as a part of the largest logit, and the number of equal tokens.
fn compare(metal: &RandomModel, cpu: &RandomModel) -> (f32, usize) {
    let device = Device::new_metal(0).expect("a Metal device");
    let mut metal = Candle::open_on(metal.path(), device).expect("a model");
    let mut cpu = Candle::open(cpu.path()).expect("a model");
    let (mut tokens, mut position, mut worst, mut same) = (PROMPT.to_vec(), 0, 0f32, 0);
    for _ in 0..STEPS {
        let found = metal.read(&tokens, position).expect("it runs");
        let expected = cpu.read(&tokens, position).expect("it runs");
        let scale = largest(expected.iter().map(|logit| logit.abs()));
        let errors = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
        worst = worst.max(largest(errors) / scale);
        same += usize::from(best(&found) == best(&expected));
        position += tokens.len();
        tokens = vec![best(&expected)];
    }
    println!("the largest error is {worst}; {same} of {STEPS} tokens are the same");
    (worst, same)
}

#[test]
fn tokens_of_plain_weights_are_those_of_the_cpu() {
    let file = RandomModel::decoded().expect("a file");
    let (error, same) = compare(&file, &file);
    assert_eq!(same, STEPS);
    assert!(error < 1e-4, "{error}");
}

/// The Metal device multiplies by the weights as the file has them. So does the CPU device, but it also rounds the other
/// operand of each product: it reads the decoded weights instead.
#[test]
fn tokens_of_quantised_weights_are_those_of_the_cpu_with_decoded_weights() {
    let quantised = RandomModel::new().expect("a file");
    let decoded = RandomModel::decoded().expect("a file");
    let (error, same) = compare(&quantised, &decoded);
    assert_eq!(same, STEPS);
    assert!(error < 1e-4, "{error}");
}

#[test]
fn logits_of_quantised_weights_differ_from_the_cpu_by_its_rounding() {
    let file = RandomModel::new().expect("a file");
    let (error, same) = compare(&file, &file);
    assert!(same >= STEPS * 3 / 4, "{same}");
    assert!(error < 0.08, "{error}");
}
