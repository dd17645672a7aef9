//! The conversions as a user sees them, against the `half` crate, which had no part in them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aruminium::{
    bf16_to_f32, cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16, f32_to_bf16,
    f32_to_fp16, fp16_to_f32,
};
use half::{bf16, f16};

/// Floats of every sign, exponent and upper mantissa, with lower bits that go round.
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

/// The message of the panic that `work` ends in.
fn panic_message(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("this should have panicked");
    panic.downcast_ref::<String>().expect("a message with numbers in it").clone()
}

#[test]
fn lengths_that_differ_panic_before_anything_is_written() {
    for (to, from) in [(3, 4), (4, 3), (0, 1), (100, 0)] {
        let (mut floats, mut shorts) = (vec![7.0; to], vec![7; to]);
        let numbers = format!(": the target has {to} elements and the source {from}");
        let message = panic_message(|| cast_f16_f32(&mut floats, &vec![1; from]));
        assert_eq!(message, format!("cast_f16_f32{numbers}"));
        let message = panic_message(|| cast_bf16_f32(&mut floats, &vec![1; from]));
        assert_eq!(message, format!("cast_bf16_f32{numbers}"));
        let message = panic_message(|| cast_f32_f16(&mut shorts, &vec![1.0; from]));
        assert_eq!(message, format!("cast_f32_f16{numbers}"));
        let message = panic_message(|| cast_f32_bf16(&mut shorts, &vec![1.0; from]));
        assert_eq!(message, format!("cast_f32_bf16{numbers}"));
        assert!(floats.iter().all(|&float| float == 7.0) && shorts.iter().all(|&short| short == 7));
    }
}

#[test]
fn empty_slices_are_fine() {
    cast_f16_f32(&mut [], &[]);
    cast_f32_f16(&mut [], &[]);
    cast_bf16_f32(&mut [], &[]);
    cast_f32_bf16(&mut [], &[]);
}
