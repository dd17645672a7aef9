//! The example `generate`: its logits equal those of a transformer in `f64` with the same weights, for a prompt and for
//! tokens by a replayed graph.

#[allow(dead_code, reason = "the program's own part is not used")]
#[path = "../../../examples/generate.rs"]
mod generate;

use aruminium::Gpu;
use aruminium::infer::ops::Sample;
use aruminium::infer::weights::Gguf;
use aruminium::infer::{Graph, Ops, Stream};
use generate::{Config, Model, prepare, write_random};

/// The model in `f64`, from the definition.
struct Reference<'a> {
    file: &'a Gguf,
    config: Config,
    /// Keys and values of each layer, token after token.
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl Reference<'_> {
    fn weight(&self, name: &str) -> Vec<f64> {
        let values = self.file.weights().dequantize(&format!("{name}.weight"));
        values.expect("a tensor").into_iter().map(f64::from).collect()
    }

    fn product(&self, x: &[f64], name: &str) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum();
        self.weight(name).chunks(x.len()).map(dot).collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let scale = (mean + f64::from(self.config.epsilon)).sqrt().recip();
        x.iter().zip(self.weight(name)).map(|(x, w)| x * scale * w).collect()
    }

    /// Rotates neighbours of each head.
    fn rope(&self, x: &mut [f64], position: usize) {
        for head in x.chunks_mut(self.config.dim) {
            for pair in 0..self.config.rotated / 2 {
                let power = -2.0 * pair as f64 / self.config.rotated as f64;
                let (s, c) = (position as f64 * self.config.base.powf(power)).sin_cos();
                let (a, b) = (head[2 * pair], head[2 * pair + 1]);
                (head[2 * pair], head[2 * pair + 1]) = (a * c - b * s, a * s + b * c);
            }
        }
    }

    /// The logits after one more token.
    fn step(&mut self, token: i32, position: usize) -> Vec<f64> {
        let Config { width, heads, kv_heads, dim, .. } = self.config;
        let mut x = self.weight("token_embd")[token as usize * width..][..width].to_vec();
        let add =
            |x: &mut [f64], part: &[f64]| x.iter_mut().zip(part).for_each(|(x, part)| *x += part);
        for layer in 0..self.config.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let normal = self.norm(&x, &name("attn_norm"));
            let mut queries = self.product(&normal, &name("attn_q"));
            let mut keys = self.product(&normal, &name("attn_k"));
            let values = self.product(&normal, &name("attn_v"));
            self.rope(&mut queries, position);
            self.rope(&mut keys, position);
            self.keys[layer].extend(keys);
            self.values[layer].extend(values);
            let mut mixed = Vec::new();
            for (head, query) in queries.chunks(dim).enumerate() {
                let start = head * kv_heads / heads * dim;
                let of = |all: &[f64], token: usize| {
                    all[token * kv_heads * dim + start..][..dim].to_vec()
                };
                let weights = (0..=position).map(|token| {
                    let key = of(&self.keys[layer], token);
                    let dot: f64 = query.iter().zip(&key).map(|(q, k)| q * k).sum();
                    (dot / (dim as f64).sqrt()).exp()
                });
                let weights: Vec<f64> = weights.collect();
                let sum: f64 = weights.iter().sum();
                for column in 0..dim {
                    let values = (0..=position).map(|token| of(&self.values[layer], token)[column]);
                    mixed.push(values.zip(&weights).map(|(v, w)| v * w / sum).sum());
                }
            }
            add(&mut x, &self.product(&mixed, &name("attn_output")));
            let normal = self.norm(&x, &name("ffn_norm"));
            let gate = self.product(&normal, &name("ffn_gate"));
            let up = self.product(&normal, &name("ffn_up"));
            let hidden = gate.iter().zip(&up).map(|(g, u)| g / (1.0 + (-g).exp()) * u);
            add(&mut x, &self.product(&hidden.collect::<Vec<_>>(), &name("ffn_down")));
        }
        self.product(&self.norm(&x, "output_norm"), "token_embd")
    }
}

/// The cache holds halves, with an error of 2⁻¹¹; through four layers it stays within 1 % of the largest logit.
#[track_caller]
fn close(found: &[f32], expected: &[f64]) {
    let largest = expected.iter().fold(0.0, |most: f64, logit| most.max(logit.abs()));
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= 0.01 * largest,
            "logit {i} is {found}, not {expected}; the largest is {largest}"
        );
    }
}

fn best(logits: impl IntoIterator<Item = f64>) -> usize {
    let all = logits.into_iter().enumerate();
    all.max_by(|a, b| a.1.total_cmp(&b.1)).expect("a vocabulary").0
}

#[test]
fn logits_are_those_of_the_definition() {
    let path = std::env::temp_dir().join(format!("transformer-{}.gguf", std::process::id()));
    write_random(&path).expect("a file");
    let file = Gguf::open(&path).expect("it is valid");
    let (gpu, sample) =
        (Gpu::open().expect("a GPU"), Sample { temperature: 0.0, ..Sample::default() });
    let queue = gpu.new_command_queue().expect("a queue");
    let (ops, model) = (Ops::new(&gpu), Model::new(&gpu, &file).expect("a model"));
    let config = Config::of(&file).expect("a configuration");
    let empty = vec![Vec::new(); config.layers];
    let mut reference = Reference { file: &file, config, keys: empty.clone(), values: empty };

    let prompt = [3, 400, 77, 255, 12];
    let activations = model.activations(&gpu, prompt.len()).expect("memory");
    prepare(&activations, &prompt, 0, 0.0).expect("free");
    let mut stream = Stream::new(&gpu, &queue);
    model.forward(&ops, &mut stream, &activations, sample).expect("it is recorded");
    stream.finish().expect("it runs");
    let mut expected = Vec::new();
    for (position, token) in prompt.into_iter().enumerate() {
        expected = reference.step(token, position);
    }
    close(&activations.logits.to_vec::<f32>().expect("free"), &expected);
    let mut token = activations.chosen.to_vec::<i32>().expect("free")[0];
    assert_eq!(token as usize, best(expected), "the greedy token of the prompt");

    let step = model.activations(&gpu, 1).expect("memory");
    let (graph, ()) =
        Graph::record(|stream| model.forward(&ops, stream, &step, sample)).expect("a graph");
    for position in prompt.len()..prompt.len() + 6 {
        prepare(&step, &[token], position, 0.0).expect("free");
        graph.replay(&gpu, &queue, &[], &[]).expect("it is replayed").wait().expect("it runs");
        let expected = reference.step(token, position);
        close(&step.logits.to_vec::<f32>().expect("free"), &expected);
        token = step.chosen.to_vec::<i32>().expect("free")[0];
        assert_eq!(token as usize, best(expected), "the greedy token of position {position}");
    }
    std::fs::remove_file(&path).expect("it is there");
}
