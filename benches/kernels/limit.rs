//! The limit of each kernel of this folder: its loops as a perfect compiler would write them, with the processor's vectors.
//!
//! The loops are written once, over the few operations that [`loops!`] takes from `std::arch`, and built for each
//! instruction set. `place::in_parts` runs them on all cores.

use std::cmp::min;

/// Instruction sets that the loops are built for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Arrays, which the compiler turns into vectors.
    Portable,
}

impl Set {
    /// The instruction set in the device's name, so that `ARUMINIUM_ISA` limits both.
    pub(crate) fn of(device: &str) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if device.contains("avx512") && is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if device.contains("avx")
                && is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
            {
                return Self::Avx2;
            }
        }
        let _ = device;
        Self::Portable
    }
}

/// Functions over slices that run the loops of a set.
macro_rules! by_set {
    ($($(#[$about:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)*) => {
        impl Set {$(
            $(#[$about])*
            pub(crate) fn $name(self, $($arg: $ty),*) {
                match self {
                    // SAFETY: `of` found the instructions.
                    #[cfg(target_arch = "x86_64")]
                    Self::Avx512 => unsafe { avx512::$name($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Self::Avx2 => unsafe { avx2::$name($($arg),*) },
                    Self::Portable => portable::$name($($arg),*),
                }
            }
        )*}
    };
}

by_set! {
    /// `y = a x + y`.
    fn saxpy(a: f32, x: &[f32], y: &mut [f32]);
    /// Rows of a product of square matrices, from element `at` on: vectors hold the sums of adjacent elements.
    fn multiply(left: &[f32], right: &[f32], side: usize, at: usize, out: &mut [f32]);
    /// The same by tiles of 16 by 16, of which all sums are in registers.
    fn multiply_tiles(left: &[f32], right: &[f32], side: usize, at: usize, out: &mut [f32]);
    /// Iterations of each pixel of a square picture, from pixel `at` on.
    fn mandelbrot(side: usize, at: usize, out: &mut [u32]);
    /// Sums of 256 words.
    fn sums(words: &[u32], out: &mut [u32]);
}

/// Counts words by their highest byte. Equal words in a row are counted in different bins, since each addition would
/// otherwise wait for the one before.
pub(crate) fn count(words: &[u32], bins: &mut [u32; 256]) {
    let mut parts = [[0u32; 256]; 4];
    let (chunks, rest) = words.as_chunks::<4>();
    for chunk in chunks {
        for (bins, word) in parts.iter_mut().zip(chunk) {
            bins[(word >> 24) as usize] += 1;
        }
    }
    rest.iter().for_each(|word| parts[0][(word >> 24) as usize] += 1);
    for (index, bin) in bins.iter_mut().enumerate() {
        *bin = parts.iter().map(|part| part[index]).sum();
    }
}

/// Side of a tile.
const TILE: usize = 16;

/// The loops, over the operations of one instruction set: `Floats` and `Words` are vectors of `LANES`, `Lanes` a set of lanes.
macro_rules! loops {
    ($(#[$features:meta])* rows $rows:literal) => {
        /// The number of vectors that are computed at the same time, so that none waits for its previous operation.
        const SIDE_BY_SIDE: usize = 4;

        $(#[$features])*
        pub(super) fn saxpy(a: f32, x: &[f32], y: &mut [f32]) {
            let (xs, few) = x.as_chunks::<LANES>();
            let (ys, rest) = y.as_chunks_mut::<LANES>();
            for (y, x) in ys.iter_mut().zip(xs) {
                store(y, add(mul(splat(a), load(x)), load(y)));
            }
            rest.iter_mut().zip(few).for_each(|(y, x)| *y += a * x);
        }

        $(#[$features])*
        pub(super) fn multiply(left: &[f32], right: &[f32], side: usize, at: usize, out: &mut [f32]) {
            for (row, out) in out.chunks_exact_mut(side).enumerate() {
                let row = &left[at + row * side..][..side];
                for (block, out) in out.chunks_exact_mut(SIDE_BY_SIDE * LANES).enumerate() {
                    let mut sums = [splat(0.0); SIDE_BY_SIDE];
                    for (&a, right) in row.iter().zip(right.chunks_exact(side)) {
                        let right = &right[block * SIDE_BY_SIDE * LANES..];
                        for (sum, right) in sums.iter_mut().zip(right.as_chunks::<LANES>().0) {
                            *sum = fma(splat(a), load(right), *sum);
                        }
                    }
                    for (out, sum) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
                        store(out, sum);
                    }
                }
            }
        }

        $(#[$features])*
        pub(super) fn multiply_tiles(left: &[f32], right: &[f32], side: usize, at: usize, out: &mut [f32]) {
            const COLUMNS: usize = TILE / LANES;
            for (tile_row, out) in out.chunks_exact_mut(TILE * side).enumerate() {
                let row = at / side + tile_row * TILE;
                for column in (0..side).step_by(TILE) {
                    let mut sums = [[splat(0.0); COLUMNS]; TILE];
                    for tile in (0..side).step_by(TILE) {
                        let (mut tile_a, mut tile_b) = ([[0f32; TILE]; TILE], [[0f32; TILE]; TILE]);
                        for line in 0..TILE {
                            tile_a[line].copy_from_slice(&left[(row + line) * side + tile..][..TILE]);
                            tile_b[line].copy_from_slice(&right[(tile + line) * side + column..][..TILE]);
                        }
                        for (sums, tile_a) in
                            sums.as_chunks_mut::<$rows>().0.iter_mut().zip(tile_a.as_chunks::<$rows>().0)
                        {
                            let mut now = *sums;
                            for k in 0..TILE {
                                let (b, _) = tile_b[k].as_chunks::<LANES>();
                                for line in 0..$rows {
                                    for part in 0..COLUMNS {
                                        now[line][part] =
                                            fma(splat(tile_a[line][k]), load(&b[part]), now[line][part]);
                                    }
                                }
                            }
                            *sums = now;
                        }
                    }
                    for (line, sums) in sums.iter().enumerate() {
                        let (out, _) = out[line * side + column..][..TILE].as_chunks_mut::<LANES>();
                        out.iter_mut().zip(sums).for_each(|(out, &sum)| store(out, sum));
                    }
                }
            }
        }

        $(#[$features])*
        pub(super) fn mandelbrot(side: usize, at: usize, out: &mut [u32]) {
            let part = |index: usize| index as f32 / side as f32 * 3.0;
            for (block, out) in out.chunks_mut(SIDE_BY_SIDE * LANES).enumerate() {
                let first = at + block * SIDE_BY_SIDE * LANES;
                let pixel = |part: usize, lane: usize| first + part * LANES + lane;
                let each = |value: &dyn Fn(usize) -> f32| -> [Floats; SIDE_BY_SIDE] {
                    std::array::from_fn(|part| {
                        load(&std::array::from_fn::<f32, LANES, _>(|lane| value(pixel(part, lane))))
                    })
                };
                let cx = each(&|pixel| part(pixel % side) - 2.25);
                let cy = each(&|pixel| part(pixel / side) - 1.5);
                let (mut x, mut y) = ([splat(0.0); SIDE_BY_SIDE], [splat(0.0); SIDE_BY_SIDE]);
                let (mut k, mut active) = ([no_words(); SIDE_BY_SIDE], [all(); SIDE_BY_SIDE]);
                for _ in 0..256 {
                    for v in 0..SIDE_BY_SIDE {
                        let (xx, yy) = (mul(x[v], x[v]), mul(y[v], y[v]));
                        active[v] = and_not_above(active[v], add(xx, yy), splat(4.0));
                        k[v] = count(k[v], active[v]);
                        let twice = add(x[v], x[v]);
                        y[v] = add(mul(twice, y[v]), cy[v]);
                        x[v] = add(sub(xx, yy), cx[v]);
                    }
                    if none(active) {
                        break;
                    }
                }
                let mut found = [0; SIDE_BY_SIDE * LANES];
                found.as_chunks_mut::<LANES>().0.iter_mut().zip(k).for_each(|(to, k)| store_words(to, k));
                out.copy_from_slice(&found[..min(out.len(), found.len())]);
            }
        }

        $(#[$features])*
        pub(super) fn sums(words: &[u32], out: &mut [u32]) {
            for (out, words) in out.iter_mut().zip(words.as_chunks::<256>().0) {
                let mut sums = [no_words(); SIDE_BY_SIDE];
                for four in words.as_chunks::<LANES>().0.as_chunks::<SIDE_BY_SIDE>().0 {
                    for (sum, words) in sums.iter_mut().zip(four) {
                        *sum = add_words(*sum, load_words(words));
                    }
                }
                let sum = sums.into_iter().fold(no_words(), |a, b| add_words(a, b));
                let mut lanes = [0; LANES];
                store_words(&mut lanes, sum);
                *out = lanes.into_iter().fold(0, u32::wrapping_add);
            }
        }
    };
}

/// Operations of an instruction set, each by the instruction that does it.
#[cfg(target_arch = "x86_64")]
macro_rules! operations {
    (
        $features:literal, $lanes:literal, $floats:ty, $words:ty, $set:ty;
        $($name:ident($($arg:ident: $ty:ty),*) -> $result:ty = $value:expr;)*
    ) => {
        pub(super) const LANES: usize = $lanes;
        pub(super) type Floats = $floats;
        pub(super) type Words = $words;
        type Lanes = $set;
        $(
            #[inline]
            #[target_feature(enable = $features)]
            fn $name($($arg: $ty),*) -> $result {
                $value
            }
        )*
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{TILE, min};
    use std::arch::x86_64::*;

    operations! {
        "avx512f,avx2,fma", 16, __m512, __m512i, __mmask16;
        splat(x: f32) -> Floats = _mm512_set1_ps(x);
        // SAFETY: the array has as many elements.
        load(from: &[f32; LANES]) -> Floats = unsafe { _mm512_loadu_ps(from.as_ptr()) };
        // SAFETY: as above.
        store(to: &mut [f32; LANES], x: Floats) -> () = unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) };
        // SAFETY: as above.
        load_words(from: &[u32; LANES]) -> Words = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
        // SAFETY: as above.
        store_words(to: &mut [u32; LANES], x: Words) -> () = unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), x) };
        add(a: Floats, b: Floats) -> Floats = _mm512_add_ps(a, b);
        sub(a: Floats, b: Floats) -> Floats = _mm512_sub_ps(a, b);
        mul(a: Floats, b: Floats) -> Floats = _mm512_mul_ps(a, b);
        fma(a: Floats, b: Floats, c: Floats) -> Floats = _mm512_fmadd_ps(a, b, c);
        no_words() -> Words = _mm512_setzero_si512();
        add_words(a: Words, b: Words) -> Words = _mm512_add_epi32(a, b);
        all() -> Lanes = 0xffff;
        and_not_above(lanes: Lanes, x: Floats, limit: Floats) -> Lanes = _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(lanes, x, limit);
        count(counts: Words, lanes: Lanes) -> Words = _mm512_mask_add_epi32(counts, lanes, counts, _mm512_set1_epi32(1));
        none(lanes: [Lanes; SIDE_BY_SIDE]) -> bool = lanes.into_iter().fold(0, |a, b| a | b) == 0;
    }

    loops! {
        #[target_feature(enable = "avx512f,avx2,fma")]
        rows 16
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{TILE, min};
    use std::arch::x86_64::*;

    operations! {
        "avx2,fma", 8, __m256, __m256i, __m256;
        splat(x: f32) -> Floats = _mm256_set1_ps(x);
        // SAFETY: the array has as many elements.
        load(from: &[f32; LANES]) -> Floats = unsafe { _mm256_loadu_ps(from.as_ptr()) };
        // SAFETY: as above.
        store(to: &mut [f32; LANES], x: Floats) -> () = unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) };
        // SAFETY: as above.
        load_words(from: &[u32; LANES]) -> Words = unsafe { _mm256_loadu_si256(from.as_ptr().cast()) };
        // SAFETY: as above.
        store_words(to: &mut [u32; LANES], x: Words) -> () = unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), x) };
        add(a: Floats, b: Floats) -> Floats = _mm256_add_ps(a, b);
        sub(a: Floats, b: Floats) -> Floats = _mm256_sub_ps(a, b);
        mul(a: Floats, b: Floats) -> Floats = _mm256_mul_ps(a, b);
        fma(a: Floats, b: Floats, c: Floats) -> Floats = _mm256_fmadd_ps(a, b, c);
        no_words() -> Words = _mm256_setzero_si256();
        add_words(a: Words, b: Words) -> Words = _mm256_add_epi32(a, b);
        all() -> Lanes = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
        and_not_above(lanes: Lanes, x: Floats, limit: Floats) -> Lanes = _mm256_and_ps(lanes, _mm256_cmp_ps::<_CMP_LE_OQ>(x, limit));
        // All ones are -1.
        count(counts: Words, lanes: Lanes) -> Words = _mm256_sub_epi32(counts, _mm256_castps_si256(lanes));
        none(lanes: [Lanes; SIDE_BY_SIDE]) -> bool = {
            let any = _mm256_or_ps(_mm256_or_ps(lanes[0], lanes[1]), _mm256_or_ps(lanes[2], lanes[3]));
            _mm256_movemask_ps(any) == 0
        };
    }

    loops! {
        #[target_feature(enable = "avx2,fma")]
        rows 4
    }
}

mod portable {
    use super::{TILE, min};
    use std::array::from_fn;

    pub(super) const LANES: usize = 4;
    type Floats = [f32; LANES];
    type Words = [u32; LANES];
    type Lanes = [bool; LANES];

    fn splat(x: f32) -> Floats {
        [x; LANES]
    }
    fn load(from: &[f32; LANES]) -> Floats {
        *from
    }
    fn store(to: &mut [f32; LANES], x: Floats) {
        *to = x;
    }
    fn load_words(from: &[u32; LANES]) -> Words {
        *from
    }
    fn store_words(to: &mut [u32; LANES], x: Words) {
        *to = x;
    }
    fn add(a: Floats, b: Floats) -> Floats {
        from_fn(|lane| a[lane] + b[lane])
    }
    fn sub(a: Floats, b: Floats) -> Floats {
        from_fn(|lane| a[lane] - b[lane])
    }
    fn mul(a: Floats, b: Floats) -> Floats {
        from_fn(|lane| a[lane] * b[lane])
    }
    fn fma(a: Floats, b: Floats, c: Floats) -> Floats {
        // Not `mul_add`, which is a slow call where the target has no instruction. The benchmarks' products are exact.
        from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    fn no_words() -> Words {
        [0; LANES]
    }
    fn add_words(a: Words, b: Words) -> Words {
        from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }
    fn all() -> Lanes {
        [true; LANES]
    }
    fn and_not_above(lanes: Lanes, x: Floats, limit: Floats) -> Lanes {
        from_fn(|lane| lanes[lane] && x[lane] <= limit[lane])
    }
    fn count(counts: Words, lanes: Lanes) -> Words {
        from_fn(|lane| counts[lane] + u32::from(lanes[lane]))
    }
    fn none(lanes: [Lanes; SIDE_BY_SIDE]) -> bool {
        lanes.as_flattened().iter().all(|lane| !lane)
    }

    loops! { rows 4 }
}
