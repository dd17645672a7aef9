//! Handlers of texture operations, which process one lane after the other.
//!
//! The first word has the registers of the result's components; the words after it those of the operands'
//! components, in order. The immediate says which operands are in slots, and holds the operation's own immediate.

use std::marker::PhantomData;

use super::code::{Handler, Ins, LANES, Run, Wave, Wrong, function, get, put};
use super::sample::{Position, View, compares};
use crate::soft::ir::{Op, Sampler, TextureAtomic, TextureSide};
use crate::soft::kernel::texture::{Pixel, Texture};

/// The largest number of components of all operands together.
const MAX: usize = 11;

/// The bit of the immediate that is set if the result is in slots; the bits below it are for the operands.
pub(crate) const RESULT_IN_SLOT: u64 = 1 << 16;
/// The first bit of the operation's own immediate.
pub(crate) const OWN: u32 = 32;

/// A texture operation.
trait Fetch {
    /// The number of components of its operands.
    const OPERANDS: usize;
    /// The number of operands with 64 bits, which come first.
    const WIDE: usize;
    /// The number of components of its result.
    const RESULTS: usize;
    /// Whether it is computed for all lanes, so that it cannot fault.
    const PURE: bool = Self::OPERANDS == 2;
    /// Executes it for one lane. The first operand, the texture, is already looked up, and a sampler too.
    fn lane(view: &View<'_>, operands: &[u64; MAX], own: u64) -> Pixel;
}

macro_rules! fetches {
    ($($(#[$doc:meta])* $name:ident ($operands:literal, $wide:literal, $results:literal)
        |$view:ident, $o:ident, $own:ident| $body:expr;)*) => {$(
        $(#[$doc])*
        struct $name;
        impl Fetch for $name {
            const OPERANDS: usize = $operands;
            const WIDE: usize = $wide;
            const RESULTS: usize = $results;
            fn lane($view: &View<'_>, $o: &[u64; MAX], $own: u64) -> Pixel { $body }
        }
    )*};
}

fetches! {
    Read(6, 1, 4) |view, o, _own| view.texture.read(words(o, 1), o[5] as u32);
    Write(10, 1, 0) |view, o, _own| {
        view.texture.write(words(o, 1), o[5] as u32, words(o, 6));
        [0; 4]
    };
    Change(7, 1, 1) |view, o, own| {
        let function = TextureAtomic::ALL[own as usize % TextureAtomic::ALL.len()];
        [view.texture.change(words(o, 1), function, o[5] as u32, o[6] as u32), 0, 0, 0]
    };
    Sample(10, 2, 4) |view, o, _own| view.sample(&position(o), f32::from_bits(o[9] as u32));
    Compared(11, 2, 1) |view, o, _own| {
        let [lod, value] = [o[9], o[10]].map(|bits| f32::from_bits(bits as u32));
        [view.compare(&position(o), lod, value).to_bits(), 0, 0, 0]
    };
    Gather(9, 2, 4) |view, o, own| view.gather(&position(o)).map(|pixel| pixel[own as usize % 4]);
    GatherCompared(10, 2, 4) |view, o, _own| {
        let (compare, value) = (Sampler(o[1]).compare(), f32::from_bits(o[9] as u32));
        let passes = |pixel: Pixel| compares(compare, value, f32::from_bits(pixel[0])).to_bits();
        view.gather(&position(o)).map(passes)
    };
    Size(2, 1, 1) |view, o, own| {
        let texture = view.texture;
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
fn words(o: &[u64; MAX], first: usize) -> [u32; 4] {
    [o[first] as u32, o[first + 1] as u32, o[first + 2] as u32, o[first + 3] as u32]
}

/// The sample position: the operands after texture and sampler.
fn position(operands: &[u64; MAX]) -> Position {
    Position {
        at: words(operands, 2).map(f32::from_bits),
        offset: [operands[6] as i32, operands[7] as i32, operands[8] as i32],
    }
}

/// The handler of an operation.
struct Lanes<F>(PhantomData<F>);

impl<F: Fetch> Handler for Lanes<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`: the words of operands follow, and the tables are the launch's.
        unsafe {
            let ins = &*ip;
            let slots = ins.imm & RESULT_IN_SLOT != 0;
            let register = |k: usize| {
                let word = &*ip.add(1 + k / 4);
                [word.a, word.b, word.c, word.d][k % 4]
            };
            let registers: [u32; MAX] =
                std::array::from_fn(|k| if k < F::OPERANDS { register(k) } else { 0 });
            let textures = std::slice::from_raw_parts(wave.textures, wave.texture_count as usize);
            let mut found = [[0u32; LANES]; 4];
            // Lanes mostly use the same texture and sampler.
            let (mut last, mut view) = (None, View::new(&Texture::NONE, Sampler::default()));
            let mut left = if slots { 1 << wave.first() } else { wave.exec };
            while left != 0 {
                let lane = left.trailing_zeros() as usize;
                left &= left - 1;
                let mut operands = [0u64; MAX];
                for (k, operand) in operands.iter_mut().enumerate().take(F::OPERANDS) {
                    let lane = if ins.imm & 1 << k != 0 { 0 } else { lane };
                    let bytes = if k < F::WIDE { 8 } else { 4 };
                    let at = registers[k] + (lane * bytes) as u32;
                    *operand =
                        if k < F::WIDE { get(frame, at) } else { get::<u32>(frame, at).into() };
                }
                let used = [operands[0], if F::WIDE == 2 { operands[1] } else { 0 }];
                if last != Some(used) {
                    let number = used[0];
                    let texture = match textures.get((number as usize).wrapping_sub(1)) {
                        Some(texture) => texture,
                        None if number == 0 => &Texture::NONE,
                        None if F::PURE => &Texture::MISSING,
                        None => return wave.fault(ip, lane as u32, Wrong::Texture { number }),
                    };
                    if F::OPERANDS == Change::OPERANDS && !texture.has_words() {
                        return wave.fault(ip, lane as u32, Wrong::Format);
                    }
                    if F::WIDE == 2 && !Sampler(used[1]).is_one() {
                        let wrong = Wrong::Sampler { bits: used[1] };
                        return wave.fault(ip, lane as u32, wrong);
                    }
                    (last, view) = (Some(used), View::new(texture, Sampler(used[1])));
                }
                for (found, word) in found.iter_mut().zip(F::lane(&view, &operands, ins.imm >> OWN))
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
pub(crate) struct BoundSampler;

impl Handler for BoundSampler {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the table has an entry for every sampler of the module.
        unsafe {
            put(frame, (*ip).a, (*wave.samplers.add((*ip).imm as usize)).0);
            ip.add(1)
        }
    }
}

/// The handler of a texture operation, which is the same for all instruction sets.
pub(crate) fn handler(op: Op) -> Run {
    match op {
        Op::TextureRead => function::<Lanes<Read>>(),
        Op::TextureWrite => function::<Lanes<Write>>(),
        Op::TextureAtomic => function::<Lanes<Change>>(),
        Op::TextureSample => function::<Lanes<Sample>>(),
        Op::TextureCompare => function::<Lanes<Compared>>(),
        Op::TextureGather => function::<Lanes<Gather>>(),
        Op::TextureGatherCompare => function::<Lanes<GatherCompared>>(),
        Op::TextureSize => function::<Lanes<Size>>(),
        _ => unreachable!("{} is not a texture operation", op.row().name),
    }
}
