//! The sources of kernels: files of ours after the defines that choose a variant.

use crate::include_metal;
use crate::infer::turboquant::codebook;
use crate::infer::weights::grids;
use crate::infer::{DType, Quant};
use std::fmt::Write;

/// A file of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum File {
    Linear,
    Experts,
    Matmul,
    Rows,
    Elementwise,
    Rope,
    Attention,
    AttentionTiled,
    AttentionTurbo,
    AttentionTurboTiled,
    Turbo,
    Arrange,
    Images,
    Solve,
    Select,
    Sequence,
    DeltaChunked,
}

/// The value of a define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Define {
    Number(u32),
    Text(&'static str),
    Type(DType),
    /// The type of weights: several defines.
    Format(DType),
    /// A codebook of this many bits: a table.
    Book(u32),
}

/// A kernel in a file, with the defines that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    file: File,
    function: &'static str,
    defines: Vec<(&'static str, Define)>,
}

impl Variant {
    pub(super) fn new(file: File, function: &'static str) -> Self {
        Self { file, function, defines: Vec::new() }
    }

    /// With a define that is a number.
    pub(super) fn number(mut self, name: &'static str, value: u32) -> Self {
        self.defines.push((name, Define::Number(value)));
        self
    }

    /// With a define that is text.
    pub(super) fn text_of(mut self, name: &'static str, value: &'static str) -> Self {
        self.defines.push((name, Define::Text(value)));
        self
    }

    /// With a define that is a type.
    pub(super) fn ty(mut self, name: &'static str, value: DType) -> Self {
        self.defines.push((name, Define::Type(value)));
        self
    }

    /// With the defines of a type of weights.
    pub(super) fn format(mut self, value: DType) -> Self {
        self.defines.push(("FORMAT", Define::Format(value)));
        self
    }

    /// With a codebook of TurboQuant.
    pub(super) fn book(mut self, name: &'static str, bits: u32) -> Self {
        self.defines.push((name, Define::Book(bits)));
        self
    }

    pub(super) fn function(&self) -> &'static str {
        self.function
    }

    /// The unique name of the variant.
    pub(super) fn name(&self) -> String {
        let mut name = format!("{:?}.{}", self.file, self.function);
        for (key, value) in &self.defines {
            // Writing to a string succeeds.
            let _ = match value {
                Define::Number(value) | Define::Book(value) => write!(name, " {key}={value}"),
                Define::Text(value) => write!(name, " {key}={value}"),
                Define::Type(value) | Define::Format(value) => write!(name, " {key}={value}"),
            };
        }
        name
    }

    /// The part of a name that says nothing of the file: as statistics show it.
    pub(super) fn short_name<'a>(&self, name: &'a str) -> &'a str {
        name.split_once('.').map_or(name, |(_, short)| short)
    }

    /// The source.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("#include <metal_stdlib>\nusing namespace metal;\n");
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "#define {name} {value}");
        };
        let (mut decoded, mut tables) = (None, String::new());
        for (name, value) in &self.defines {
            match value {
                Define::Number(value) => line(name, value),
                Define::Text(value) => line(name, value),
                Define::Type(value) => line(name, &metal(*value)),
                Define::Format(dtype) => {
                    // An id that no type of ggml has stands for MLX's format.
                    line("FORMAT", &dtype.ggml().unwrap_or(MLX));
                    line("VALUES", &dtype.block());
                    line("BYTES", &dtype.block_bytes());
                    decoded = Some(*dtype);
                }
                Define::Book(bits) => {
                    let levels = codebook(*bits).unwrap_or_default();
                    let levels: Vec<String> = levels.iter().map(|v| format!("{v:?}f")).collect();
                    let (count, levels) = (levels.len(), levels.join(","));
                    let _ = writeln!(tables, "constant float {name}[{count}] = {{{levels}}};");
                }
            }
        }
        text.push_str(&tables);
        if let Some(dtype) = decoded {
            text.push_str(&grid(dtype));
            text.push_str(include_metal!("../kernels/decode.metal"));
        }
        text.push_str(match self.file {
            File::Linear => concat!(
                include_metal!("../kernels/activations.metal"),
                include_metal!("../kernels/linear.metal")
            ),
            File::Experts => include_metal!("../kernels/experts.metal"),
            File::Matmul => include_metal!("../kernels/matmul.metal"),
            File::Rows => include_metal!("../kernels/rows.metal"),
            File::Elementwise => concat!(
                include_metal!("../kernels/activations.metal"),
                include_metal!("../kernels/elementwise.metal")
            ),
            File::Rope => include_metal!("../kernels/rope.metal"),
            File::Attention => include_metal!("../kernels/attention.metal"),
            File::AttentionTiled => concat!(
                include_metal!("../kernels/attention.metal"),
                include_metal!("../kernels/attention_tiled.metal")
            ),
            File::AttentionTurbo => concat!(
                include_metal!("../kernels/turbo.metal"),
                include_metal!("../kernels/attention.metal")
            ),
            File::AttentionTurboTiled => concat!(
                include_metal!("../kernels/turbo.metal"),
                include_metal!("../kernels/attention.metal"),
                include_metal!("../kernels/attention_tiled.metal")
            ),
            File::Turbo => include_metal!("../kernels/turbo.metal"),
            File::Arrange => include_metal!("../kernels/arrange.metal"),
            File::Images => include_metal!("../kernels/images.metal"),
            File::Solve => include_metal!("../kernels/solve.metal"),
            File::DeltaChunked => concat!(
                include_metal!("../kernels/activations.metal"),
                include_metal!("../kernels/sequence.metal"),
                include_metal!("../kernels/delta_chunked.metal")
            ),
            File::Select => include_metal!("../kernels/select.metal"),
            File::Sequence => concat!(
                include_metal!("../kernels/activations.metal"),
                include_metal!("../kernels/sequence.metal")
            ),
        });
        text
    }
}

/// The id that stands for MLX's affine format, whose packed values are `U32`.
const MLX: u32 = 1000;

/// The name of a type in kernels.
pub(super) fn metal(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float",
        DType::F16 => "half",
        DType::BF16 => "bfloat",
        DType::I8 => "char",
        DType::U8 | DType::Quant(_) => "uchar",
        DType::I16 => "short",
        DType::U16 => "ushort",
        DType::I32 => "int",
        DType::U32 => "uint",
        DType::I64 => "long",
        DType::U64 => "ulong",
        DType::Bool => "bool",
        // Kernels have no such type; operations refuse it.
        DType::F64 => "double",
    }
}

/// The grid of an IQ format, as a table.
fn grid(dtype: DType) -> String {
    let table: &[u16] = match dtype {
        DType::Quant(Quant::IQ1_S | Quant::IQ1_M) => &grids::GRID_IQ1,
        DType::Quant(Quant::IQ2_XXS) => &grids::GRID_IQ2_XXS,
        DType::Quant(Quant::IQ2_XS) => &grids::GRID_IQ2_XS,
        DType::Quant(Quant::IQ2_S) => &grids::GRID_IQ2_S,
        DType::Quant(Quant::IQ3_XXS) => &grids::GRID_IQ3_XXS,
        DType::Quant(Quant::IQ3_S) => &grids::GRID_IQ3_S,
        _ => return String::new(),
    };
    let values: Vec<String> = table.iter().map(u16::to_string).collect();
    format!("constant ushort GRID[{}] = {{{}}};\n", table.len(), values.join(","))
}
