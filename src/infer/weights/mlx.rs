//! Models as MLX writes them: a folder with `config.json` and safetensors files.

use super::json::Json;
use super::safetensors::Safetensors;
use super::source::Weights;
use crate::Gpu;
use crate::infer::{DType, Error, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// The quantisation of a layer's weights: a value is its bits times the scale of its group, plus the group's bias.
///
/// ```
/// use aruminium::infer::weights::Affine;
/// let affine = Affine { bits: 4, group: 2 };
/// // Four values, the first in the lowest bits; a scale and a bias for each group of two.
/// assert_eq!(affine.dequantize(&[0x10, 0x32], &[0.5, 2.0], &[0.0, 1.0])?, [0.0, 0.5, 5.0, 7.0]);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affine {
    /// The bits of a value: 1 to 8.
    pub bits: u32,
    /// The number of values in a group.
    pub group: usize,
}

impl Affine {
    /// Decodes packed values: a stream of bits, the lowest first.
    ///
    /// # Errors
    ///
    /// If the numbers of packed values, scales and biases differ.
    pub fn dequantize(
        self,
        packed: &[u8],
        scales: &[f32],
        biases: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let Self { bits, group } = self;
        let count = packed.len() * 8 / bits.clamp(1, 8) as usize;
        if !(1..=8).contains(&bits)
            || group == 0
            || scales.len().checked_mul(group) != Some(count)
            || biases.len() != scales.len()
        {
            let (bytes, scales, biases) = (packed.len(), scales.len(), biases.len());
            return Err(Error::Format(format!(
                "{bytes} bytes of {bits} bits in groups of {group} do not match {scales} scales and {biases} biases"
            )));
        }
        let value = |i: usize| {
            let (byte, shift) = (i * bits as usize / 8, i * bits as usize % 8);
            let next = packed.get(byte + 1).copied().unwrap_or(0);
            let word = u16::from_le_bytes([packed[byte], next]);
            f32::from((word >> shift) & ((1 << bits) - 1))
        };
        Ok((0..count).map(|i| value(i) * scales[i / group] + biases[i / group]).collect())
    }
}

/// The quantisation of a model's layers, from its configuration.
///
/// ```
/// use aruminium::infer::weights::{Affine, Json, QuantizationConfig};
/// let json = Json::parse(br#"{"quantization": {
///     "group_size": 64, "bits": 4,
///     "model.embed_tokens": {"group_size": 32, "bits": 8},
///     "lm_head": false
/// }}"#)?;
/// let config = QuantizationConfig::of_model(&json)?.expect("it is quantised");
/// assert_eq!(config.layer("model.layers.0.mlp.up_proj"), Some(Affine { bits: 4, group: 64 }));
/// assert_eq!(config.layer("model.embed_tokens.weight"), Some(Affine { bits: 8, group: 32 }));
/// assert_eq!(config.layer("language_model.model.embed_tokens"), Some(Affine { bits: 8, group: 32 }));
/// assert_eq!(config.layer("lm_head"), None);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizationConfig {
    default: Affine,
    layers: BTreeMap<String, Option<Affine>>,
}

impl QuantizationConfig {
    /// Reads the member `quantization` (or `quantization_config`) of a model's configuration; `None` if the configuration has neither.
    ///
    /// # Errors
    ///
    /// If bits or group sizes are not such numbers, or the mode is not affine.
    pub fn of_model(config: &Json) -> Result<Option<Self>, Error> {
        let found = ["quantization", "quantization_config"].map(|name| &config[name]);
        match found.into_iter().find(|json| !json.is_null()) {
            Some(json) => Self::of(json).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the object itself.
    ///
    /// # Errors
    ///
    /// As for [`of_model`](Self::of_model).
    ///
    /// ```
    /// use aruminium::infer::weights::{Affine, Json, QuantizationConfig};
    /// let config = QuantizationConfig::of(&Json::parse(b"{}")?)?;
    /// assert_eq!(config.layer("any"), Some(Affine { bits: 4, group: 64 }), "the defaults of MLX");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn of(json: &Json) -> Result<Self, Error> {
        let default = affine(json, Affine { bits: 4, group: 64 })?;
        let mut layers = BTreeMap::new();
        for (name, value) in json.as_object().into_iter().flatten() {
            match value {
                Json::Object(_) => layers.insert(name.clone(), Some(affine(value, default)?)),
                Json::Bool(quantized) => layers.insert(name.clone(), quantized.then_some(default)),
                _ => None,
            };
        }
        Ok(Self { default, layers })
    }

    /// The quantisation of a layer; `None` if the configuration says that it has none. The name may end with `.weight`, and have
    /// or lack `language_model.` before it.
    pub fn layer(&self, name: &str) -> Option<Affine> {
        let name = name.strip_suffix(".weight").unwrap_or(name);
        let long = format!("language_model.{name}");
        let short = name.strip_prefix("language_model.").unwrap_or(name);
        let found = [name, &long, short].into_iter().find_map(|name| self.layers.get(name));
        found.copied().unwrap_or(Some(self.default))
    }
}

fn affine(json: &Json, default: Affine) -> Result<Affine, Error> {
    let number = |name: &str, default: u64, range: std::ops::RangeInclusive<u64>| {
        let value = if json[name].is_null() { Some(default) } else { json[name].as_u64() };
        value.filter(|value| range.contains(value)).ok_or_else(|| {
            Error::Format(format!(
                "quantization: {name:?} is {:?}, no number from {} to {}",
                json[name],
                range.start(),
                range.end()
            ))
        })
    };
    if let Some(mode) = json["mode"].as_str().filter(|mode| *mode != "affine") {
        return Err(Error::Format(format!("quantization: the mode {mode:?} is not supported")));
    }
    let bits = number("bits", default.bits.into(), 1..=8)? as u32;
    let group = number("group_size", default.group as u64, 1..=1 << 20)? as usize;
    Ok(Affine { bits, group })
}

/// Packed values in groups, each with a scale and a bias.
///
/// ```
/// use aruminium::infer::{DType, Tensor, weights::{Affine, QuantizedWeight}};
/// let gpu = aruminium::Gpu::open()?;
/// let weight = Tensor::new(&gpu, DType::U32, &[8, 8])?;
/// let scales = Tensor::new(&gpu, DType::F16, &[8, 1])?;
/// let affine = Affine { bits: 4, group: 64 };
/// let weight = QuantizedWeight { weight, biases: scales.clone(), scales, affine };
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QuantizedWeight {
    /// The packed values, in 32-bit words.
    pub weight: Tensor,
    /// The scale of each group.
    pub scales: Tensor,
    /// The bias of each group.
    pub biases: Tensor,
    /// The bits of a value, and the values of a group.
    pub affine: Affine,
}

/// The weights of a layer.
///
/// ```
/// use aruminium::infer::{DType, Tensor, weights::LayerWeights};
/// let plain = LayerWeights::Plain(Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[8, 8])?);
/// assert!(matches!(plain, LayerWeights::Plain(weight) if weight.shape() == [8, 8]));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum LayerWeights {
    /// Plain values.
    Plain(Tensor),
    /// Packed values.
    Quantized(Box<QuantizedWeight>),
}

/// A model in a folder: `config.json`, and `model.safetensors` or an index with several files.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aruminium::infer::{DType, weights::{Affine, Entry, MlxModel, Safetensors}};
/// # let folder = std::env::temp_dir().join(format!("aruminium-mlx-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// std::fs::write(folder.join("config.json"), r#"{"quantization": {"bits": 8, "group_size": 4}}"#)?;
/// let (half, zero) = (0.5f32.to_le_bytes(), 0f32.to_le_bytes());
/// let tensors = [
///     Entry::new("up.weight", DType::U32, &[1, 1], &[1, 2, 3, 4]),
///     Entry::new("up.scales", DType::F32, &[1, 1], &half),
///     Entry::new("up.biases", DType::F32, &[1, 1], &zero),
///     Entry::new("norm.weight", DType::F32, &[1], &half),
/// ];
/// Safetensors::write(std::fs::File::create(folder.join("model.safetensors"))?, &[], &tensors)?;
///
/// let model = MlxModel::open(&folder)?;
/// assert_eq!(model.layers().collect::<Vec<_>>(), ["norm", "up"]);
/// assert_eq!(model.affine("up"), Some(Affine { bits: 8, group: 4 }));
/// assert_eq!(model.dequantize("up")?, [0.5, 1.0, 1.5, 2.0]);
/// assert_eq!(model.dequantize("norm")?, [0.5]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MlxModel {
    config: Json,
    quantization: Option<QuantizationConfig>,
    weights: Weights,
}

impl MlxModel {
    /// Reads the configuration and the headers.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is damaged, or a layer's packed values, scales and biases do not match.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let config = Json::read(&folder.join("config.json"))?;
        let weights = Safetensors::open(folder)?.into_weights();
        let quantization = QuantizationConfig::of_model(&config)?;
        let model = Self { config, quantization, weights };
        model.layers().try_for_each(|layer| model.check(layer))?;
        Ok(model)
    }

    /// The configuration.
    ///
    /// ```no_run
    /// # let model = aruminium::infer::weights::MlxModel::open("model")?;
    /// let layers = model.config()["num_hidden_layers"].as_u64();
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn config(&self) -> &Json {
        &self.config
    }

    /// The quantisation of layers by the configuration.
    ///
    /// ```no_run
    /// # let model = aruminium::infer::weights::MlxModel::open("model")?;
    /// println!("{:?}", model.quantization());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn quantization(&self) -> Option<&QuantizationConfig> {
        self.quantization.as_ref()
    }

    /// All tensors, those of plain layers too.
    ///
    /// ```no_run
    /// # let model = aruminium::infer::weights::MlxModel::open("model")?;
    /// println!("{} tensors", model.weights().tensors().len());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The names of the tensors that end with `.weight`, without it, sorted.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        let names = self.weights.tensors().iter().map(|info| info.name());
        let mut layers: Vec<&str> = names.filter_map(|name| name.strip_suffix(".weight")).collect();
        layers.sort_unstable();
        layers.into_iter()
    }

    /// The quantisation of a layer; `None` if it has no scales.
    pub fn affine(&self, layer: &str) -> Option<Affine> {
        self.weights.info(&format!("{layer}.scales"))?;
        match &self.quantization {
            Some(config) => config.layer(layer),
            None => None,
        }
    }

    /// Checks that the shapes of a quantised layer's tensors match.
    fn check(&self, layer: &str) -> Result<(), Error> {
        let error = |why: String| Error::Format(format!("layer {layer:?}: {why}"));
        let Some(Affine { bits, group }) = self.affine(layer) else {
            return match self.weights.info(&format!("{layer}.scales")) {
                Some(_) => Err(error(
                    "it has scales, but config.json does not say how it is quantised".into(),
                )),
                None => Ok(()),
            };
        };
        let find = |part: &str| self.weights.find(&format!("{layer}.{part}"));
        let (weight, scales, biases) = (find("weight")?, find("scales")?, find("biases")?);
        let row = weight.shape().last().copied().unwrap_or(0);
        let expected: Option<Vec<usize>> = row.checked_mul(32).and_then(|all| {
            let values = all.is_multiple_of(bits as usize).then_some(all / bits as usize)?;
            let groups = values.is_multiple_of(group).then_some(values / group)?;
            let rows = &weight.shape()[..weight.shape().len().checked_sub(1)?];
            Some(rows.iter().copied().chain([groups]).collect())
        });
        let fits = weight.dtype() == Some(DType::U32)
            && scales.dtype().is_some_and(DType::is_float)
            && scales.dtype() == biases.dtype()
            && scales.shape() == biases.shape()
            && Some(scales.shape()) == expected.as_deref();
        if fits {
            return Ok(());
        }
        let of = |info: &super::Info| format!("{} {:?}", info.type_name(), info.shape());
        let (weight, scales, biases) = (of(weight), of(scales), of(biases));
        Err(error(format!(
            "with {bits} bits in groups of {group}, a weight of {weight} does not match scales of {scales} and biases of {biases}"
        )))
    }

    /// The weights of a layer, copied into memory of their own.
    ///
    /// # Errors
    ///
    /// If there is no such layer, a file cannot be read, or there is no memory.
    ///
    /// ```no_run
    /// use aruminium::infer::weights::LayerWeights;
    /// # let model = aruminium::infer::weights::MlxModel::open("model")?;
    /// let gpu = aruminium::Gpu::open()?;
    /// if let LayerWeights::Quantized(weight) = model.load(&gpu, "model.layers.0.mlp.up_proj")? {
    ///     println!("{} bits", weight.affine.bits);
    /// }
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn load(&self, gpu: &Gpu, layer: &str) -> Result<LayerWeights, Error> {
        let part = |name: &str| self.weights.load(gpu, &format!("{layer}.{name}"));
        let weight = part("weight")?;
        Ok(match self.affine(layer) {
            None => LayerWeights::Plain(weight),
            Some(affine) => {
                let (scales, biases) = (part("scales")?, part("biases")?);
                LayerWeights::Quantized(Box::new(QuantizedWeight {
                    weight,
                    scales,
                    biases,
                    affine,
                }))
            }
        })
    }

    /// The values of a layer, decoded to `f32`.
    ///
    /// # Errors
    ///
    /// If there is no such layer, or a file cannot be read.
    pub fn dequantize(&self, layer: &str) -> Result<Vec<f32>, Error> {
        let name = |part: &str| format!("{layer}.{part}");
        match self.affine(layer) {
            None => self.weights.dequantize(&name("weight")),
            Some(affine) => {
                let scales = self.weights.dequantize(&name("scales"))?;
                let biases = self.weights.dequantize(&name("biases"))?;
                affine.dequantize(&self.weights.read(&name("weight"))?, &scales, &biases)
            }
        }
    }
}
