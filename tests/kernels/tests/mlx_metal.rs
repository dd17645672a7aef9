//! The kernels of MLX's headers: every name of its library that they can express is instantiated, and a spread of
//! the instances of each template becomes pipelines. The other files `mlx_metal_….rs` run them.

use aruminium::{Gpu, autorelease_pool};
use kernels::constants;
use kernels::mlx_metal::{MlxMetal, families, spread};
use std::collections::HashMap;

/// Pipelines of each template; `MLX_PIPELINES` sets another number.
const EACH: usize = 3;

#[test]
fn every_family_compiles() {
    let mlx = MlxMetal::open().unwrap_or_else(|error| panic!("{error}"));
    let gpu = Gpu::open().unwrap_or_else(|error| panic!("{error}"));
    let each = std::env::var("MLX_PIPELINES").ok().and_then(|n| n.parse().ok()).unwrap_or(EACH);
    let only = std::env::var("MLX_FAMILY").unwrap_or_default();
    let (mut named, mut made, mut too_large, mut failed) = (0, 0, 0, Vec::new());
    for family in families().filter(|family| family.name.contains(&only)) {
        let instances = mlx.instances(family);
        println!("{}: {}", family.name, instances.len());
        named += instances.len();
        // Signatures of all; bodies of some.
        let chosen = spread(&instances, each);
        let source = mlx.source(family, &instances).unwrap_or_else(|error| panic!("{error}"));
        autorelease_pool(|| {
            let library = match gpu.compile_with(&source, family.options().as_ref()) {
                Ok(library) => library,
                Err(error) => {
                    let text = error.to_string();
                    let first: Vec<&str> = text.lines().take(4).collect();
                    return failed.push(format!("{}: {}", family.name, first.join("\n")));
                }
            };
            let values = constants::values(&source);
            for instance in chosen {
                let pipeline = library
                    .function_with(&instance.name, &values)
                    .and_then(|function| gpu.pipeline(&function));
                match pipeline {
                    Ok(_) => made += 1,
                    // Two attentions of long heads in `float`: no GPU has as much threadgroup memory.
                    Err(error) if error.to_string().contains("bytes of threadgroup memory") => {
                        too_large += 1;
                    }
                    Err(error) => {
                        let text = error.to_string();
                        let first: Vec<&str> = text.lines().take(5).collect();
                        failed.push(format!("{}: {}", instance.text, first.join("\n")));
                    }
                }
            }
        });
    }
    println!("{named} of {} names instantiated, {made} pipelines", mlx.names().len());
    assert!(too_large <= 2, "{too_large} need more threadgroup memory than a GPU has");
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

/// Prefixes of the library's other names: kernels in sources that the package does not have, and a few whose template has a parameter that the name does not show (`gqa`).
const OTHERS: &[&str] = &[
    "argmax_",
    "argmin_",
    "depthwise_conv_",
    "fence_",
    "gather_mm_offsets",
    "generate_bluestein_twiddles",
    "input_coherent",
    "layer_norm",
    "naive_unfold_",
    "rbits",
    "rms",
    "rope_",
    "sdpa_vector_2pass_1_gqa_",
    "sdpa_vjp_",
    "vjp_layer_norm",
    "vjp_rms",
    "winograd_conv_2d_",
];

#[test]
fn every_name_is_of_a_family_or_known_to_be_of_none() {
    let mlx = MlxMetal::open().unwrap_or_else(|error| panic!("{error}"));
    let mut of_families: HashMap<String, usize> = HashMap::new();
    for family in families() {
        for instance in mlx.instances(family) {
            *of_families.entry(instance.name).or_default() += 1;
        }
    }
    let twice: Vec<_> = of_families.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "of two families: {twice:?}");
    let is_other = |name: &str| OTHERS.iter().any(|prefix| name.starts_with(prefix));
    let names = mlx.names().iter();
    let unknown: Vec<_> =
        names.filter(|name| !of_families.contains_key(*name) && !is_other(name)).collect();
    println!("{} of {} names are of families", of_families.len(), mlx.names().len());
    assert!(unknown.is_empty(), "{} names of no family: {unknown:?}", unknown.len());
}
