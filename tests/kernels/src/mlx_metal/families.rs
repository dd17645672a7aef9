//! The families of MLX's kernels, and which template a name is an instance of.

use super::Family;

/// The families whose kernels need no newer language than Metal 3.
pub(super) const FAMILIES: &[Family] = &[
    Family { name: "unary", headers: &["unary_ops.h", "unary.h"], instance: unary, metal_4: false },
    Family {
        name: "binary",
        headers: &["binary_ops.h", "binary.h"],
        instance: binary,
        metal_4: false,
    },
    Family {
        name: "binary_two",
        headers: &["binary_ops.h", "binary_two.h"],
        instance: binary_two,
        metal_4: false,
    },
    Family {
        name: "ternary",
        headers: &["ternary_ops.h", "ternary.h"],
        instance: ternary,
        metal_4: false,
    },
    Family { name: "copy", headers: &["copy.h"], instance: copy, metal_4: false },
    Family { name: "arange", headers: &["arange.h"], instance: arange, metal_4: false },
    Family { name: "softmax", headers: &["softmax.h"], instance: softmax, metal_4: false },
    Family { name: "logsumexp", headers: &["logsumexp.h"], instance: logsumexp, metal_4: false },
    Family { name: "sort", headers: &["sort.h"], instance: sort, metal_4: false },
    Family { name: "scan", headers: &["scan.h"], instance: scan, metal_4: false },
    Family {
        name: "reduce",
        headers: &["atomic.h", "reduction/ops.h", "reduce.h"],
        instance: reduce,
        metal_4: false,
    },
    Family {
        name: "quantized",
        headers: &["steel/gemm/gemm.h", "quantized_utils.h", "quantized.h"],
        instance: affine,
        metal_4: false,
    },
    Family {
        name: "fp_quantized",
        headers: &["steel/gemm/gemm.h", "quantized_utils.h", "fp_quantized.h"],
        instance: floats,
        metal_4: false,
    },
    Family {
        name: "steel_gemm",
        headers: &["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_fused.h"],
        instance: gemm,
        metal_4: false,
    },
    Family {
        name: "steel_attention",
        headers: &["steel/attn/attn.h", "steel/attn/kernels/steel_attention.h"],
        instance: attention,
        metal_4: false,
    },
    Family { name: "sdpa_vector", headers: &["sdpa_vector.h"], instance: sdpa, metal_4: false },
    Family { name: "gemv_wide", headers: &["gemv.h"], instance: gemv_wide, metal_4: false },
    Family { name: "gemv", headers: &["steel/utils.h", "gemv.h"], instance: gemv, metal_4: false },
    Family {
        name: "gemv_masked",
        headers: &["steel/utils.h", "gemv_masked.h"],
        instance: gemv_masked,
        metal_4: false,
    },
    Family { name: "fft", headers: &["fft.h"], instance: fft, metal_4: false },
    Family {
        name: "multi_block_sort",
        headers: &["sort.h"],
        instance: multi_block_sort,
        metal_4: false,
    },
    Family {
        name: "searchsorted",
        headers: &["sort.h", "searchsorted.h"],
        instance: searchsorted,
        metal_4: false,
    },
    Family {
        name: "cross_entropy",
        headers: &["cross_entropy.h"],
        instance: cross_entropy,
        metal_4: false,
    },
    Family { name: "dot", headers: &["dot.h"], instance: dot, metal_4: false },
    Family {
        name: "sdpa_blocked",
        headers: &["sdpa_blocked.h"],
        instance: sdpa_blocked,
        metal_4: false,
    },
    Family {
        name: "steel_gemm_splitk",
        headers: &["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_splitk.h"],
        instance: splitk,
        metal_4: false,
    },
    Family {
        name: "steel_gemm_masked",
        headers: &["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_masked.h"],
        instance: masked,
        metal_4: false,
    },
    Family {
        name: "steel_gather_mm",
        headers: &["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_gather.h"],
        instance: gather,
        metal_4: false,
    },
    Family {
        name: "steel_segmented_mm",
        headers: &["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_segmented.h"],
        instance: segmented,
        metal_4: false,
    },
    Family {
        name: "steel_conv",
        headers: &["steel/conv/conv.h", "steel/conv/kernels/steel_conv.h"],
        instance: convolution,
        metal_4: false,
    },
    Family {
        name: "steel_conv_3d",
        headers: &["steel/conv/conv.h", "steel/conv/kernels/steel_conv_3d.h"],
        instance: convolution_3d,
        metal_4: false,
    },
    Family {
        name: "steel_conv_general",
        headers: &["steel/conv/conv.h", "steel/conv/kernels/steel_conv_general.h"],
        instance: general_convolution,
        metal_4: false,
    },
    Family {
        name: "gated_delta",
        headers: &["gated_delta_update.h"],
        instance: gated_delta,
        metal_4: false,
    },
    Family {
        name: "gated_delta_vjp",
        headers: &["gated_delta_update_vjp.h"],
        instance: gated_delta_vjp,
        metal_4: false,
    },
];

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
pub(super) fn a_type(text: &str) -> Option<(&'static str, &str)> {
    TYPES.iter().find_map(|(name, ty)| {
        let rest = text.strip_prefix(name)?;
        // `float16_tn` is `float16` and a form of product.
        let is_whole =
            !name.ends_with("_t") || !rest.starts_with(|c: char| c.is_ascii_alphabetic());
        is_whole.then_some((*ty, rest))
    })
}

/// The type that a text is.
pub(super) fn whole_type(text: &str) -> Option<&'static str> {
    a_type(text).filter(|(_, rest)| rest.is_empty()).map(|(ty, _)| ty)
}

/// Text up to a type at the end: `Add` and the type of `Addint32`.
fn before_type(text: &str) -> Option<(&str, &'static str)> {
    (1..text.len()).find_map(|at| Some((text.get(..at)?, whole_type(text.get(at..)?)?)))
}

/// The number or word after a key: `64` of `gs_64_b_4` for `gs`.
pub(super) fn after<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == key)?;
    words.get(at + 1).copied()
}

/// The number that follows letters: `64` of `bm64`.
pub(super) fn number<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| {
        word.strip_prefix(key)
            .filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty())
    })
}

pub(super) fn truth(word: &str) -> &'static str {
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

/// The parts of a quantised kernel's name: its template's name, its type and the words after it.
pub(super) fn quantised(rest: &str) -> Option<(&str, &'static str, Vec<&str>)> {
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
    quantised_instance("affine", name.strip_prefix("affine_")?)
}

fn floats(name: &str) -> Option<String> {
    let rest =
        ["mxfp4_", "mxfp8_", "nvfp4_"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    quantised_instance("fp", Some(rest)?)
}

fn gemm(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_gemm_fused_")?;
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
    let (ty, rest) = a_type(name.strip_prefix("steel_attention_")?)?;
    let (rest, mask) = rest.split_once("_mask")?;
    let words: Vec<&str> = rest.split('_').collect();
    let size = |key| number(&words, key);
    // Those of 64 queries are for tensors.
    size("bq").filter(|queries| *queries != "64")?;
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
    let mut sizes: Vec<&str> = rest.trim_start_matches('_').split('_').collect();
    // Keys a thread.
    if let Some(keys) = sizes.last().and_then(|last| last.strip_prefix("tk")) {
        sizes.pop();
        sizes.push(keys);
    }
    let wanted = match template {
        "sdpa_vector_2pass_2" => 1..=1,
        "sdpa_vector_2pass_1" => 2..=3,
        _ => 2..=2,
    };
    let plain = wanted.contains(&sizes.len()) && sizes.iter().all(|n| n.parse::<u32>().is_ok());
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

/// The sizes after keys in a name, as a list of arguments.
pub(super) fn sizes(words: &[&str], keys: &[&str]) -> Option<String> {
    let each: Option<Vec<&str>> = keys.iter().map(|key| number(words, key)).collect();
    Some(each?.join(", "))
}

const VECTORS: &[&str] = &["bm", "bn", "sm", "sn", "tm", "tn"];

fn gemv(name: &str) -> Option<String> {
    let rest = name.strip_prefix("gemv_")?;
    let (template, rest) = match rest.strip_prefix("t_") {
        Some(rest) => ("gemv_t", rest),
        None => ("gemv", rest),
    };
    let (gathers, rest) = match rest.strip_prefix("gather_") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (ty, rest) = a_type(rest)?;
    let words: Vec<&str> = rest.split('_').collect();
    let sizes = sizes(&words, VECTORS)?;
    if gathers {
        return Some(format!("{template}_gather<{ty}, {sizes}>"));
    }
    let flag = |key| number(&words, key).map(truth);
    Some(format!("{template}<{ty}, {sizes}, {}, {}>", flag("nc")?, flag("axpby")?))
}

/// The types of masks in `outmask_A_opmask_B`, and what follows.
fn masks(name: &str) -> Option<(&'static str, &'static str, &str)> {
    let mask = |text: &'_ str| -> Option<(&'static str, usize)> {
        match text.strip_prefix("nomask") {
            Some(_) => Some(("nomask_t", 6)),
            None => a_type(text).map(|(ty, rest)| (ty, text.len() - rest.len())),
        }
    };
    let rest = name.strip_prefix("outmask_")?;
    let (output, length) = mask(rest)?;
    let rest = rest[length..].strip_prefix("_opmask_")?;
    let (operand, length) = mask(rest)?;
    Some((output, operand, rest[length..].strip_prefix('_')?))
}

fn gemv_masked(name: &str) -> Option<String> {
    let rest = name.strip_prefix("gemv_")?;
    let (template, rest) = match rest.strip_prefix("t_") {
        Some(rest) => ("gemv_t_masked", rest),
        None => ("gemv_masked", rest),
    };
    let (output, operand, rest) = masks(rest)?;
    let (ty, rest) = a_type(rest)?;
    let words: Vec<&str> = rest.split('_').collect();
    let batches = number(&words, "nc").map(truth)?;
    Some(format!("{template}<{ty}, {output}, {operand}, {}, {batches}>", sizes(&words, VECTORS)?))
}

fn multi_block_sort(name: &str) -> Option<String> {
    let (form, rest) = name.split_once("_mbsort_")?;
    let template = match form {
        "sort" => "mb_block_sort",
        "partition" => "mb_block_partition",
        "merge" => "mb_block_merge",
        _ => return None,
    };
    let (values, rest) = a_type(rest)?;
    let (indices, rest) = a_type(rest.trim_start_matches('_'))?;
    let words: Vec<&str> = rest.split('_').collect();
    Some(format!("{template}<{values}, {indices}, true, {}>", sizes(&words, &["bn", "tn"])?))
}

fn searchsorted(name: &str) -> Option<String> {
    let (ty, side) = a_type(name.strip_prefix("searchsorted_")?)?;
    let right = side.trim_start_matches('_') == "right";
    Some(format!("searchsorted<{ty}, {right}>"))
}

fn cross_entropy(name: &str) -> Option<String> {
    let rest = name.strip_prefix("cross_entropy_")?;
    match rest.strip_prefix("vjp_") {
        Some(rest) => Some(format!("cross_entropy_vjp<{}>", whole_type(rest)?)),
        None => Some(format!("cross_entropy<{}>", whole_type(rest)?)),
    }
}

fn dot(name: &str) -> Option<String> {
    let (ty, rest) = a_type(name.strip_prefix("dot_product_")?)?;
    let words: Vec<&str> = rest.split('_').collect();
    Some(format!("dot_product<{ty}, {}>", sizes(&words, &["it", "tg", "sg"])?))
}

fn sdpa_blocked(name: &str) -> Option<String> {
    let at = ["scale_copy_", "causal_mask_"];
    let rest = name.strip_prefix("sdpa_blocked_")?;
    let (template, ty) = at.iter().find_map(|form| Some((form, rest.strip_prefix(form)?)))?;
    Some(format!("sdpa_blocked_{}<{}>", template.trim_end_matches('_'), whole_type(ty)?))
}

pub(super) const TILES: &[&str] = &["bm", "bn", "bk", "wm", "wn"];

/// The parts that the names of steel's products have in common: the transpositions, the types of operands and results, the words after.
pub(super) fn product(rest: &str) -> Option<(bool, bool, &'static str, &'static str, Vec<&str>)> {
    let (form, rest) = rest.split_at_checked(2)?;
    if !form.bytes().all(|letter| matches!(letter, b'n' | b't')) {
        return None;
    }
    let (from, rest) = a_type(rest.strip_prefix('_')?)?;
    let (to, rest) = a_type(rest.strip_prefix('_')?)?;
    Some((form.starts_with('t'), form.ends_with('t'), from, to, rest.split('_').collect()))
}

/// `MN_taligned_K_naligned` as two truths.
fn alignments(words: &[&str]) -> Option<(bool, bool)> {
    let is = |key| after(words, key).map(|word| word == "taligned");
    Some((is("MN")?, is("K")?))
}

fn splitk(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_gemm_splitk_")?;
    if let Some(rest) = rest.strip_prefix("accum_") {
        let (to, rest) = a_type(rest)?;
        let (from, rest) = a_type(rest.strip_prefix('_')?)?;
        let suffix = if rest == "_axbpy" { "_axpby" } else { "" };
        return Some(format!("gemm_splitk_accum{suffix}<{from}, {to}>"));
    }
    let (a, b, from, to, words) = product(rest)?;
    let (mn, k) = alignments(&words)?;
    Some(format!("gemm_splitk<{from}, {to}, {}, {a}, {b}, {mn}, {k}>", sizes(&words, TILES)?))
}

fn masked(name: &str) -> Option<String> {
    let (output, operand, rest) = masks(name.strip_prefix("steel_gemm_block_")?)?;
    let (a, b, from, _, words) = product(rest)?;
    let (mn, k) = alignments(&words)?;
    let sizes = sizes(&words, TILES)?;
    Some(format!("block_masked_gemm<{from}, {output}, {operand}, {sizes}, {a}, {b}, {mn}, {k}>"))
}

fn gather(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_gather_mm_")?;
    let (template, rest) = match rest.strip_prefix("rhs_") {
        Some(rest) => ("gather_mm_rhs", rest),
        None => ("gather_mm", rest),
    };
    let (a, b, from, _, words) = product(rest)?;
    Some(format!("{template}<{from}, {}, {a}, {b}>", sizes(&words, TILES)?))
}

fn segmented(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_segmented_mm_")?;
    let (a, b, from, _, words) = product(rest)?;
    Some(format!("segmented_mm<{from}, {}, {a}, {b}>", sizes(&words, TILES)?))
}

fn convolution(name: &str) -> Option<String> {
    let (ty, rest) = a_type(name.strip_prefix("implicit_gemm_conv_2d_")?)?;
    let words: Vec<&str> = rest.split('_').collect();
    let channels = match after(&words, "channel")? {
        "l" => "0",
        count => count,
    };
    let small = after(&words, "filter")? == "s";
    Some(format!("implicit_gemm_conv_2d<{ty}, {}, {channels}, {small}>", sizes(&words, TILES)?))
}

fn convolution_3d(name: &str) -> Option<String> {
    let (ty, rest) = a_type(name.strip_prefix("implicit_gemm_conv_3d_")?)?;
    let words: Vec<&str> = rest.split('_').collect();
    let small = after(&words, "filter")? == "s";
    Some(format!("implicit_gemm_conv_3d<{ty}, {}, {small}>", sizes(&words, TILES)?))
}

fn general_convolution(name: &str) -> Option<String> {
    let (ty, rest) = a_type(name.strip_prefix("implicit_gemm_conv_2d_general_")?)?;
    let words: Vec<&str> = rest.split('_').collect();
    Some(format!("implicit_gemm_conv_2d_general<{ty}, {}>", sizes(&words, TILES)?))
}

pub(super) fn gated_delta_of(prefix: &str, template: &str, name: &str) -> Option<String> {
    let (ty, rest) = a_type(name.strip_prefix(prefix)?)?;
    let rest = rest.trim_start_matches("_t").strip_prefix('_')?;
    Some(format!("{template}<{ty}, {}>", rest.replace('_', ", ")))
}

fn gated_delta(name: &str) -> Option<String> {
    gated_delta_of("gated_delta_fused_chunk_", "gated_delta_fused_chunk", name)
        .or_else(|| gated_delta_of("seq_gated_delta_", "gated_delta_seq", name))
}

fn gated_delta_vjp(name: &str) -> Option<String> {
    gated_delta_of("seq_gated_delta_vjp_", "gated_delta_vjp_seq", name)
}
