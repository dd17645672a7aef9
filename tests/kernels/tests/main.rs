//! All tests are one program: each of its own would hold the whole library again. The name of a file chooses its tests:
//! `cargo test --test published candle_data::`.

mod candle;
mod candle_attention;
mod candle_conv;
mod candle_data;
mod candle_flash;
mod candle_gemv;
mod candle_ggml;
mod candle_index;
mod candle_plain;
mod candle_quantised;
mod candle_random;
mod candle_sort;
mod candle_steel;
mod candle_strided;
mod coverage;
mod ggml;
mod ggml_attention;
mod ggml_choices;
mod ggml_convolutions;
mod ggml_copy;
mod ggml_elements;
mod ggml_quantised;
mod ggml_states;
mod mlx_affine;
mod mlx_attention;
mod mlx_cache;
mod mlx_choices;
mod mlx_codebooks;
mod mlx_convolutions;
mod mlx_data;
mod mlx_deepseek;
mod mlx_delta;
mod mlx_elementwise;
mod mlx_matmul;
mod mlx_metal;
mod mlx_metal_attention;
mod mlx_metal_convolutions;
mod mlx_metal_delta;
mod mlx_metal_elementwise;
mod mlx_metal_fft;
mod mlx_metal_indexing;
mod mlx_metal_parts;
mod mlx_metal_products;
mod mlx_metal_reduce;
mod mlx_metal_rows;
mod mlx_metal_searches;
mod mlx_moe;
mod mlx_norms;
mod mlx_quantised;
mod mlx_rope;
mod mlx_rows;
mod mlx_training;
mod packages;

#[test]
fn every_file_is_a_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy();
        let line = format!("mod {name};");
        assert!(
            name == "main" || include_str!("main.rs").lines().any(|known| known == line),
            "{line}"
        );
    }
}
