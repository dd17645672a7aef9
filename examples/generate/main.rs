//! A decoder-only transformer of the llama architecture (Llama 1 to 3, and models like them), from a GGUF file: a prompt, then
//! tokens by a replayed graph.
//!
//! `cargo run --release --features infer --example generate -- model.gguf "Once upon a time" 64`
//!
//! Without a file it makes a small model with random weights, writes it as GGUF, and runs that; `--random model.gguf` only writes
//! it. A file with something that this program does not compute, such as tensors of other layers, is an error.

pub(crate) mod vocabulary;

use aruminium::infer::ops::{
    Attention, Binary, Gate, Gated, Linear, Norm, Pairs, Rope, Sample, Scaling,
};
use aruminium::infer::weights::{Entry, Gguf, Value};
use aruminium::infer::{DType, Error, Graph, Ops, Quant, Sampling, Stream, Tensor};
use aruminium::{Gpu, Queue};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use vocabulary::Vocabulary;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The largest number of tokens of a conversation, if the model has no smaller one, and of candidates.
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
    /// The most tokens of a conversation.
    pub(crate) context: usize,
    scaling: Scaling,
    /// The factor of rotated values.
    scale: f32,
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
        if number("attention.value_length").is_ok_and(|length| length != dim) {
            return Err("heads whose keys and values have different sizes are not supported".into());
        }
        let (scaling, scale) = scaling(&value)?;
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
            context: number("context_length").unwrap_or(CONTEXT).min(CONTEXT),
            scaling,
            scale,
        })
    }
}

/// How positions of long contexts are scaled, and the factor of rotated values.
fn scaling<'a>(value: &impl Fn(&str) -> Option<&'a Value>) -> Result<(Scaling, f32)> {
    let number = |key: &str| value(key).and_then(Value::as_f64);
    let factor = number("rope.scaling.factor").or_else(|| number("rope.scale_linear"));
    let kind = value("rope.scaling.type").and_then(Value::as_str);
    // Files that are older than the key have linear factors.
    let kind = kind.unwrap_or(if factor.is_some() { "linear" } else { "none" });
    let scale = number("rope.scaling.attn_factor").unwrap_or(1.0);
    match (kind, factor) {
        ("none", _) | ("linear", None) => Ok((Scaling::None, 1.0)),
        ("linear", Some(factor)) => Ok((Scaling::Linear(factor), 1.0)),
        ("yarn", Some(factor)) => {
            let context = number("rope.scaling.original_context_length");
            let context =
                context.ok_or("the file has no llama.rope.scaling.original_context_length")?;
            let fast = number("rope.scaling.yarn_beta_fast").unwrap_or(32.0);
            let slow = number("rope.scaling.yarn_beta_slow").unwrap_or(1.0);
            let scale = scale * (1.0 + 0.1 * factor.ln());
            Ok((Scaling::Yarn { factor, fast, slow, context }, scale as f32))
        }
        _ => Err(format!(
            "positions scaled by {kind:?} with the factor {factor:?} are not supported"
        )
        .into()),
    }
}

/// The tensors of a layer.
const LAYER: [&str; 9] = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

/// Factors that divide the frequencies of Llama 3.1 and later models.
const FACTORS: &str = "rope_freqs.weight";

/// An error for a tensor that the model does not use: its results would be wrong.
fn check_names(file: &Gguf, layers: usize) -> Result<()> {
    for info in file.weights().tensors() {
        let name = info.name().strip_suffix(".weight").unwrap_or("");
        let of_layer = || {
            let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
            Some(layer.parse::<usize>().ok()? < layers && LAYER.contains(&part))
        };
        let whole = ["token_embd", "output_norm", "output", "rope_freqs"].contains(&name);
        if !whole && of_layer() != Some(true) {
            return Err(format!(
                "the tensor {:?} is of a model that is not supported",
                info.name()
            )
            .into());
        }
    }
    Ok(())
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
        check_names(file, config.layers)?;
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
        let mut list = config.scaling.frequencies(config.base, config.rotated);
        if file.weights().info(FACTORS).is_some() {
            let factors = file.weights().dequantize(FACTORS)?;
            if factors.len() != list.len() {
                let (found, pairs) = (factors.len(), list.len());
                return Err(format!("{FACTORS} has {found} factors for {pairs} pairs").into());
            }
            list.iter_mut().zip(factors).for_each(|(frequency, factor)| *frequency /= factor);
        }
        let frequencies = Tensor::from_slice(gpu, &list, &[list.len()])?;
        let cache = || Tensor::new(gpu, DType::F16, &[config.context, config.kv_heads, config.dim]);
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
        let rope = Rope { pairs: Pairs::Neighbours, scale: self.config.scale, ..Rope::default() };
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
    // Bytes, pairs of letters, and numbers.
    let pairs = (0..100)
        .map(|i| format!("{}{}", b"etaoinshrd"[i / 10] as char, b"etaoinshrd"[i % 10] as char));
    let words = (0..vocabulary - 356).map(|i| format!("▁{}", i * 7919 % 1000));
    let bytes = (0..256).map(|b| format!("<0x{b:02X}>"));
    let tokens: Vec<String> = bytes.chain(pairs).chain(words).collect();
    let scores: Vec<f32> = (0..vocabulary).map(|i| -(i as f32)).collect();
    let number = |n: usize| Value::from(n as u32);
    let meta = [
        ("general.architecture", Value::from("llama")),
        ("llama.block_count", number(layers)),
        ("llama.context_length", number(1024)),
        ("llama.embedding_length", number(width)),
        ("llama.feed_forward_length", number(hidden)),
        ("llama.attention.head_count", number(heads)),
        ("llama.attention.head_count_kv", number(kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::from(1e-5f32)),
        ("llama.rope.dimension_count", number(width / heads)),
        ("tokenizer.ggml.model", Value::from("llama")),
        ("tokenizer.ggml.tokens", Value::from(tokens)),
        ("tokenizer.ggml.scores", Value::from(scores)),
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

/// The options of a run.
pub(crate) struct Task<'a> {
    pub(crate) prompt: &'a str,
    /// The number of tokens after the prompt.
    pub(crate) count: usize,
    pub(crate) sample: Sample,
}

/// The generated text, and the speed.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The tokens of the prompt, and those after it.
    pub(crate) prompt: Vec<i32>,
    pub(crate) tokens: Vec<i32>,
    /// Milliseconds until the first token, in which kernels are compiled.
    first: f64,
    /// Tokens per second after it; each is a replay.
    speed: Option<f64>,
    /// Of a token.
    launches: u64,
    barriers: u64,
    /// The time of each launch of a token.
    table: String,
}

/// Writes a text to `out` as it is generated.
pub(crate) fn run(
    gpu: &Gpu,
    queue: &Queue,
    file: &Gguf,
    task: &Task<'_>,
    out: &mut impl Write,
) -> Result<Summary> {
    let model = Model::new(gpu, file)?;
    let vocabulary = Vocabulary::of(file)?;
    let prompt = match &vocabulary {
        Some(vocabulary) => vocabulary.prompt(task.prompt),
        None => vec![1],
    };
    let context = model.config.context;
    if prompt.is_empty() || prompt.len() >= context {
        let found = prompt.len();
        return Err(
            format!("a prompt of {found} tokens: from 1 to {} are possible", context - 1).into()
        );
    }
    let (ops, mut random) = (Ops::new(gpu), Random(0x5eed));
    let mut summary = Summary { prompt, ..Summary::default() };

    let start = Instant::now();
    let prompt = model.activations(gpu, summary.prompt.len())?;
    prepare(&prompt, &summary.prompt, 0, random.fraction())?;
    let mut stream = Stream::new(gpu, queue);
    model.forward(&ops, &mut stream, &prompt, task.sample)?;
    stream.finish()?;
    let mut token = prompt.chosen.read::<i32>()?[0];
    summary.first = start.elapsed().as_secs_f64() * 1e3;

    // One step, recorded once: only tokens, positions and random numbers change. Recording compiles its kernels.
    let step = model.activations(gpu, 1)?;
    let (graph, ()) = Graph::record(|stream| model.forward(&ops, stream, &step, task.sample))?;
    let start = Instant::now();
    let first = summary.prompt.len();
    for position in first..context.min(first + task.count) {
        if vocabulary.as_ref().is_some_and(|vocabulary| vocabulary.ends(token)) {
            break;
        }
        match &vocabulary {
            Some(vocabulary) => out.write_all(&vocabulary.bytes(token))?,
            None => write!(out, "{token} ")?,
        }
        out.flush()?;
        summary.tokens.push(token);
        prepare(&step, &[token], position, random.fraction())?;
        let report = graph.replay(gpu, queue, &[], &[])?.wait()?;
        (summary.barriers, summary.launches) = (report.counters.barriers, report.counters.launches);
        token = step.chosen.read::<i32>()?[0];
    }
    if !summary.tokens.is_empty() {
        summary.speed = Some(summary.tokens.len() as f64 / start.elapsed().as_secs_f64());
        // Where the time of a step goes.
        let mut stream = Stream::new(gpu, queue);
        stream.sample(Sampling::Launches)?;
        stream.replay(&graph, &[], &[])?;
        summary.table = stream.finish()?.profile.table();
    }
    Ok(summary)
}

fn show(gpu: &Gpu, file: &Gguf, task: &Task<'_>) -> Result<()> {
    let summary = run(gpu, &gpu.new_command_queue()?, file, task, &mut std::io::stdout())?;
    let Summary { prompt, tokens, first, launches, barriers, .. } = &summary;
    println!();
    eprintln!("{} tokens of prompt in {first:.0} ms, with compiling", prompt.len());
    if let Some(speed) = summary.speed {
        let count = tokens.len();
        eprintln!(
            "{count} tokens, {speed:.1} tokens/s; {launches} launches and {barriers} barriers per token"
        );
        eprint!("{}", summary.table);
    }
    Ok(())
}

const USAGE: &str = "usage: generate [MODEL.gguf [PROMPT [TOKENS]]]
       generate --random MODEL.gguf   writes a small model with random weights";

fn start(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let file = arguments.next();
    match file.as_deref() {
        Some("--help" | "-h") => {
            println!("{USAGE}");
            return Ok(());
        }
        Some("--random") => {
            return write_random(Path::new(&arguments.next().ok_or(USAGE)?));
        }
        Some(option) if option.starts_with("--") => {
            return Err(format!("there is no option {option}\n{USAGE}").into());
        }
        _ => {}
    }
    let prompt = arguments.next().unwrap_or_else(|| "Once upon a time".into());
    let count = arguments.next().unwrap_or_else(|| "32".into());
    let count = count.parse().map_err(|_| format!("'{count}' is no number of tokens\n{USAGE}"))?;
    let sample = Sample { temperature: 0.8, top_p: 0.95, min_p: 0.0 };
    let task = Task { prompt: &prompt, count, sample };
    let gpu = Gpu::open()?;
    match file {
        Some(path) => show(&gpu, &Gguf::open(path)?, &task),
        None => {
            let path = std::env::temp_dir().join(format!("generate-{}.gguf", std::process::id()));
            write_random(&path)?;
            let result =
                Gguf::open(&path).map_err(Into::into).and_then(|file| show(&gpu, &file, &task));
            std::fs::remove_file(&path)?;
            result
        }
    }
}

fn main() -> ExitCode {
    match start(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}
