//! The slice conversions as users call them: lengths that differ, and empty slices.
//!
//! Values are compared with the crate `half` in `tests/properties`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aruminium::{cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16};

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
