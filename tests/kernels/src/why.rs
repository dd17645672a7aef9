//! Why published kernels are not run: the column of the page that lists them.

/// Package, what the family's name begins with, and the reason.
const REASONS: &[(&str, &str, &str)] = &[
    (
        "candle-metal-kernels",
        "c_block_sort",
        "reads indices through a null pointer, which is a fault; candle sorts with the kernels that return indices",
    ),
    (
        "candle-metal-kernels",
        "nc_block_sort",
        "reads indices through a null pointer, which is a fault; candle sorts with the kernels that return indices",
    ),
    (
        "candle-metal-kernels",
        "sdpa_vector",
        "heads of 72 and 80 numbers: the kernel ignores those past a multiple of 32, and candle does not launch it",
    ),
    (
        "candle-metal-kernels",
        "kernel_flash_attn_ext",
        "no reference yet; candle does not launch it",
    ),
    (
        "",
        "kernel_flash_attn_ext",
        "heads whose length is not a multiple of the format's blocks, which cannot be stored, or more than 32 KiB of threadgroup memory: ggml cannot launch them either",
    ),
];

/// Families that nobody has written a reference for yet.
const NO_REFERENCE: &[(&str, &[&str])] = &[
    ("llama-cpp-sys-2", &["kernel", "kernel_get_rows"]),
    (
        "mlx-native",
        &[
            "deepseek_compressor",
            "deepseek_indexer_score",
            "deepseek_indexer_score_mma",
            "deepseek_indexer_topk_block",
            "deepseek_indexer_topk_finalize",
            "deepseek_indexer_topk_merge",
            "deepseek_moe_hash_route",
            "deepseek_moe_sanitize_indices",
            "deepseek_moe_score_route",
            "deepseek_moe_score_selection_witness",
            "deepseek_sparse_attention_gather",
            "deepseek_sparse_attention_reduce",
            "deepseek_sparse_attention_sanitize",
            "deepseek_sparse_attention_score",
            "deepseek_sparse_attention_validate_q",
            "f32_to",
            "flash_attn_train_bwd",
            "flash_attn_train_fwd",
            "flash_attn_vec_hybrid",
            "flash_attn_vec_hybrid_batched",
            "flash_attn_vec_reduce_tq_hb_undo",
            "flash_attn_vec_tq",
            "flash_attn_vec_tq_hb",
            "flash_attn_vec_tq_hb_batched",
            "flash_attn_vec_tq_hb_gqa",
            "gated_delta_net_chunk_inter_state",
            "gated_delta_net_chunk_o",
            "hadamard_quantize_kv",
            "hadamard_quantize_kv_fast",
            "hadamard_quantize_kv_fast_dual",
            "hadamard_quantize_kv_hb",
            "hadamard_quantize_kv_hb_batched",
            "hadamard_quantize_kv_hb_dual",
            "kv_copy",
            "kv_quantize_v_no_fwht",
            "moe_mm_id",
            "tq_dequantize_hb_kv",
            "tq_dequantize_hb_kv_seq",
            "tq_dequantize_kv",
        ],
    ),
    ("whisper-rs-sys", &["kernel", "kernel_get_rows"]),
];

/// The reason for the kernels of a family that do not run.
///
/// # Panics
///
/// If none is recorded: a kernel that ran before no longer does, or a new one needs a reference.
pub(crate) fn why(package: &str, family: &str) -> &'static str {
    let fits = |(of, begins, _): &&(&str, &str, &str)| {
        package.starts_with(of) && family.starts_with(begins)
    };
    if let Some(found) = REASONS.iter().find(fits) {
        return found.2;
    }
    let mut lists = NO_REFERENCE.iter().filter(|(of, _)| package.starts_with(of));
    assert!(
        lists.any(|(_, families)| families.contains(&family)),
        "kernels of `{family}` of {package} are not run, and no reason is recorded: run them, or add one to why.rs"
    );
    "no reference yet"
}
