//! MLX's kernels as the Python package `mlx-metal` has them: headers of templates, and a compiled library whose
//! function table has the names. A name identifies a template and its arguments.
//!
//! `tests/kernels/fetch-mlx-metal` fetches the package to `target/mlx-metal`, or `MLX_METAL` says where it is.

use crate::packages;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A group of kernels: its headers, and how its names are written as instances of templates.
#[derive(Debug)]
pub struct Family {
    /// The name in messages.
    pub name: &'static str,
    /// The headers that its source includes after the common ones, in the folder of kernels.
    pub headers: &'static [&'static str],
    /// `template<arguments>` for a name of the family; `None` for another name.
    instance: fn(&str) -> Option<String>,
}

/// An explicit instantiation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// The name in the library's function table.
    pub name: String,
    /// `template<arguments>`
    pub text: String,
}

/// Every family whose kernels the headers can express, apart from those for Metal 4's tensors.
pub const FAMILIES: &[Family] = &[
    Family { name: "unary", headers: &["unary_ops.h", "unary.h"], instance: unary },
    Family { name: "binary", headers: &["binary_ops.h", "binary.h"], instance: binary },
    Family { name: "binary_two", headers: &["binary_ops.h", "binary_two.h"], instance: binary_two },
    Family { name: "ternary", headers: &["ternary_ops.h", "ternary.h"], instance: ternary },
    Family { name: "copy", headers: &["copy.h"], instance: copy },
    Family { name: "arange", headers: &["arange.h"], instance: arange },
    Family { name: "softmax", headers: &["softmax.h"], instance: softmax },
    Family { name: "logsumexp", headers: &["logsumexp.h"], instance: logsumexp },
    Family { name: "sort", headers: &["sort.h"], instance: sort },
    Family { name: "scan", headers: &["scan.h"], instance: scan },
    Family {
        name: "reduce",
        headers: &["atomic.h", "reduction/ops.h", "reduce.h"],
        instance: reduce,
    },
    Family {
        name: "quantized",
        headers: &["steel/gemm/gemm.h", "quantized_utils.h", "quantized.h"],
        instance: affine,
    },
    Family {
        name: "fp_quantized",
        headers: &["steel/gemm/gemm.h", "quantized_utils.h", "fp_quantized.h"],
        instance: floats,
    },
    Family {
        name: "steel_gemm",
        headers: &["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_fused.h"],
        instance: gemm,
    },
    Family {
        name: "steel_attention",
        headers: &["steel/attn/attn.h", "steel/attn/kernels/steel_attention.h"],
        instance: attention,
    },
    Family { name: "sdpa_vector", headers: &["sdpa_vector.h"], instance: sdpa },
    Family { name: "gemv_wide", headers: &["gemv.h"], instance: gemv_wide },
    Family { name: "fft", headers: &["fft.h"], instance: fft },
];

/// The package where it was fetched.
#[derive(Debug)]
pub struct MlxMetal {
    include: PathBuf,
    names: Vec<String>,
}

impl MlxMetal {
    /// Opens the package, and reads the names of its library's functions.
    pub fn open() -> io::Result<Self> {
        let folder = match env::var_os("MLX_METAL") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/mlx-metal")),
        };
        let library = folder.join("mlx/lib/mlx.metallib");
        let bytes = fs::read(&library).map_err(|error| {
            let path = library.display();
            io::Error::other(format!("{path}: {error}; tests/kernels/fetch-mlx-metal fetches it"))
        })?;
        Ok(Self { include: folder.join("mlx/include"), names: function_names(&bytes) })
    }

    /// The number of functions in the library.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the library has no functions.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The kernels of a family.
    pub fn instances(&self, family: &Family) -> Vec<Instance> {
        let instance = |name: &String| {
            let text = (family.instance)(name)?;
            Some(Instance { name: name.clone(), text })
        };
        self.names.iter().filter_map(instance).collect()
    }

    /// The source of a family with these instances, with all headers in it.
    pub fn source(&self, family: &Family, instances: &[Instance]) -> io::Result<String> {
        let folder = "mlx/backend/metal/kernels";
        let headers = ["utils.h"].iter().chain(family.headers);
        let mut text = String::from("#include <metal_stdlib>\nusing namespace metal;\n");
        for header in headers {
            text += &format!("#include \"{folder}/{header}\"\n");
        }
        let mut source = inlined(&self.include, &text)?;
        for Instance { name, text } in instances {
            let line =
                format!("template [[host_name(\"{name}\")]] [[kernel]] decltype({text}) {text};\n");
            source += &line;
        }
        Ok(source)
    }
}

/// The names in a library's function table: records `NAME`, a length, the text, before one `TYPE`.
fn function_names(library: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(found) = library[at..].windows(4).position(|four| four == b"NAME") {
        at += found + 4;
        let Some(&[low, high]) = library.get(at..at + 2) else { break };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let end = at + 2 + length;
        if let Some([text @ .., 0]) = library.get(at + 2..end)
            && library.get(end..end + 4) == Some(b"TYPE")
            && let Ok(name) = std::str::from_utf8(text)
        {
            names.push(name.to_owned());
            at = end;
        }
    }
    names
}

// ---- types and numbers in names --------------------------------------------------------------

const TYPES: &[(&str, &str)] = &[
    ("bool_", "bool"),
    ("bfloat16_t", "bfloat16_t"),
    ("bfloat16", "bfloat16_t"),
    ("float16_t", "half"),
    ("float16", "half"),
    ("float32", "float"),
    ("float2", "float2"),
    ("float", "float"),
    ("complex64", "complex64_t"),
    ("complex32_t", "complex_t<half>"),
    ("uint16", "uint16_t"),
    ("uint32", "uint32_t"),
    ("uint64", "uint64_t"),
    ("uint8", "uint8_t"),
    ("int16", "int16_t"),
    ("int32", "int32_t"),
    ("int64", "int64_t"),
    ("int8", "int8_t"),
];

/// The type that a text begins with, and the rest.
fn a_type(text: &str) -> Option<(&'static str, &str)> {
    TYPES.iter().find_map(|(name, ty)| Some((*ty, text.strip_prefix(name)?)))
}

/// The type that a text is.
fn whole_type(text: &str) -> Option<&'static str> {
    a_type(text).filter(|(_, rest)| rest.is_empty()).map(|(ty, _)| ty)
}

/// Text up to a type at the end: `Add` and the type of `Addint32`.
fn before_type(text: &str) -> Option<(&str, &'static str)> {
    (1..text.len()).find_map(|at| Some((text.get(..at)?, whole_type(text.get(at..)?)?)))
}

/// The number or word after a key: `64` of `gs_64_b_4` for `gs`.
fn after<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == key)?;
    words.get(at + 1).copied()
}

/// The number that follows letters: `64` of `bm64`.
fn number<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| {
        word.strip_prefix(key)
            .filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty())
    })
}

fn truth(word: &str) -> &'static str {
    if matches!(word, "1" | "true") { "true" } else { "false" }
}

// ---- families ----------------------------------------------------------------------------------

fn unary(name: &str) -> Option<String> {
    let (form, rest) = name.split_once('_')?;
    let operation = rest.find(|c: char| c.is_ascii_lowercase() || c == '_')?;
    if operation == 0 {
        return None;
    }
    let (operation, from, to) = (1..rest.len()).find_map(|at| {
        let (from, tail) = a_type(rest.get(at..)?)?;
        Some((rest.get(..at)?, from, whole_type(tail)?))
    })?;
    let types = format!("{from}, {to}, {operation}");
    Some(match form {
        "v" => format!("unary_v<{types}, 1>"),
        "vn" => format!("unary_v<{types}>"),
        "v2" => format!("unary_v2<{types}>"),
        "gn1" => format!("unary_g<{types}, 1, int>"),
        "gn4large" => format!("unary_g<{types}, 4>"),
        _ => return None,
    })
}

fn binary_of(name: &str, two: bool) -> Option<String> {
    let (form, rest) = name.split_once('_')?;
    let (operation, ty) = before_type(rest)?;
    if !operation.starts_with(|c: char| c.is_ascii_uppercase()) || operation == "Select" {
        return None;
    }
    // Two types: a unary operation.
    if before_type(operation).is_some() || (operation == "DivMod") != two {
        return None;
    }
    const TESTS: &[&str] = &[
        "Equal",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "NotEqual",
        "NaNEqual",
        "LogicalAnd",
        "LogicalOr",
    ];
    let result = if TESTS.contains(&operation) { "bool" } else { ty };
    let types = format!("{ty}, {result}, {operation}");
    Some(match form {
        "ss" => format!("binary_ss<{types}>"),
        "sv" | "vs" | "vv" => format!("binary_{form}<{types}, 1>"),
        "svn" | "vsn" | "vvn" => format!("binary_{}<{types}>", &form[..2]),
        "sv2" | "vs2" | "vv2" => format!("binary_{form}<{types}>"),
        "g1" | "g2" | "g3" => format!("binary_g_nd{}<{types}, int>", &form[1..]),
        "g1large" | "g2large" | "g3large" => format!("binary_g_nd{}<{types}>", &form[1..2]),
        "gn2" => format!("binary_g<{types}, 2, int>"),
        "gn4large" => format!("binary_g<{types}, 4>"),
        _ => return None,
    })
}

fn binary(name: &str) -> Option<String> {
    binary_of(name, false)
}

fn binary_two(name: &str) -> Option<String> {
    binary_of(name, true)
}

fn ternary(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_Select")?;
    let types = format!("{}, Select", whole_type(rest)?);
    let scalars = |form: &str| match form {
        "v" => Some("false, false"),
        "sv" => Some("true, false"),
        "vs" => Some("false, true"),
        _ => None,
    };
    Some(match form {
        "g1" | "g2" | "g3" => format!("ternary_g_nd{}<{types}, int>", &form[1..]),
        "g1large" | "g2large" | "g3large" => format!("ternary_g_nd{}<{types}>", &form[1..2]),
        "gn2" => format!("ternary_g<{types}, 2, int>"),
        "gn4large" => format!("ternary_g<{types}, 4>"),
        _ => match (form.strip_suffix('2'), form.strip_suffix('n')) {
            (Some(plain), _) => format!("ternary_v2<{types}, {}>", scalars(plain)?),
            (_, Some(plain)) => format!("ternary_v<{types}, {}>", scalars(plain)?),
            _ => format!("ternary_v<{types}, {}, 1>", scalars(form)?),
        },
    })
}

fn copy(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_copy")?;
    let (from, rest) = a_type(rest)?;
    let types = format!("{from}, {}", whole_type(rest)?);
    let (form, dynamic) = match form.strip_suffix("_dynamic") {
        Some(form) => (form, "_dynamic"),
        None => (form, ""),
    };
    let large = form.ends_with("large");
    let index = if large { "" } else { ", int" };
    Some(match form.trim_end_matches("large") {
        "s" | "v" => format!("copy_{form}<{types}, 1>"),
        "sn" | "vn" => format!("copy_{}<{types}>", &form[..1]),
        "s2" | "v2" => format!("copy_{form}<{types}>"),
        plain @ ("g1" | "g2" | "g3") => format!("copy_g_nd{}<{types}{index}>", &plain[1..]),
        "gn2" => format!("copy_g<{types}, 2, int>"),
        "gn4" => format!("copy_g<{types}, 4>"),
        plain @ ("gg1" | "gg2" | "gg3") => {
            format!("copy_gg{dynamic}_nd{}<{types}{index}>", &plain[2..])
        }
        "ggn2" => format!("copy_gg{dynamic}<{types}, 2, int>"),
        "ggn4" => format!("copy_gg{dynamic}<{types}, 4>"),
        _ => return None,
    })
}

fn arange(name: &str) -> Option<String> {
    Some(format!("arange<{}>", whole_type(name.strip_prefix("arange")?)?))
}

fn softmax(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_softmax_")?;
    let template = match form {
        "block" => "softmax_single_row",
        "looped" => "softmax_looped",
        _ => return None,
    };
    match rest.strip_prefix("precise_") {
        Some(rest) => Some(format!("{template}<{}, float>", whole_type(rest)?)),
        None => Some(format!("{template}<{}>", whole_type(rest)?)),
    }
}

fn logsumexp(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_logsumexp_")?;
    let template = match form {
        "block" => "logsumexp",
        "looped" => "logsumexp_looped",
        _ => return None,
    };
    Some(format!("{template}<{}>", whole_type(rest)?))
}

fn sort(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_block_sort_")?;
    let (template, indices) = match form {
        "c" => ("block_sort", false),
        "carg" => ("block_sort", true),
        "nc" => ("block_sort_nc", false),
        "ncarg" => ("block_sort_nc", true),
        _ => return None,
    };
    let (from, rest) = a_type(rest)?;
    let (to, rest) = a_type(rest.trim_start_matches('_'))?;
    let words: Vec<&str> = rest.split('_').collect();
    let (threads, each) = (number(&words, "bn")?, number(&words, "tn")?);
    Some(format!("{template}<{from}, {to}, {indices}, {threads}, {each}>"))
}

fn scan(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_scan_")?;
    let template = match form {
        "contig" => "contiguous_scan",
        "strided" => "strided_scan",
        _ => return None,
    };
    let (reverse, rest) = match rest.strip_prefix("reverse_") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (inclusive, rest) = rest.split_once('_')?;
    let (operation, rest) = rest.split_once('_')?;
    let operation = match operation {
        "sum" => "CumSum",
        "prod" => "CumProd",
        "max" => "CumMax",
        "min" => "CumMin",
        "logaddexp" => "CumLogaddexp",
        _ => return None,
    };
    let (from, rest) = a_type(rest)?;
    let to = whole_type(rest.trim_start_matches('_'))?;
    let inclusive = inclusive == "inclusive";
    Some(format!("{template}<{from}, {to}, {operation}<{to}>, 4, {inclusive}, {reverse}>"))
}

fn reduce(name: &str) -> Option<String> {
    const OPERATIONS: &[(&str, &str)] = &[
        ("and", "And<U>"),
        ("or", "Or<U>"),
        ("sum", "Sum<U>"),
        ("prod", "Prod<U>"),
        ("min", "Min<U>"),
        ("max", "Max<U>"),
    ];
    let at = name.rfind("reduce_")?;
    let (form, rest) = (name[..at].trim_end_matches('_'), &name[at + 7..]);
    let simple = name.strip_prefix("row_reduce_simple_");
    let (form, rest) = match simple {
        Some(rest) => ("row_reduce_simple", rest),
        None => (form, rest),
    };
    let (operation, rest) =
        OPERATIONS.iter().find_map(|(word, text)| Some((*text, rest.strip_prefix(word)?)))?;
    let ty = whole_type(rest)?;
    let result = if matches!(operation, "And<U>" | "Or<U>") { "bool" } else { ty };
    let operation = operation.replace("U>", &format!("{result}>"));
    let words: Vec<&str> = form.split('_').collect();
    let numbers: Vec<&str> =
        words.iter().copied().filter(|word| word.bytes().all(|b| b.is_ascii_digit())).collect();
    let index = if words.contains(&"large") { "size_t" } else { "int" };
    let types = format!("{ty}, {result}, {operation}");
    Some(match (words.first().copied().unwrap_or_default(), words.get(2).copied(), &numbers[..]) {
        ("init", ..) => format!("init_reduce<{result}, {operation}>"),
        ("all", ..) => format!("all_reduce<{types}>"),
        ("row", Some("simple"), _) => format!("row_reduce_simple<{types}>"),
        ("row" | "col", Some(kind @ ("small" | "longcolumn")), [dims])
        | ("row", Some(kind @ "looped"), [dims]) => {
            format!("{}_reduce_{kind}<{types}, {index}, {dims}>", words[0])
        }
        ("col", Some(kind @ ("looped" | "2pass")), [dims, bm, bn]) => {
            format!("col_reduce_{kind}<{types}, {index}, {dims}, {bm}, {bn}>")
        }
        _ => return None,
    })
}

/// A text with the files of its `#include "…"` below `root` in their place, each once.
fn inlined(root: &Path, text: &str) -> io::Result<String> {
    let (mut out, mut seen) = (String::new(), HashSet::new());
    for line in text.lines() {
        match packages::included(line).map(|name| root.join(name)) {
            Some(path) if seen.insert(path.clone()) => {
                out += &packages::assemble(root, &path, &mut seen)?
            }
            Some(_) => {}
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    Ok(out)
}

/// The parts of a quantised kernel's name: its template's name, its type and the words after it.
fn quantised(rest: &str) -> Option<(&str, &'static str, Vec<&str>)> {
    let group = rest.find("_gs_")?;
    let head = rest.get(..group)?;
    let (at, ty) = ["bfloat16_t", "float16_t", "float"].iter().find_map(|ty| {
        let at = head.len().checked_sub(ty.len() + 1)?;
        head[at..].strip_prefix('_').filter(|found| found == ty)?;
        Some((at, whole_type(ty)?))
    })?;
    Some((&head[..at], ty, rest.get(group + 1..)?.split('_').collect()))
}

fn quantised_instance(prefix: &str, rest: &str) -> Option<String> {
    let (template, ty, words) = quantised(rest)?;
    let value = |key: &str| after(&words, key);
    let flag = |key: &str| value(key).map(truth);
    let scale = match value("hgs") {
        Some(word) => truth(word),
        None => truth(if words.contains(&"hgs") { "1" } else { "0" }),
    };
    let base = format!("{ty}, {}, {}", value("gs")?, value("b")?);
    let tail = |list: &[&str]| list.iter().map(|one| format!(", {one}")).collect::<String>();
    let (template, tail) = match template {
        "qmv_quad" => (template, tail(&[value("d")?, flag("batch")?])),
        "qmv_fast" | "qmv" => (template, tail(&[flag("batch")?, flag("pr")?, scale, value("r")?])),
        "qmv_wide" => (template, tail(&[value("nv")?, value("kl")?, flag("batch")?])),
        "qvm" | "qmm_n" => (template, tail(&[flag("batch")?, scale])),
        "qvm_split_k" => (template, tail(&[value("spk")?])),
        "qmm_t" => (template, tail(&[flag("alN")?, flag("batch")?, scale])),
        "qmm_t_splitk" => (template, tail(&[flag("alN")?])),
        "gather_qmv_fast" | "gather_qmv" | "gather_qvm" | "gather_qmm_n" => {
            (template, tail(&[scale]))
        }
        "gather_qmm_t" => (template, tail(&[flag("alN")?, scale])),
        "quantize" | "dequantize" | "quantize_dequantize" => (template, tail(&[scale])),
        "gather_qmm_rhs_nt" | "gather_qmm_rhs_nn" => {
            let transpose = truth(if template.ends_with("nt") { "1" } else { "0" });
            let sizes =
                [value("bm")?, value("bn")?, value("bk")?, value("wm")?, value("wn")?, transpose];
            ("gather_qmm_rhs", tail(&sizes))
        }
        _ => return None,
    };
    Some(format!("{prefix}_{template}<{base}{tail}>"))
}

fn affine(name: &str) -> Option<String> {
    quantised_instance("affine", name.strip_prefix("affine_").filter(|_| !name.contains("nax"))?)
}

fn floats(name: &str) -> Option<String> {
    let rest =
        ["mxfp4_", "mxfp8_", "nvfp4_"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    quantised_instance("fp", Some(rest).filter(|_| !name.contains("nax"))?)
}

fn gemm(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_gemm_fused_").filter(|_| !name.contains("nax"))?;
    let (form, rest) = rest.split_at_checked(2)?;
    let (ty, rest) = a_type(rest.strip_prefix('_')?)?;
    let words: Vec<&str> = rest.split('_').collect();
    let size = |key| number(&words, key);
    let (a, b) = (form.starts_with('t'), form.ends_with('t'));
    Some(format!(
        "gemm<{ty}, {}, {}, {}, {}, {}, {a}, {b}, float>",
        size("bm")?,
        size("bn")?,
        size("bk")?,
        size("wm")?,
        size("wn")?
    ))
}

fn attention(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_attention_").filter(|_| !name.contains("nax"))?;
    let (ty, rest) = a_type(rest)?;
    let (rest, mask) = rest.split_once("_mask")?;
    let words: Vec<&str> = rest.split('_').collect();
    let size = |key| number(&words, key);
    Some(format!(
        "attention<{ty}, {}, {}, {}, {}, {}, {}, {}, float>",
        size("bq")?,
        size("bk")?,
        size("bd")?,
        size("bv")?,
        size("wm")?,
        size("wn")?,
        whole_type(mask)?
    ))
}

fn sdpa(name: &str) -> Option<String> {
    let rest = name.strip_prefix("sdpa_vector_")?;
    let (template, rest) = match rest.split_at_checked(8) {
        Some(("2pass_1_", rest)) => ("sdpa_vector_2pass_1", rest),
        Some(("2pass_2_", rest)) => ("sdpa_vector_2pass_2", rest),
        _ => ("sdpa_vector", rest),
    };
    let (ty, rest) = a_type(rest)?;
    let sizes: Vec<&str> = rest.trim_start_matches('_').split('_').collect();
    let wanted = if template.ends_with('2') { 1 } else { 2 };
    let plain = sizes.len() == wanted && sizes.iter().all(|n| n.parse::<u32>().is_ok());
    plain.then(|| format!("{template}<{ty}, {}>", sizes.join(", ")))
}

fn gemv_wide(name: &str) -> Option<String> {
    let rest = name.strip_prefix("gemv_wide_")?;
    let (template, rest) = match rest.strip_prefix("gather_") {
        Some(rest) => ("gemv_wide_gather", rest),
        None => ("gemv_wide", rest),
    };
    let (ty, rest) = a_type(rest)?;
    let words: Vec<&str> = rest.split('_').collect();
    Some(format!("{template}<{ty}, {}, {}>", number(&words, "nv")?, number(&words, "kl")?))
}

fn fft(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_mem_")?;
    let template = match form {
        "fft" => "fft",
        "rader_fft" => "rader_fft",
        "bluestein_fft" => "bluestein_fft",
        "four_step" => "four_step_fft",
        _ => return None,
    };
    let (size, rest) = rest.split_once('_')?;
    let (from, rest) = a_type(rest)?;
    let (to, rest) = a_type(rest.strip_prefix('_')?)?;
    let steps: String = rest.split('_').skip(1).map(|word| format!(", {word}")).collect();
    Some(format!("{template}<{size}, {from}, {to}{steps}>"))
}

/// At most `count` of the instances of each template, spread evenly.
pub fn spread(instances: &[Instance], count: usize) -> Vec<Instance> {
    let mut by_template: HashMap<&str, Vec<&Instance>> = HashMap::new();
    for instance in instances {
        let template = instance.text.split('<').next().unwrap_or_default();
        by_template.entry(template).or_default().push(instance);
    }
    let mut names: Vec<&&str> = by_template.keys().collect();
    names.sort();
    let mut chosen = Vec::new();
    for name in names {
        let all = &by_template[*name];
        let step = all.len().div_ceil(count).max(1);
        chosen.extend(all.iter().step_by(step).map(|one| (*one).clone()));
    }
    chosen
}
