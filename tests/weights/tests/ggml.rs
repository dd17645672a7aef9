//! Decoding on the CPU has the same bits as ggml's own C code, for every block format.

use aruminium::infer::weights::dequantize;
use aruminium::infer::{DType, Quant};
use weights_tests::Random;

/// A function of ggml that decodes `count` values.
type Decode = unsafe extern "C" fn(blocks: *const u8, values: *mut f32, count: i64);

/// Declares the functions of ggml, in a table by format.
macro_rules! functions {
    ($($format:ident = $function:ident),+ $(,)?) => {
        unsafe extern "C" {
            $(fn $function(blocks: *const u8, values: *mut f32, count: i64);)+
        }

        const FUNCTIONS: &[(Quant, Decode)] = &[$((Quant::$format, $function)),+];
    };
}

functions! {
    Q1_0 = dequantize_row_q1_0,
    Q2_0 = dequantize_row_q2_0,
    Q4_0 = dequantize_row_q4_0,
    Q4_1 = dequantize_row_q4_1,
    Q5_0 = dequantize_row_q5_0,
    Q5_1 = dequantize_row_q5_1,
    Q8_0 = dequantize_row_q8_0,
    Q2_K = dequantize_row_q2_K,
    Q3_K = dequantize_row_q3_K,
    Q4_K = dequantize_row_q4_K,
    Q5_K = dequantize_row_q5_K,
    Q6_K = dequantize_row_q6_K,
    Q8_K = dequantize_row_q8_K,
    IQ1_S = dequantize_row_iq1_s,
    IQ1_M = dequantize_row_iq1_m,
    IQ2_XXS = dequantize_row_iq2_xxs,
    IQ2_XS = dequantize_row_iq2_xs,
    IQ2_S = dequantize_row_iq2_s,
    IQ3_XXS = dequantize_row_iq3_xxs,
    IQ3_S = dequantize_row_iq3_s,
    IQ4_NL = dequantize_row_iq4_nl,
    IQ4_XS = dequantize_row_iq4_xs,
    TQ1_0 = dequantize_row_tq1_0,
    TQ2_0 = dequantize_row_tq2_0,
    MXFP4 = dequantize_row_mxfp4,
    NVFP4 = dequantize_row_nvfp4,
}

fn compare(quant: Quant, decode: Decode, blocks: &[u8]) {
    let count = blocks.len() / quant.block_bytes() * quant.block();
    let (mut ours, mut theirs) = (vec![0.0; count], vec![0.0; count]);
    dequantize(DType::Quant(quant), blocks, &mut ours).expect("a decoder");
    // SAFETY: the blocks stand for as many values.
    unsafe { decode(blocks.as_ptr(), theirs.as_mut_ptr(), count as i64) };
    for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        let same = ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan();
        let (block, value) = (i / quant.block(), i % quant.block());
        let bytes = &blocks[block * quant.block_bytes()..][..quant.block_bytes()];
        assert!(same, "{quant}: value {value} is {ours:e}, and {theirs:e} in ggml: {bytes:02x?}");
    }
}

#[test]
fn random_blocks_of_every_format() {
    let missing: Vec<Quant> =
        Quant::ALL.iter().copied().filter(|q| FUNCTIONS.iter().all(|(f, _)| f != q)).collect();
    // It is only made while ggml multiplies, and ggml has no function that decodes it.
    assert_eq!(missing, [Quant::Q8_1]);
    let mut random = Random::new(1);
    for &(quant, decode) in FUNCTIONS {
        // Aligned for the 16-bit fields of ggml's structs: Vec's memory is.
        let blocks = random.bytes(2000 * quant.block_bytes());
        compare(quant, decode, &blocks);
    }
}

#[test]
fn every_byte_at_every_index() {
    // A block of random bytes with each value of each byte: all indices of grids, all scales.
    let mut random = Random::new(2);
    for &(quant, decode) in FUNCTIONS {
        let block = random.bytes(quant.block_bytes());
        let blocks: Vec<u8> = (0..quant.block_bytes() * 256)
            .flat_map(|i| {
                let mut block = block.clone();
                block[i / 256] = i as u8;
                block
            })
            .collect();
        compare(quant, decode, &blocks);
    }
}

#[test]
fn q8_1_has_the_values_of_q8_0() {
    let mut random = Random::new(3);
    let blocks = random.bytes(100 * 36);
    let short: Vec<u8> = blocks.chunks(36).flat_map(|b| [&b[..2], &b[4..]].concat()).collect();
    let (mut with, mut without) = (vec![0.0; 3200], vec![0.0; 3200]);
    dequantize(DType::Quant(Quant::Q8_1), &blocks, &mut with).expect("a decoder");
    dequantize(DType::Quant(Quant::Q8_0), &short, &mut without).expect("a decoder");
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(with), bits(without));
}
