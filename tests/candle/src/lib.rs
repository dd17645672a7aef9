//! The same model by the example `generate` and by candle, for a test and a benchmark.

#[allow(dead_code, reason = "the program's own part is not used")]
#[path = "../../../examples/generate/main.rs"]
mod generate;

use aruminium::infer::ops::Sample;
use aruminium::infer::weights::{Entry, Gguf, Value};
use aruminium::infer::{DType, Graph, Ops, Stream};
use aruminium::{Gpu, Queue};
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use generate::{Activations, Model, Result, prepare};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file of the example's model with random weights; dropping it deletes it.
#[derive(Debug)]
pub struct RandomModel(PathBuf);

impl RandomModel {
    /// Writes the file.
    pub fn new() -> Result<Self> {
        // Tests of one program run at the same time.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("candle-{process}-{count}.gguf"));
        generate::write_random(&path)?;
        Ok(Self(path))
    }

    /// The same with decoded weights.
    pub fn decoded() -> Result<Self> {
        let file = Self::new()?;
        let gguf = Gguf::open(file.path())?;
        let mut tensors = Vec::new();
        for info in gguf.weights().tensors() {
            let values = gguf.weights().dequantize(info.name())?;
            tensors.push((info, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()));
        }
        let entries: Vec<Entry<'_>> = tensors
            .iter()
            .map(|(info, bytes)| Entry::new(info.name(), DType::F32, info.shape(), bytes))
            .collect();
        let meta: Vec<(&str, Value)> =
            gguf.metadata().map(|(key, value)| (key, value.clone())).collect();
        let path = file.path().with_extension("decoded.gguf");
        Gguf::write(std::fs::File::create(&path)?, &meta, &entries)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RandomModel {
    fn drop(&mut self) {
        // Best effort: the file is in the folder for temporary files.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Something that has read some tokens, and predicts the next one.
pub trait Llama {
    /// Reads tokens at a position, and returns the logits of their successor.
    fn read(&mut self, tokens: &[i32], position: usize) -> Result<Vec<f32>>;
}

/// The example's model: prompts are recorded, single tokens replay a graph.
pub struct Ours {
    gpu: Gpu,
    queue: Queue,
    ops: Ops,
    model: Model,
    step: Activations,
    graph: Graph,
}

/// Always the token with the largest logit.
const GREEDY: Sample = Sample { temperature: 0.0, top_p: 1.0, min_p: 0.0 };

impl Ours {
    /// Maps the weights, and records the graph of a token.
    pub fn open(path: &Path) -> Result<Self> {
        let gpu = Gpu::open()?;
        let (queue, ops) = (gpu.new_command_queue()?, Ops::new(&gpu));
        let model = Model::new(&gpu, &Gguf::open(path)?)?;
        let step = model.activations(&gpu, 1)?;
        let (graph, ()) = Graph::record(|stream| model.forward(&ops, stream, &step, GREEDY))?;
        Ok(Self { gpu, queue, ops, model, step, graph })
    }
}

impl Llama for Ours {
    fn read(&mut self, tokens: &[i32], position: usize) -> Result<Vec<f32>> {
        if let [_] = tokens {
            prepare(&self.step, tokens, position, 0.0)?;
            self.graph.replay(&self.gpu, &self.queue, &[], &[])?.wait()?;
            return Ok(self.step.logits.to_vec()?);
        }
        let prompt = self.model.activations(&self.gpu, tokens.len())?;
        prepare(&prompt, tokens, position, 0.0)?;
        let mut stream = Stream::new(&self.gpu, &self.queue);
        self.model.forward(&self.ops, &mut stream, &prompt, GREEDY)?;
        stream.finish()?;
        Ok(prompt.logits.to_vec()?)
    }
}

/// candle's model for files of quantised weights.
pub struct Candle {
    weights: ModelWeights,
    device: Device,
}

impl Candle {
    /// Reads the weights; the CPU computes.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_on(path, Device::Cpu)
    }

    /// Reads the weights into the memory of a device, which computes.
    pub fn open_on(path: &Path, device: Device) -> Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let content = Content::read(&mut file)?;
        Ok(Self { weights: ModelWeights::from_gguf(content, &mut file, &device)?, device })
    }
}

impl Llama for Candle {
    fn read(&mut self, tokens: &[i32], position: usize) -> Result<Vec<f32>> {
        let tokens: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
        let input = Tensor::new(&tokens[..], &self.device)?.unsqueeze(0)?;
        Ok(self.weights.forward(&input, position)?.squeeze(0)?.to_vec1()?)
    }
}

/// The index of the largest logit.
pub fn best(logits: &[f32]) -> i32 {
    let all = logits.iter().zip(0..);
    all.max_by(|a, b| a.0.total_cmp(b.0)).map_or(0, |(_, token)| token)
}
