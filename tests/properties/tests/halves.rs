//! The conversions agree with those of the crate `half`, an independent implementation.

use aruminium::{
    bf16_to_f32, cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16, f32_to_bf16,
    f32_to_fp16, fp16_to_f32,
};
use half::{bf16, f16};

/// Floats of every sign, exponent and upper mantissa; the lower bits cycle through ties and their neighbours.
fn floats() -> impl Iterator<Item = f32> {
    (0..=u16::MAX).map(|upper| {
        let lower =
            [0x0000, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001][usize::from(upper) % 7];
        f32::from_bits(u32::from(upper) << 16 | lower)
    })
}

fn shorts() -> Vec<u16> {
    (0..=u16::MAX).collect()
}

#[test]
fn widening_agrees_with_half() {
    let mut floats = vec![0.0; 1 << 16];
    cast_f16_f32(&mut floats, &shorts());
    for (bits, float) in (0..=u16::MAX).zip(&floats) {
        assert_eq!(float.to_bits(), f16::from_bits(bits).to_f32_const().to_bits(), "{bits:#x}");
        assert_eq!(float.to_bits(), fp16_to_f32(bits).to_bits(), "{bits:#x}");
    }
    cast_bf16_f32(&mut floats, &shorts());
    for (bits, float) in (0..=u16::MAX).zip(&floats) {
        assert_eq!(float.to_bits(), bf16::from_bits(bits).to_f32_const().to_bits(), "{bits:#x}");
        assert_eq!(float.to_bits(), bf16_to_f32(bits).to_bits(), "{bits:#x}");
    }
}

#[test]
fn narrowing_agrees_with_half() {
    let floats: Vec<f32> = floats().collect();
    let mut narrow = vec![0; floats.len()];
    cast_f32_f16(&mut narrow, &floats);
    for (&bits, &float) in narrow.iter().zip(&floats) {
        assert_eq!(bits, f16::from_f32_const(float).to_bits(), "{:#x}", float.to_bits());
        assert_eq!(bits, f32_to_fp16(float), "{:#x}", float.to_bits());
    }
    cast_f32_bf16(&mut narrow, &floats);
    for (&bits, &float) in narrow.iter().zip(&floats) {
        assert_eq!(bits, bf16::from_f32_const(float).to_bits(), "{:#x}", float.to_bits());
        assert_eq!(bits, f32_to_bf16(float), "{:#x}", float.to_bits());
    }
}
