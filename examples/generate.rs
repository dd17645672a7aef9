//! A decoder-only transformer of the llama architecture, from a GGUF file: a prompt, then tokens by a replayed graph.
//!
//! `cargo run --release --features infer --example generate -- model.gguf "Once upon a time" 64`
//!
//! Without a file it makes a small model with random weights, writes it as GGUF, and runs that.

use aruminium::infer::ops::{
    Attention, Binary, Gate, Gated, Linear, Norm, Pairs, Rope, Sample, Scaling,
};
use aruminium::infer::weights::{Array, Entry, Gguf, Value};
use aruminium::infer::{DType, Error, Graph, Ops, Quant, Sampling, Stream, Tensor};
use aruminium::{Gpu, Queue};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The largest number of tokens of a conversation, and of candidates.
const CONTEXT: usize = 2048;
const CANDIDATES: usize = 40;

/// The sizes of a model.
pub(crate) struct Config {
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Values of a head.
    pub(crate) dim: usize,
    pub(crate) hidden: usize,
    pub(crate) epsilon: f32,
    pub(crate) rotated: usize,
    pub(crate) base: f64,
}

impl Config {
    pub(crate) fn of(file: &Gguf) -> Result<Self> {
        let architecture = file.meta("general.architecture").and_then(Value::as_str);
        if architecture != Some("llama") {
            return Err(format!("the architecture is {architecture:?}, and not llama").into());
        }
        let value = |key: &str| file.meta(&format!("llama.{key}"));
        let number = |key: &str| {
            let number = value(key).and_then(Value::as_u64).filter(|&n| n > 0);
            number.map(|n| n as usize).ok_or_else(|| format!("the file has no number llama.{key}"))
        };
        let (width, heads) = (number("embedding_length")?, number("attention.head_count")?);
        let dim = number("attention.key_length").unwrap_or(width / heads);
        Ok(Self {
            layers: number("block_count")?,
            width,
            heads,
            kv_heads: number("attention.head_count_kv").unwrap_or(heads),
            dim,
            hidden: number("feed_forward_length")?,
            epsilon: value("attention.layer_norm_rms_epsilon")
                .and_then(Value::as_f64)
                .unwrap_or(1e-5) as f32,
            rotated: number("rope.dimension_count").unwrap_or(dim),
            base: value("rope.freq_base").and_then(Value::as_f64).unwrap_or(10000.0),
        })
    }
}

/// A model, and the keys and values of a conversation.
pub(crate) struct Model {
    config: Config,
    weights: BTreeMap<String, Tensor>,
    frequencies: Tensor,
    caches: Vec<(Tensor, Tensor)>,
}

/// The tensors of one step: activations and results for some tokens.
pub(crate) struct Activations {
    tokens: Tensor,
    positions: Tensor,
    /// The sum that each layer adds to, its norm, and the output of a layer.
    sum: Tensor,
    normal: Tensor,
    part: Tensor,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mixed: Tensor,
    gate: Tensor,
    up: Tensor,
    pub(crate) logits: Tensor,
    best: Tensor,
    best_tokens: Tensor,
    random: Tensor,
    pub(crate) chosen: Tensor,
}

impl Model {
    pub(crate) fn new(gpu: &Gpu, file: &Gguf) -> Result<Self> {
        let config = Config::of(file)?;
        let mut shown = 0;
        // SAFETY: this program does not change the file, and its documentation asks users not to.
        let weights = unsafe {
            file.weights().map(gpu, |progress| {
                let percent = (100.0 * progress.fraction()) as usize;
                if percent >= shown + 20 {
                    eprintln!("loaded {percent} %");
                    shown = percent;
                }
            })?
        };
        let list = Scaling::None.frequencies(config.base, config.rotated);
        let frequencies = Tensor::from_slice(gpu, &list, &[list.len()])?;
        let cache = || Tensor::new(gpu, DType::F16, &[CONTEXT, config.kv_heads, config.dim]);
        let caches = (0..config.layers).map(|_| Ok((cache()?, cache()?)));
        let caches = caches.collect::<std::result::Result<_, Error>>()?;
        Ok(Self { config, weights, frequencies, caches })
    }

    fn weight(&self, name: &str) -> std::result::Result<&Tensor, Error> {
        let name = format!("{name}.weight");
        self.weights.get(&name).ok_or_else(|| Error::Format(format!("there is no tensor {name:?}")))
    }

    /// The weights of the logits; small models use the embedding's.
    fn output(&self) -> std::result::Result<&Tensor, Error> {
        self.weight("output").or_else(|_| self.weight("token_embd"))
    }

    pub(crate) fn activations(
        &self,
        gpu: &Gpu,
        tokens: usize,
    ) -> std::result::Result<Activations, Error> {
        let Config { width, heads, kv_heads, dim, hidden, .. } = self.config;
        let vocabulary = self.output()?.shape()[0];
        let candidates = CANDIDATES.min(vocabulary);
        let float = |shape: &[usize]| Tensor::new(gpu, DType::F32, shape);
        let whole = |shape: &[usize]| Tensor::new(gpu, DType::I32, shape);
        Ok(Activations {
            tokens: whole(&[tokens])?,
            positions: whole(&[tokens])?,
            sum: float(&[tokens, width])?,
            normal: float(&[tokens, width])?,
            part: float(&[tokens, width])?,
            queries: float(&[tokens, heads, dim])?,
            keys: float(&[tokens, kv_heads, dim])?,
            values: float(&[tokens, kv_heads, dim])?,
            mixed: float(&[tokens, heads, dim])?,
            gate: float(&[tokens, hidden])?,
            up: float(&[tokens, hidden])?,
            logits: float(&[1, vocabulary])?,
            best: float(&[1, candidates])?,
            best_tokens: whole(&[1, candidates])?,
            random: float(&[1])?,
            chosen: whole(&[1])?,
        })
    }

    /// Records all launches from tokens to the choice of the next one.
    pub(crate) fn forward(
        &self,
        ops: &Ops,
        stream: &mut Stream,
        a: &Activations,
        sample: Sample,
    ) -> std::result::Result<(), Error> {
        let Config { heads, kv_heads, dim, epsilon, .. } = self.config;
        let tokens = a.tokens.count();
        let linear = Linear::default();
        let rope = Rope { pairs: Pairs::Neighbours, ..Rope::default() };
        let rows = |tensor: &Tensor, heads: usize| tensor.reshape(&[tokens, heads * dim]);
        ops.lookup(stream, &a.tokens, self.weight("token_embd")?, &a.sum)?;
        for (layer, (keys, values)) in self.caches.iter().enumerate() {
            let weight = |name: &str| self.weight(&format!("blk.{layer}.{name}"));
            // The norm first adds the output of the previous layer to the sum.
            let first = Norm { epsilon, weight: Some(weight("attn_norm")?), ..Norm::default() };
            match layer {
                0 => ops.norm(stream, &a.sum, &a.normal, first)?,
                _ => {
                    ops.norm(stream, &a.part, &a.normal, Norm { residual: Some(&a.sum), ..first })?
                }
            }
            ops.linear(stream, &a.normal, weight("attn_q")?, &rows(&a.queries, heads)?, linear)?;
            ops.linear(stream, &a.normal, weight("attn_k")?, &rows(&a.keys, kv_heads)?, linear)?;
            ops.linear(stream, &a.normal, weight("attn_v")?, &rows(&a.values, kv_heads)?, linear)?;
            for tensor in [&a.queries, &a.keys] {
                ops.rope(stream, tensor, &a.positions, &self.frequencies, tensor, rope)?;
            }
            ops.append(stream, &a.keys, &a.positions, keys)?;
            ops.append(stream, &a.values, &a.positions, values)?;
            let causal = Attention { positions: Some(&a.positions), ..Attention::default() };
            ops.attention(stream, &a.queries, keys, values, &a.mixed, causal)?;
            ops.linear(stream, &rows(&a.mixed, heads)?, weight("attn_output")?, &a.part, linear)?;

            let second =
                Norm { weight: Some(weight("ffn_norm")?), residual: Some(&a.sum), ..first };
            ops.norm(stream, &a.part, &a.normal, second)?;
            let (gate, up, kind) = (weight("ffn_gate")?, weight("ffn_up")?, Gate::Silu);
            if gate.dtype() == up.dtype() {
                ops.linear(stream, &a.normal, Gated { gate, up, kind }, &a.gate, linear)?;
            } else {
                ops.linear(stream, &a.normal, gate, &a.gate, linear)?;
                ops.linear(stream, &a.normal, up, &a.up, linear)?;
                ops.binary(stream, Binary::SiluMul, &a.gate, &a.up, &a.gate)?;
            }
            ops.linear(stream, &a.gate, weight("ffn_down")?, &a.part, linear)?;
        }
        let last = Norm {
            epsilon,
            weight: Some(self.weight("output_norm")?),
            residual: Some(&a.sum),
            ..Norm::default()
        };
        ops.norm(stream, &a.part, &a.normal, last)?;
        // Only the successor of the last token is chosen.
        let row = a.normal.narrow(0, tokens - 1..tokens)?;
        ops.linear(stream, &row, self.output()?, &a.logits, linear)?;
        ops.top(stream, &a.logits, &a.best_tokens, Some(&a.best))?;
        ops.sample(stream, &a.best, &a.best_tokens, &a.random, &a.chosen, sample)
    }
}

/// The vocabulary of a file.
struct Vocabulary {
    tokens: Vec<String>,
    end: Option<u64>,
}

impl Vocabulary {
    fn of(file: &Gguf) -> Option<Self> {
        let tokens = file.meta("tokenizer.ggml.tokens")?.as_array().and_then(Array::as_strings)?;
        let end = file.meta("tokenizer.ggml.eos_token_id").and_then(Value::as_u64);
        Some(Self { tokens: tokens.to_vec(), end })
    }

    /// Splits a text into the longest possible tokens: not always those of the training, but of the same text.
    fn encode(&self, text: &str) -> Vec<i32> {
        let by_text: BTreeMap<&str, i32> =
            self.tokens.iter().map(|token| &token[..]).zip(0..).collect();
        let spaced = if by_text.contains_key("▁") { "▁" } else { "Ġ" };
        let text = text.replace(' ', if by_text.contains_key(spaced) { spaced } else { " " });
        let (mut rest, mut tokens) = (&text[..], Vec::new());
        while let Some(first) = rest.chars().next() {
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take(64);
            let longest = ends.filter(|&end| by_text.contains_key(&rest[..end])).last();
            let end = longest.unwrap_or(first.len_utf8());
            match longest {
                Some(end) => tokens.push(by_text[&rest[..end]]),
                // Falls back to tokens of single bytes, and omits bytes that have none.
                None => tokens.extend(
                    rest[..end].bytes().filter_map(|b| by_text.get(&format!("<0x{b:02X}>")[..])),
                ),
            }
            rest = &rest[end..];
        }
        tokens
    }

    fn bytes(&self, token: i32) -> Vec<u8> {
        let text = usize::try_from(token).ok().and_then(|token| self.tokens.get(token));
        let text = text.map_or("", |text| &text[..]);
        let byte = text.strip_prefix("<0x").and_then(|text| text.strip_suffix('>'));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => vec![byte],
            None => text.replace(['▁', 'Ġ'], " ").replace('Ċ', "\n").into_bytes(),
        }
    }
}

/// Random numbers, by xorshift.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fraction(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }
}

/// Writes a small model with random weights.
pub(crate) fn write_random(path: &Path) -> Result<()> {
    let (layers, width, heads, kv_heads, hidden, vocabulary) = (4usize, 256, 8, 2, 512, 512);
    let mut random = Random(42);
    let mut tensors: Vec<(String, DType, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, rows: usize, columns: usize| {
        // Blocks of Q8_0: a scale of 2⁻¹⁰, and bytes.
        let blocks = (0..rows * columns / 32).flat_map(|_| {
            let bytes: Vec<u8> = (0..32).map(|_| (random.bits() >> 32) as u8).collect();
            [&[0x00, 0x14], &bytes[..]].concat()
        });
        let blocks = blocks.collect();
        tensors.push((name, DType::Quant(Quant::Q8_0), vec![rows, columns], blocks));
    };
    add("token_embd.weight".into(), vocabulary, width);
    for layer in 0..layers {
        for (name, rows, columns) in [
            ("attn_q", width, width),
            ("attn_k", width / heads * kv_heads, width),
            ("attn_v", width / heads * kv_heads, width),
            ("attn_output", width, width),
            ("ffn_gate", hidden, width),
            ("ffn_up", hidden, width),
            ("ffn_down", width, hidden),
        ] {
            add(format!("blk.{layer}.{name}.weight"), rows, columns);
        }
    }
    let ones = 1f32.to_le_bytes().repeat(width);
    let norms = (0..layers)
        .flat_map(|layer| ["attn_norm", "ffn_norm"].map(|n| format!("blk.{layer}.{n}.weight")));
    for name in norms.chain(["output_norm.weight".into()]) {
        tensors.push((name, DType::F32, vec![width], ones.clone()));
    }
    let words = (256..vocabulary).map(|i| format!("▁{}", i * 7919 % 1000));
    let tokens: Vec<String> = (0..256).map(|b| format!("<0x{b:02X}>")).chain(words).collect();
    let number = |n: usize| Value::from(n as u32);
    let meta = [
        ("general.architecture", Value::from("llama")),
        ("llama.block_count", number(layers)),
        ("llama.embedding_length", number(width)),
        ("llama.feed_forward_length", number(hidden)),
        ("llama.attention.head_count", number(heads)),
        ("llama.attention.head_count_kv", number(kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::from(1e-5f32)),
        ("llama.rope.dimension_count", number(width / heads)),
        ("tokenizer.ggml.model", Value::from("llama")),
        ("tokenizer.ggml.tokens", Value::from(tokens)),
    ];
    let entries: Vec<Entry<'_>> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| Entry::new(name, *dtype, shape, bytes))
        .collect();
    Ok(Gguf::write(std::fs::File::create(path)?, &meta, &entries)?)
}

/// Writes the inputs of the next step.
pub(crate) fn prepare(a: &Activations, tokens: &[i32], first: usize, random: f32) -> Result<()> {
    a.tokens.write::<i32>()?.copy_from_slice(tokens);
    for (position, to) in a.positions.write::<i32>()?.iter_mut().enumerate() {
        *to = (first + position) as i32;
    }
    a.random.write::<f32>()?[0] = random;
    Ok(())
}

fn run(gpu: &Gpu, queue: &Queue, file: &Gguf, prompt: &str, count: usize) -> Result<()> {
    let model = Model::new(gpu, file)?;
    let vocabulary = Vocabulary::of(file);
    let mut tokens = match &vocabulary {
        Some(vocabulary) => vocabulary.encode(prompt),
        None => Vec::new(),
    };
    if let Some(begin) = file.meta("tokenizer.ggml.bos_token_id").and_then(Value::as_u64) {
        tokens.insert(0, begin as i32);
    }
    if tokens.is_empty() {
        tokens.push(1);
    }
    let count = count.min(CONTEXT.saturating_sub(tokens.len()));
    let (ops, mut random) = (Ops::new(gpu), Random(0x5eed));
    let sample = Sample { temperature: 0.8, top_p: 0.95, min_p: 0.0 };

    let start = Instant::now();
    let prompt_activations = model.activations(gpu, tokens.len())?;
    prepare(&prompt_activations, &tokens, 0, random.fraction())?;
    let mut stream = Stream::new(gpu, queue);
    model.forward(&ops, &mut stream, &prompt_activations, sample)?;
    stream.finish()?;
    let mut token = prompt_activations.chosen.read::<i32>()?[0];
    eprintln!(
        "{} tokens of prompt in {:.0} ms, with compiling",
        tokens.len(),
        start.elapsed().as_secs_f64() * 1e3
    );

    // One step, recorded once: only tokens, positions and random numbers change.
    let step = model.activations(gpu, 1)?;
    let (graph, ()) = Graph::record(|stream| model.forward(&ops, stream, &step, sample))?;
    let (mut start, mut made, mut barriers, mut launches) = (Instant::now(), 0, 0, 0);
    for position in tokens.len()..tokens.len() + count {
        match &vocabulary {
            Some(vocabulary) if vocabulary.end == u64::try_from(token).ok() => break,
            Some(vocabulary) => std::io::stdout().write_all(&vocabulary.bytes(token))?,
            None => print!("{token} "),
        }
        std::io::stdout().flush()?;
        prepare(&step, &[token], position, random.fraction())?;
        let report = graph.replay(gpu, queue, &[], &[])?.wait()?;
        (barriers, launches) = (report.counters.barriers, report.counters.launches);
        token = step.chosen.read::<i32>()?[0];
        made += 1;
        if made == 1 {
            // The first step compiles kernels that the prompt did not use.
            start = Instant::now();
        }
    }
    println!();
    if made > 1 {
        let speed = f64::from(made - 1) / start.elapsed().as_secs_f64();
        eprintln!("{speed:.1} tokens/s; {launches} launches and {barriers} barriers per token");
        // Where the time of a step goes.
        let mut stream = Stream::new(gpu, queue);
        stream.sample(Sampling::Launches)?;
        stream.replay(&graph, &[], &[])?;
        eprint!("{}", stream.finish()?.profile.table());
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next();
    let prompt = arguments.next().unwrap_or_else(|| "Once upon a time".into());
    let count = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let gpu = Gpu::open()?;
    let queue = gpu.new_command_queue()?;
    match file {
        Some(path) => run(&gpu, &queue, &Gguf::open(path)?, &prompt, count),
        None => {
            let path = std::env::temp_dir().join(format!("generate-{}.gguf", std::process::id()));
            write_random(&path)?;
            let result = Gguf::open(&path)
                .map_err(Into::into)
                .and_then(|file| run(&gpu, &queue, &file, &prompt, count));
            std::fs::remove_file(&path)?;
            result
        }
    }
}
