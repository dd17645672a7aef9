//! MLX's attention of many queries by tiles: plain, and for Metal 4's tensors; with a mask, causal, of whole tiles and parts.

use kernels::mlx_metal::sampled;
use kernels::numbers::Number;
use kernels::steel::Attention;

#[test]
fn by_tiles() {
    // Of 52.
    assert_eq!(attention("steel_attention"), 48, "kernels");
}

#[test]
fn for_tensors() {
    assert_eq!(attention("steel_attention_nax"), 54, "kernels");
}

/// Runs all kernels of a family; returns how many.
fn attention(family: &str) -> usize {
    let (kernels, instances) = sampled(family, |one| one.name.clone());
    let mut ran = 0;
    for (at, instance) in instances.iter().enumerate() {
        let kernel = &instance.name;
        let arguments = instance.arguments();
        let size = |at: usize| -> usize {
            arguments[at].parse().unwrap_or_else(|_| panic!("{kernel}: argument {at}"))
        };
        let number = match arguments[0] {
            "float" => Number::F32,
            "half" => Number::F16,
            _ => Number::BF16,
        };
        // Heads that are split among SIMD-groups have one size.
        let split = instance.template() == "attention_nax_dsplit";
        let side = size(3);
        if instance.template() == "attention" && number == Number::F32 && side >= 192 {
            // Their tiles take 40,448 bytes of threadgroup memory and more, which no GPU has.
            continue;
        }
        let attention = Attention {
            kernel,
            number,
            mask_of_bits: arguments[arguments.len() - 2] == "bool",
            heads: (2, 1),
            tile: (size(1), size(2)),
            side,
            width: if split { side } else { size(4) },
            groups: if split { (size(4), size(5)) } else { (size(5), size(6)) },
            scales: &[],
            unset: &[302, 303],
        };
        attention.check(&kernels, at);
        ran += 1;
    }
    ran
}
