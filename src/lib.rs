//! A Metal compute driver: one line a method, no overhead in the hot loop, and it runs anywhere.

pub mod abi;
pub mod fp16;

pub use abi::{MTLOrigin, MTLRegion, MTLSize, NSRange};
pub use fp16::{
    bf16_to_f32, cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16, f32_to_bf16,
    f32_to_fp16, fp16_to_f32,
};
