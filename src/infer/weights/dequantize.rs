//! Decoding stored values to `f32` on the CPU.

use super::blocks as b;
use crate::fp16::{bf16_to_f32, fp16_to_f32};
use crate::infer::{DType, Error, Quant};

/// Decodes values of any type to `f32`, with the same bits as ggml's own code.
///
/// # Errors
///
/// If the bytes are not as many as the values take, or the type is unknown.
///
/// ```
/// use aruminium::infer::{DType, Quant, weights::dequantize};
/// // A block of Q4_0: the scale 0.5, and 32 nibbles that stand for -8 to 7.
/// let mut block = vec![0x00, 0x38];
/// block.extend([0x80; 16]);
/// let mut values = [0.0; 32];
/// dequantize(DType::Quant(Quant::Q4_0), &block, &mut values)?;
/// assert_eq!((values[0], values[16]), (-4.0, 0.0));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
pub fn dequantize(dtype: DType, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    if dtype.bytes_of(out.len()) != Some(bytes.len()) {
        let (count, found) = (out.len(), bytes.len());
        return Err(Error::Format(format!("{found} bytes are not {count} values of type {dtype}")));
    }
    match dtype {
        DType::F32 => plain(bytes, out, f32::from_le_bytes),
        DType::F16 => plain(bytes, out, |b| fp16_to_f32(u16::from_le_bytes(b))),
        DType::BF16 => plain(bytes, out, |b| bf16_to_f32(u16::from_le_bytes(b))),
        DType::F64 => plain(bytes, out, |b| f64::from_le_bytes(b) as f32),
        DType::I8 => plain(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
        DType::U8 | DType::Bool => plain(bytes, out, |[b]| f32::from(b)),
        DType::I16 => plain(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
        DType::U16 => plain(bytes, out, |b| f32::from(u16::from_le_bytes(b))),
        DType::I32 => plain(bytes, out, |b| i32::from_le_bytes(b) as f32),
        DType::U32 => plain(bytes, out, |b| u32::from_le_bytes(b) as f32),
        DType::I64 => plain(bytes, out, |b| i64::from_le_bytes(b) as f32),
        DType::U64 => plain(bytes, out, |b| u64::from_le_bytes(b) as f32),
        DType::Quant(quant) => return blocks(quant, bytes, out),
    }
    Ok(())
}

fn plain<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    b::each(bytes, out, |bytes, out: &mut [f32; 1]| out[0] = value(*bytes));
}

fn blocks(quant: Quant, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    /// Calls the function of a format.
    macro_rules! of {
        ($($format:ident => $decode:ident),+ $(,)?) => {
            match quant {
                $(Quant::$format => b::each(bytes, out, b::$decode),)+
                _ => return Err(Error::Format(format!("no decoder for {quant}"))),
            }
        };
    }
    of! {
        Q1_0 => q1_0, Q2_0 => q2_0, Q4_0 => q4_0, Q4_1 => q4_1, Q5_0 => q5_0, Q5_1 => q5_1, Q8_0 => q8_0, Q8_1 => q8_1,
        Q2_K => q2_k, Q3_K => q3_k, Q4_K => q4_k, Q5_K => q5_k, Q6_K => q6_k, Q8_K => q8_k,
        IQ1_S => iq1_s, IQ1_M => iq1_m, IQ2_XXS => iq2_xxs, IQ2_XS => iq2_xs, IQ2_S => iq2_s,
        IQ3_XXS => iq3_xxs, IQ3_S => iq3_s, IQ4_NL => iq4_nl, IQ4_XS => iq4_xs,
        TQ1_0 => tq1_0, TQ2_0 => tq2_0, MXFP4 => mxfp4, NVFP4 => nvfp4,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::dequantize;
    use crate::infer::{DType, Quant};

    #[test]
    fn every_format_has_a_decoder() {
        for &quant in Quant::ALL {
            let dtype = DType::Quant(quant);
            let mut out = vec![f32::NAN; 2 * quant.block()];
            dequantize(dtype, &vec![0; 2 * quant.block_bytes()], &mut out).expect("a decoder");
            // The scale of MXFP4 is a power of two, never zero; IQ1 has a shift, times zero.
            assert!(out.iter().all(|&value| value == 0.0), "{quant}: {out:?}");
        }
    }

    #[test]
    fn a_wrong_number_of_bytes_is_an_error() {
        for (dtype, bytes, values) in [
            (DType::F32, 3, 1),
            (DType::F16, 4, 1),
            (DType::Quant(Quant::Q4_K), 144, 255),
            (DType::Quant(Quant::Q4_K), 143, 256),
            (DType::Quant(Quant::from_id(999)), 0, 0),
            (DType::Quant(Quant::from_id(999)), 16, 16),
        ] {
            let error = dequantize(dtype, &vec![0; bytes], &mut vec![0.0; values]).unwrap_err();
            assert!(error.to_string().contains(&dtype.to_string()), "{error}");
        }
    }

    #[test]
    fn plain_values_are_converted() {
        let check = |dtype, bytes: &[u8], value: f32| {
            let mut out = [0.0];
            dequantize(dtype, bytes, &mut out).expect("valid");
            assert_eq!(out[0], value, "{dtype}");
        };
        check(DType::F32, &(-1.5f32).to_le_bytes(), -1.5);
        check(DType::F16, &0xc000u16.to_le_bytes(), -2.0);
        check(DType::BF16, &0xc000u16.to_le_bytes(), -2.0);
        check(DType::F64, &0.1f64.to_le_bytes(), 0.1);
        check(DType::I8, &[0xff], -1.0);
        check(DType::U8, &[0xff], 255.0);
        check(DType::Bool, &[1], 1.0);
        check(DType::I16, &(-300i16).to_le_bytes(), -300.0);
        check(DType::U16, &60000u16.to_le_bytes(), 60000.0);
        check(DType::I32, &i32::MIN.to_le_bytes(), -2147483648.0);
        check(DType::U32, &u32::MAX.to_le_bytes(), 4294967296.0);
        check(DType::I64, &i64::MIN.to_le_bytes(), -9223372036854775808.0);
        check(DType::U64, &u64::MAX.to_le_bytes(), 18446744073709551616.0);
    }
}
