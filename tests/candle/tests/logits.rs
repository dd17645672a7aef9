//! The logits of the example `generate` are those of candle for the same file, and so are the greedy tokens.

use candle_tests::{Candle, Llama, Ours, RandomModel, best};

const PROMPT: [i32; 12] = [3, 400, 77, 255, 12, 130, 9, 31, 500, 64, 2, 301];
const STEPS: usize = 32;

fn largest(logits: impl Iterator<Item = f32>) -> f32 {
    logits.fold(f32::NEG_INFINITY, f32::max)
}

/// Lets both models read a prompt and then the tokens that ours chooses. No logit of candle may differ by more than
/// `tolerance` of the largest one, and where it has another best token, that one leads by at most `lead` of it. Returns how many
/// tokens are the same.
#[track_caller]
fn compare(file: &RandomModel, tolerance: f32, lead: f32) -> usize {
    let mut ours = Ours::open(file.path()).expect("a model");
    let mut candle = Candle::open(file.path()).expect("a model");
    let (mut tokens, mut position, mut same) = (PROMPT.to_vec(), 0, 0);
    let (mut worst, mut leads) = (0f32, 0f32);
    for step in 0..STEPS {
        let found = ours.read(&tokens, position).expect("it runs");
        let expected = candle.read(&tokens, position).expect("it runs");
        assert_eq!(found.len(), expected.len());
        let scale = largest(expected.iter().map(|logit| logit.abs()));
        let errors = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
        let error = largest(errors) / scale;
        assert!(error <= tolerance, "step {step}: an error is {error} of the largest logit");
        let token = best(&found);
        let found = (largest(expected.iter().copied()) - expected[token as usize]) / scale;
        assert!(found <= lead, "step {step}: candle's best token leads by {found}");
        leads = leads.max(found);
        same += usize::from(token == best(&expected));
        worst = worst.max(error);
        position += tokens.len();
        tokens = vec![token];
    }
    println!(
        "the largest error is {worst}, the largest lead {leads}; {same} of {STEPS} greedy tokens are the same"
    );
    same
}

/// Both compute with the same weights in `f32`; ours has halves in its cache, with an error of 2⁻¹¹.
#[test]
fn logits_and_greedy_tokens_are_those_of_candle() {
    let file = RandomModel::decoded().expect("a file");
    assert_eq!(compare(&file, 0.005, 0.0), STEPS);
}

/// candle also rounds the inputs of each product to blocks of `Q8_0`, so to 1/127 of the largest of 32 values: an error of some
/// 0.5 % of a result's deviation. A model has some 16 products after each other, and random weights amplify what differs.
#[test]
fn logits_of_quantised_weights_differ_by_the_rounding_of_candle() {
    let file = RandomModel::new().expect("a file");
    assert!(compare(&file, 0.08, 0.02) >= STEPS * 3 / 4);
}
