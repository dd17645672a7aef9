//! candle's attention of many queries by tiles, all kernels that fit a GPU: plain, with a mask, and causal.

use kernels::numbers::Number;
use kernels::run::Kernels;
use kernels::steel::Attention;

const TYPES: [(&str, Number); 3] =
    [("float32", Number::F32), ("bfloat16", Number::BF16), ("float16", Number::F16)];

#[test]
fn many_queries() {
    let kernels = Kernels::open("candle-metal-kernels", "scaled_dot_product_attention.metal");
    let names = kernels.names();
    let steel =
        names.iter().filter_map(|name| Some((name, name.strip_prefix("steel_attention_")?)));
    let mut ran = 0;
    for (at, (kernel, rest)) in steel.enumerate() {
        let part = |name: &str| -> usize {
            let found = rest.split('_').find_map(|part| part.strip_prefix(name)?.parse().ok());
            found.unwrap_or_else(|| panic!("{kernel} has no {name}"))
        };
        let ty = TYPES.iter().find(|(name, _)| rest.starts_with(&format!("{name}_")));
        let number = ty.unwrap_or_else(|| panic!("{kernel} has no type")).1;
        let side = part("bd");
        if number == Number::F32 && side == 256 {
            // Their tiles take 53,760 bytes of threadgroup memory, more than any GPU has.
            continue;
        }
        let attention = Attention {
            kernel,
            number,
            mask_of_bits: rest.contains("_maskbool"),
            hides_only: false,
            heads: (4, 2),
            tile: (part("bq"), part("bk")),
            side,
            width: side,
            groups: (part("wm"), part("wn")),
            memory: 0,
            scales: &[1.0],
            unset: &[],
        };
        attention.check(&kernels, at);
        ran += 1;
    }
    assert_eq!(ran, 44, "kernels for many queries");
}
