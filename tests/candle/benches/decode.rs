//! Tokens per second of the example `generate` beside candle on the CPU, in turns.
//!
//! `cargo bench --manifest-path tests/candle/Cargo.toml` measures the example's model with random weights;
//! `… -- model.gguf` another one of the llama architecture. With `RAYON_NUM_THREADS=1` candle uses one thread, which is faster
//! for small models, and much so on a machine with other work.

use candle_tests::{Candle, Llama, Ours, RandomModel, best};
use std::path::PathBuf;
use std::time::Instant;

/// The tokens of a turn, after as many tokens of prompt, and the number of turns.
const TOKENS: usize = 32;
const TURNS: usize = 15;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The seconds for the prompt and for each token after it.
fn turn(model: &mut dyn Llama, prompt: &[i32]) -> Result<[f64; 2]> {
    let start = Instant::now();
    let mut token = best(&model.read(prompt, 0)?);
    let read = start.elapsed();
    for position in prompt.len()..prompt.len() + TOKENS {
        token = best(&model.read(&[token], position)?);
    }
    let decoded = start.elapsed() - read;
    Ok([read.as_secs_f64(), decoded.as_secs_f64() / TOKENS as f64])
}

fn main() -> Result<()> {
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let random = RandomModel::new()?;
    let path = file.map_or(random.path().to_owned(), PathBuf::from);
    let (mut ours, mut candle) = (Ours::open(&path)?, Candle::open(&path)?);
    let prompt: Vec<i32> = (0..TOKENS as i32).map(|i| i * 37 % 500 + 3).collect();
    // Compiles and warms up.
    let [read, _] = turn(&mut ours, &prompt)?;
    let [again, _] = turn(&mut ours, &prompt)?;
    println!("kernels of a prompt are compiled in {:.1} ms", (read - again) * 1e3);
    turn(&mut candle, &prompt)?;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        turns.push([turn(&mut ours, &prompt)?, turn(&mut candle, &prompt)?]);
    }
    for (nth, what) in ["tokens of a prompt", "tokens after it"].into_iter().enumerate() {
        let count = if nth == 0 { TOKENS as f64 } else { 1.0 };
        let median = |value: &dyn Fn(&[[f64; 2]; 2]) -> f64| {
            let mut values: Vec<f64> = turns.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let [ours, candle] = [0, 1].map(|who| count / median(&|turn| turn[who][nth]));
        let ratio = median(&|turn| turn[1][nth] / turn[0][nth]);
        println!("{what}: {ours:.0} per second, candle {candle:.0} per second, ratio {ratio:.2}");
    }
    Ok(())
}
