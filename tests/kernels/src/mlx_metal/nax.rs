//! The families of MLX's kernels for Metal 4's tensors, which its names call `nax`; attention by tiles of 64 queries, or
//! with heads split among SIMD-groups, is such a one, too.

use super::Family;
use super::families::{
    TILES, a_type, after, gated_delta_of, number, product, quantised, sizes, truth, whole_type,
};

/// The families, which need Metal 4.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "steel_gemm_nax",
        headers: &["steel/gemm/gemm_nax.h", "steel/gemm/kernels/steel_gemm_fused_nax.h"],
        instance: gemm,
        metal_4: true,
    },
    Family {
        name: "steel_gemm_splitk_nax",
        headers: &["steel/gemm/gemm_nax.h", "steel/gemm/kernels/steel_gemm_splitk_nax.h"],
        instance: splitk,
        metal_4: true,
    },
    Family {
        name: "steel_gather_mm_nax",
        headers: &["steel/gemm/gemm_nax.h", "steel/gemm/kernels/steel_gemm_gather_nax.h"],
        instance: gather,
        metal_4: true,
    },
    Family {
        name: "steel_segmented_mm_nax",
        headers: &["steel/gemm/gemm_nax.h", "steel/gemm/kernels/steel_gemm_segmented_nax.h"],
        instance: segmented,
        metal_4: true,
    },
    Family {
        name: "steel_gemm_thin_nax",
        headers: &["steel/gemm/gemm_nax.h", "steel/gemm/kernels/steel_gemm_thin_nax.h"],
        instance: thin,
        metal_4: true,
    },
    Family {
        name: "steel_attention_nax",
        headers: &["steel/attn/nax.h", "steel/attn/kernels/steel_attention_nax.h"],
        instance: attention,
        metal_4: true,
    },
    Family {
        name: "quantized_nax",
        headers: &["steel/gemm/gemm_nax.h", "quantized_utils.h", "quantized_nax.h"],
        instance: affine,
        metal_4: true,
    },
    Family {
        name: "fp_quantized_nax",
        headers: &["steel/gemm/gemm_nax.h", "quantized_utils.h", "fp_quantized_nax.h"],
        instance: floats,
        metal_4: true,
    },
    Family {
        name: "gated_delta_nax",
        headers: &["gated_delta_update_nax.h"],
        instance: gated_delta,
        metal_4: true,
    },
    Family {
        name: "gated_delta_nax_vjp",
        headers: &["gated_delta_update_nax_vjp.h"],
        instance: gated_delta_vjp,
        metal_4: true,
    },
];

/// `template<type, tiles, transpositions, float>`
fn products(template: &str, rest: &str) -> Option<String> {
    let (a, b, from, _, words) = product(rest)?;
    Some(format!("{template}<{from}, {}, {a}, {b}, float>", sizes(&words, TILES)?))
}

fn gemm(name: &str) -> Option<String> {
    products("gemm", name.strip_prefix("steel_gemm_fused_nax_")?)
}

fn splitk(name: &str) -> Option<String> {
    products("gemm_splitk_nax", name.strip_prefix("steel_gemm_splitk_nax_")?)
}

fn gather(name: &str) -> Option<String> {
    products("gather_mm_rhs_nax", name.strip_prefix("steel_gather_mm_rhs_nax_")?)
}

fn segmented(name: &str) -> Option<String> {
    products("segmented_mm_nax", name.strip_prefix("steel_segmented_mm_nax_")?)
}

fn thin(name: &str) -> Option<String> {
    let (form, rest) = name.strip_prefix("steel_gemm_thin_nax_n")?.split_at_checked(1)?;
    let (ty, rest) = a_type(rest.strip_prefix('_')?)?;
    let words: Vec<&str> = rest.split('_').collect();
    let sizes = sizes(&words, &["um", "un", "sm", "sn", "ks"])?;
    Some(format!("gemm_thin_nax<{ty}, {sizes}, {}>", form == "t"))
}

fn attention(name: &str) -> Option<String> {
    let rest = name.strip_prefix("steel_attention_")?;
    let (template, keys, rest): (_, &[&str], _) = match rest.strip_prefix("dsplit_") {
        Some(rest) => ("attention_nax_dsplit", &["bq", "bk", "bd", "wm", "wn"], rest),
        None => ("attention_nax", &["bq", "bk", "bd", "bv", "wm", "wn"], rest),
    };
    let (ty, rest) = a_type(rest)?;
    let (rest, mask) = rest.split_once("_mask")?;
    let words: Vec<&str> = rest.split('_').collect();
    let queries = number(&words, "bq")?;
    let own = template == "attention_nax_dsplit" || queries == "64";
    let sizes = sizes(&words, keys)?;
    own.then_some(())?;
    Some(format!("{template}<{ty}, {sizes}, {}, float>", whole_type(mask)?))
}

/// Sizes are arguments in another order than in names: rows, depth, columns.
fn quantised_instance(prefix: &str, rest: &str) -> Option<String> {
    let (template, ty, words) = quantised(rest)?;
    let value = |key: &str| after(&words, key);
    let flag = |key: &str| value(key).map(truth);
    let scale = truth(if words.contains(&"hgs") { "1" } else { "0" });
    let base = format!("{ty}, {}, {}", value("gs")?, value("b")?);
    let tiles = || sizes(&words, &["bm", "bk", "bn", "wm", "wn"]);
    let (template, tail) = match template {
        "qmm_t_nax" => {
            let batched = flag("batch")?;
            (template, format!("{}, {batched}, {}, {scale}", flag("alN")?, tiles()?))
        }
        "qmm_n_nax" => (template, format!("{}, {}", flag("batch")?, tiles()?)),
        "gather_qmm_t_nax" => (template, format!("{}, {}, {scale}", flag("alN")?, tiles()?)),
        "gather_qmm_rhs_nax_nt" | "gather_qmm_rhs_nax_nn" => {
            let each: Option<Vec<&str>> = TILES.iter().map(|key| value(key)).collect();
            let transposed = template.ends_with("nt");
            let tail = format!("{}, {transposed}", each?.join(", "));
            let scaled = if prefix == "fp" { format!("{tail}, {scale}") } else { tail };
            ("gather_qmm_rhs_nax", scaled)
        }
        _ => return None,
    };
    Some(format!("{prefix}_{template}<{base}, {tail}>"))
}

fn affine(name: &str) -> Option<String> {
    quantised_instance("affine", name.strip_prefix("affine_")?)
}

fn floats(name: &str) -> Option<String> {
    let rest =
        ["mxfp4_", "mxfp8_", "nvfp4_"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    quantised_instance("fp", rest)
}

fn gated_delta(name: &str) -> Option<String> {
    gated_delta_of("gated_delta_fused_nax_", "gated_delta_fused_nax", name)
}

fn gated_delta_vjp(name: &str) -> Option<String> {
    gated_delta_of("gated_delta_vjp_fused_nax_", "gated_delta_vjp_fused_nax", name)
        .or_else(|| gated_delta_of("gated_delta_dgamma_to_dg_", "gated_delta_dgamma_to_dg", name))
}
