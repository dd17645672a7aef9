//! Tests of `infer`.

mod tensor;
