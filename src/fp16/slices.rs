//! The one loop that converts a slice, over the pieces that an instruction set brings.

/// Elements of the source and bytes of the target are walked in iterations of this many steps.
const UNROLL: usize = 4;

/// Streamed iterations start at a whole cache line, so that each line leaves in one piece.
const LINE: usize = 64;

/// What an instruction set brings: each conversion of [`LANES`](Isa::LANES) elements in registers.
///
/// # Safety
///
/// Every method needs a processor that has the instruction set, `LANES` readable elements at
/// `from` and as many writable ones at `to`. With `STREAM` the stores pass by the caches: `to` is
/// then aligned to the bytes that it takes, and [`fence`](Isa::fence) comes before anyone reads them.
pub(super) trait Isa {
    /// Elements that one step converts.
    const LANES: usize;
    /// Whether `STREAM` makes a difference.
    const STREAMS: bool = false;

    unsafe fn half_to_float<const STREAM: bool>(from: *const u16, to: *mut f32);
    unsafe fn float_to_half<const STREAM: bool>(from: *const f32, to: *mut u16);
    unsafe fn bfloat_to_float<const STREAM: bool>(from: *const u16, to: *mut f32);
    unsafe fn float_to_bfloat<const STREAM: bool>(from: *const f32, to: *mut u16);

    /// Orders streamed stores before every later one.
    fn fence() {}
}

/// One of the four conversions, whatever the instruction set.
pub(super) trait Conversion {
    type From: Copy;
    type To: Copy;

    /// Converts one element.
    fn one(from: Self::From) -> Self::To;

    /// Picks the conversion's step.
    ///
    /// # Safety
    ///
    /// As [`Isa`] says.
    unsafe fn step<I: Isa, const STREAM: bool>(from: *const Self::From, to: *mut Self::To);
}

macro_rules! conversions {
    ($($name:ident: $from:ty => $to:ty, $step:ident;)*) => {$(
        pub(super) enum $name {}

        impl Conversion for $name {
            type From = $from;
            type To = $to;

            #[inline(always)]
            fn one(from: $from) -> $to {
                super::one::$step(from)
            }

            #[inline(always)]
            unsafe fn step<I: Isa, const STREAM: bool>(from: *const $from, to: *mut $to) {
                // SAFETY: the caller's promise is the same.
                unsafe { I::$step::<STREAM>(from, to) }
            }
        }
    )*};
}

conversions! {
    HalfToFloat: u16 => f32, half_to_float;
    FloatToHalf: f32 => u16, float_to_half;
    BfloatToFloat: u16 => f32, bfloat_to_float;
    FloatToBfloat: f32 => u16, float_to_bfloat;
}

/// Converts `from` into `to`: iterations of [`UNROLL`] steps, then steps, then what is left.
///
/// # Safety
///
/// The slices have one length, and the processor has the instruction set of `I`.
#[inline(always)]
pub(super) unsafe fn convert<C: Conversion, I: Isa>(
    to: &mut [C::To],
    from: &[C::From],
    stream: bool,
) {
    debug_assert_eq!(to.len(), from.len());
    let len = to.len();
    let mut done = 0;
    if I::STREAMS && stream {
        done = to.as_ptr().align_offset(LINE).min(len);
        each::<C>(&mut to[..done], &from[..done]);
        // SAFETY: `done` elements on, `to` is at a line's start, and an iteration is whole lines.
        done = unsafe { iterations::<C, I, true>(to, from, done) };
        I::fence();
    }
    // SAFETY: the slices have one length; so has what is left of them.
    done = unsafe { iterations::<C, I, false>(to, from, done) };
    while len - done >= I::LANES {
        // SAFETY: `LANES` elements are left in both slices.
        unsafe { C::step::<I, false>(from.as_ptr().add(done), to.as_mut_ptr().add(done)) };
        done += I::LANES;
    }
    if done < len && len >= I::LANES {
        // The last step overlaps the one before it and writes the same values once more.
        let last = len - I::LANES;
        // SAFETY: `LANES` elements follow `last` in both slices.
        unsafe { C::step::<I, false>(from.as_ptr().add(last), to.as_mut_ptr().add(last)) };
    } else {
        each::<C>(&mut to[done..], &from[done..]);
    }
}

/// Runs as many whole iterations as fit after the first `done` elements; answers the new `done`.
///
/// # Safety
///
/// As [`convert`]; with `STREAM`, `to` is aligned to a line after `done` elements.
#[inline(always)]
unsafe fn iterations<C: Conversion, I: Isa, const STREAM: bool>(
    to: &mut [C::To],
    from: &[C::From],
    mut done: usize,
) -> usize {
    while to.len() - done >= UNROLL * I::LANES {
        for step in 0..UNROLL {
            let at = done + step * I::LANES;
            // SAFETY: `at + LANES` is at most `done + UNROLL * LANES`, which both slices have.
            unsafe { C::step::<I, STREAM>(from.as_ptr().add(at), to.as_mut_ptr().add(at)) };
        }
        done += UNROLL * I::LANES;
    }
    done
}

#[inline(always)]
fn each<C: Conversion>(to: &mut [C::To], from: &[C::From]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = C::one(from);
    }
}
