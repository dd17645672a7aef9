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
        "heads that are no whole number of the format's blocks, which cannot be stored, or more than 32 KiB of threadgroup memory: ggml cannot launch them either",
    ),
    ("", "", "no reference yet"),
];

/// The reason for the kernels of a family that do not run.
pub(crate) fn why(package: &str, family: &str) -> &'static str {
    let fits = |(of, begins, _): &&(&str, &str, &str)| {
        package.starts_with(of) && family.starts_with(begins)
    };
    REASONS.iter().find(fits).map_or("", |found| found.2)
}
