//! Handlers of texture operations: lane after lane, as pixels are found one by one.
//!
//! The first word has the registers of the result's components; the words after it those of the operands'
//! components, in order. The immediate says which operands are in slots, and what the operation's own is.

use std::marker::PhantomData;

use super::code::{Handler, Ins, Run, Wave, get, put};
use super::isa::{Isa, IsaKind, LANES};
use super::sample::{Place, compare, compares, gather, sample};
use crate::soft::ir::{Op, Sampler, TextureSide};
use crate::soft::kernel::texture::{Pixel, Texture};

/// The most components that operands have.
const MOST: usize = 11;

/// The bit of the immediate that says that the result is in slots; below it is one for each operand.
pub(crate) const RESULT_IN_SLOT: u64 = 1 << 16;
/// Where the operation's own immediate begins.
pub(crate) const OWN: u32 = 32;

/// A texture operation.
trait Fetch {
    /// How many components its operands have.
    const OPERANDS: usize;
    /// How many of them, from the first, have 64 bits.
    const WIDE: usize;
    /// How many components its result has.
    const RESULTS: usize;
    /// One lane of it. The first operand, the texture, is given as such.
    fn lane(texture: &Texture<'_>, operands: &[u64; MOST], own: u64) -> Pixel;
}

macro_rules! fetches {
    ($($(#[$doc:meta])* $name:ident ($operands:literal, $wide:literal, $results:literal)
        |$texture:ident, $o:ident, $own:ident| $body:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        struct $name;
        impl Fetch for $name {
            const OPERANDS: usize = $operands;
            const WIDE: usize = $wide;
            const RESULTS: usize = $results;
            fn lane($texture: &Texture<'_>, $o: &[u64; MOST], $own: u64) -> Pixel { $body }
        }
    )*};
}

fetches! {
    Read(6, 1, 4) |texture, o, _own| texture.read(words(o, 1), o[5] as u32);
    Write(10, 1, 0) |texture, o, _own| {
        texture.write(words(o, 1), o[5] as u32, words(o, 6));
        [0; 4]
    };
    Sample(10, 2, 4) |texture, o, _own| {
        sample(texture, Sampler(o[1]), place(o), f32::from_bits(o[9] as u32))
    };
    Compared(11, 2, 1) |texture, o, _own| {
        let [lod, value] = [o[9], o[10]].map(|bits| f32::from_bits(bits as u32));
        [compare(texture, Sampler(o[1]), place(o), lod, value).to_bits(), 0, 0, 0]
    };
    Gather(9, 2, 4) |texture, o, own| {
        gather(texture, Sampler(o[1]), place(o)).map(|pixel| pixel[own as usize % 4])
    };
    GatherCompared(10, 2, 4) |texture, o, _own| {
        let sampler = Sampler(o[1]);
        let value = f32::from_bits(o[9] as u32);
        let passes = |pixel: Pixel| {
            compares(sampler.compare(), value, f32::from_bits(pixel[0])).to_bits()
        };
        gather(texture, sampler, place(o)).map(passes)
    };
    Size(2, 1, 1) |texture, o, own| {
        let level = texture.levels.get(o[1] as usize).map_or([0; 3], |level| level.size);
        let number = match own {
            side if side == TextureSide::Elements as u64 => texture.slices / texture.faces(),
            side if side == TextureSide::Levels as u64 => texture.levels.len() as u32,
            side => level[side as usize % 3],
        };
        [number, 0, 0, 0]
    };
}

/// Four words among the operands.
fn words(operands: &[u64; MOST], first: usize) -> [u32; 4] {
    std::array::from_fn(|k| operands[first + k] as u32)
}

/// The place that follows texture and sampler.
fn place(operands: &[u64; MOST]) -> Place {
    Place {
        at: words(operands, 2).map(f32::from_bits),
        offset: std::array::from_fn(|k| operands[6 + k] as i32),
    }
}

/// The handler of an operation.
#[derive(Debug)]
struct Lanes<F>(PhantomData<F>);

impl<F: Fetch> Handler for Lanes<F> {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`: the words of operands follow, and the tables are the launch's.
        unsafe {
            let ins = &*ip;
            let slots = ins.imm & RESULT_IN_SLOT != 0;
            let register = |k: usize| {
                let word = &*ip.add(1 + k / 4);
                [word.a, word.b, word.c, word.d][k % 4]
            };
            let registers: [u32; MOST] =
                std::array::from_fn(|k| if k < F::OPERANDS { register(k) } else { 0 });
            let textures = std::slice::from_raw_parts(wave.textures, wave.texture_count as usize);
            let mut found = [[0u32; LANES]; 4];
            let mut left = if slots { 1 << wave.first() } else { wave.exec };
            while left != 0 {
                let lane = left.trailing_zeros() as usize;
                left &= left - 1;
                let mut operands = [0u64; MOST];
                for (k, operand) in operands.iter_mut().enumerate().take(F::OPERANDS) {
                    let lane = if ins.imm & 1 << k != 0 { 0 } else { lane };
                    let bytes = if k < F::WIDE { 8 } else { 4 };
                    let at = registers[k] + (lane * bytes) as u32;
                    *operand =
                        if k < F::WIDE { get(frame, at) } else { get::<u32>(frame, at).into() };
                }
                let texture = (operands[0] as usize).wrapping_sub(1);
                let texture = textures.get(texture).unwrap_or(&Texture::NONE);
                for (found, word) in
                    found.iter_mut().zip(F::lane(texture, &operands, ins.imm >> OWN))
                {
                    found[lane] = word;
                }
            }
            for (found, at) in found.iter().zip([ins.a, ins.b, ins.c, ins.d]).take(F::RESULTS) {
                if slots {
                    put(frame, at, u64::from(found[wave.first() as usize]));
                } else {
                    *frame.add(at as usize).cast() = *found;
                }
            }
            ip.add(1 + F::OPERANDS.div_ceil(4))
        }
    }
}

/// A sampler of the launch: `imm` is its number.
#[derive(Debug)]
pub(crate) struct BoundSampler;

impl Handler for BoundSampler {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the table has an entry for every sampler of the module.
        unsafe {
            put(frame, (*ip).a, (*wave.samplers.add((*ip).imm as usize)).0);
            ip.add(1)
        }
    }
}

/// The handler of a texture operation; there is nothing in it to vectorise.
pub(crate) fn handler(op: Op) -> Run {
    const ISA: IsaKind = IsaKind::Baseline;
    match op {
        Op::TextureRead => ISA.run::<Lanes<Read>>(),
        Op::TextureWrite => ISA.run::<Lanes<Write>>(),
        Op::TextureSample => ISA.run::<Lanes<Sample>>(),
        Op::TextureCompare => ISA.run::<Lanes<Compared>>(),
        Op::TextureGather => ISA.run::<Lanes<Gather>>(),
        Op::TextureGatherCompare => ISA.run::<Lanes<GatherCompared>>(),
        Op::TextureSize => ISA.run::<Lanes<Size>>(),
        _ => unreachable!("{} is no texture operation", op.row().name),
    }
}
