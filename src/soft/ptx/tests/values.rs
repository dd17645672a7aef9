//! Arithmetic that is one instruction, or another one, where operands are of some kinds.

use super::super::emit::Options;
use super::{unchecked, whole};

#[test]
fn a_sum_with_a_product_that_needs_no_rounding_is_one_instruction() {
    for (sum, fused) in [
        ("x[i] + float(h[i]) * float(h[i + 1])", true),
        ("float(c[i]) * float(s[i]) + x[i]", true),
        ("0.0f + x[i] * float(n[i])", true),
        // The product has more bits, or may be rounded to 0.
        ("x[i] + float(s[i]) * float(s[i + 1])", false),
        ("x[i] + x[i + 1] * float(h[i])", false),
        ("0.0f + x[i] * float(h[i])", false),
        ("-0.0f + x[i] * float(n[i])", false),
        ("x[i] - float(h[i]) * float(h[i + 1])", false),
    ] {
        let text = unchecked(
            &format!(
                "kernel void k(device float *x, device const half *h, device const char *c, device const short *s,
                    device const uint *n, uint i [[thread_position_in_grid]]) {{ x[i] = {sum}; }}"
            ),
            80,
        );
        assert_eq!(text.contains("fma.rn.f32"), fused, "{sum}\n{text}");
    }
}

#[test]
fn a_division_by_an_ordinary_constant_tests_no_divisor() {
    for (scalar, by, division, is_constant) in [
        ("uint", "7", "u32", true),
        ("int", "7", "s32", true),
        ("int", "2147483647", "s32", true),
        ("ulong", "7", "u64", true),
        ("long", "7", "s64", true),
        ("ulong", "2147483647", "u64", true),
        // 0, negative numbers, and numbers of more than 31 bits are in registers.
        ("uint", "0", "u32", false),
        ("int", "-7", "s32", false),
        ("int", "-1", "s32", false),
        ("long", "-7", "s64", false),
        ("uint", "3000000000", "u32", false),
        ("ulong", "3000000000", "u64", false),
        // Elements of a vector are not promoted.
        ("uchar2", "7", "u32", true),
        ("char2", "7", "s32", true),
        ("uchar2", "200", "u32", true),
        ("char2", "-7", "s32", false),
        ("short2", "300", "s32", true),
    ] {
        for (operator, name) in [("/", "div"), ("%", "rem")] {
            // The start of the kernel divides only where threadgroups may have other sizes.
            let options =
                Options { target: 80, alignment: 16, regular: true, ..Options::default() };
            let text = whole(
                &format!(
                    "kernel void k(device {scalar} *x, uint i [[thread_position_in_grid]]) {{
                        x[i] = x[i] {operator} {scalar}({by}); }}"
                ),
                options,
            );
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let start = format!("{name}.{division} ");
            let found: Vec<&&str> = lines.iter().filter(|line| line.starts_with(&start)).collect();
            assert!(!found.is_empty(), "{scalar} {operator} {by}\n{text}");
            let end = format!(", {by};");
            assert!(
                found.iter().all(|line| line.ends_with(&end) == is_constant),
                "{scalar} {by}\n{text}"
            );
            // The quotient of a division by zero is selected.
            assert_eq!(text.contains("selp"), !is_constant, "{scalar} {by}\n{text}");
        }
    }
}
