//! The kernels of MLX's headers: every name of its library that they can express is instantiated, and a spread of
//! the instances of each template becomes pipelines.

use aruminium::{Gpu, autorelease_pool};
use kernels::constants;
use kernels::mlx_metal::{FAMILIES, MlxMetal, spread};

/// Pipelines of each template; `MLX_PIPELINES` sets another number.
const EACH: usize = 3;

#[test]
fn every_family_compiles() {
    let mlx = MlxMetal::open().unwrap_or_else(|error| panic!("{error}"));
    let gpu = Gpu::open().unwrap_or_else(|error| panic!("{error}"));
    let each = std::env::var("MLX_PIPELINES").ok().and_then(|n| n.parse().ok()).unwrap_or(EACH);
    let (mut named, mut made, mut failed) = (0, 0, Vec::new());
    for family in FAMILIES {
        let instances = mlx.instances(family);
        named += instances.len();
        // Signatures of all; bodies of some.
        let chosen = spread(&instances, each);
        let source = mlx.source(family, &instances).unwrap_or_else(|error| panic!("{error}"));
        autorelease_pool(|| {
            let library = match gpu.compile(&source) {
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
                    Err(error) => {
                        let text = error.to_string();
                        let first: Vec<&str> = text.lines().take(5).collect();
                        failed.push(format!("{}: {}", instance.text, first.join("\n")));
                    }
                }
            }
        });
    }
    println!("{named} of {} names instantiated, {made} pipelines", mlx.len());
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
    assert!(named > 13_000, "only {named} names were instantiated");
}
