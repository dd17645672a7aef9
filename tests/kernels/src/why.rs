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
        "mlx-native",
        "gated_delta_net_chunk_inter_state",
        "36 KiB of threadgroup memory, which the package requests and no GPU has",
    ),
    (
        "",
        "kernel_flash_attn_ext",
        "heads whose length is not a multiple of the format's blocks, which cannot be stored, or more than 32 KiB of threadgroup memory: ggml cannot launch them either",
    ),
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
    REASONS.iter().find(fits).map(|found| found.2).unwrap_or_else(|| {
        panic!(
            "kernels of `{family}` of {package} are not run, and no reason is recorded: run them, or add one to why.rs"
        )
    })
}
