//! The one loop that converts a slice, over the conversions that an instruction set provides.

/// Steps in an iteration.
const UNROLL: usize = 4;

/// Bytes in a cache line.
const LINE: usize = 64;

/// How far ahead, in bytes, the loop prefetches. A store that finds its line in
/// the nearest cache does not wait for it, and hardware prefetches for loads above all.
const AHEAD: usize = 2048;

/// Targets of up to this many bytes are not prefetched: they tend to be in the nearest cache already.
const NEAR: usize = 32 << 10;

/// The operations of an instruction set: each conversion of [`LANES`](Isa::LANES) elements in registers.
///
/// # Safety
///
/// Every method needs a processor that has the instruction set, `LANES` readable elements at
/// `from` and as many writable ones at `to`. With `STREAM` the stores bypass the caches: `to` is
/// then aligned to the bytes that it takes, and [`fence`](Isa::fence) comes before they are read.
pub(super) trait Isa {
    /// Elements that one step converts, a power of two.
    const LANES: usize;
    /// Whether `STREAM` makes a difference.
    const STREAMS: bool = false;

    unsafe fn half_to_float<const STREAM: bool>(from: *const u16, to: *mut f32);
    unsafe fn float_to_half<const STREAM: bool>(from: *const f32, to: *mut u16);
    unsafe fn bfloat_to_float<const STREAM: bool>(from: *const u16, to: *mut f32);
    unsafe fn float_to_bfloat<const STREAM: bool>(from: *const f32, to: *mut u16);

    /// Orders streamed stores before every later one.
    fn fence() {}

    /// Hints that the line of an address is going to be read. No address is wrong here.
    fn will_read(_address: *const u8) {}

    /// Hints that the line of an address is going to be written. No address is wrong here.
    fn will_write(_address: *const u8) {}
}

/// One of the four conversions, whatever the instruction set.
pub(super) trait Conversion {
    type From: Copy;
    type To: Copy;

    /// Converts one element, by an instruction if the target surely has it.
    fn one(from: Self::From) -> Self::To;

    /// Converts one element in plain Rust.
    fn defined(from: Self::From) -> Self::To;

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
            fn defined(from: $from) -> $to {
                super::element::$step(from)
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

/// Converts `from` into `to`: iterations of [`UNROLL`] steps, then steps, all at aligned addresses of
/// the target. What they leave at both ends is done by a step that overlaps its neighbour and
/// writes the same values once more; what is shorter than a step goes one by one.
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
    if len < I::LANES {
        return each::<C>(to, from);
    }
    let step = |at: usize, to: &mut [C::To]| {
        debug_assert!(at + I::LANES <= len);
        // SAFETY: `LANES` elements follow `at` in both slices, at each call below.
        unsafe { C::step::<I, false>(from.as_ptr().add(at), to.as_mut_ptr().add(at)) }
    };
    // Fewer than `LANES` elements: alignment is to that many.
    let mut done = to.as_ptr().align_offset(I::LANES * size_of::<C::To>());
    if done > 0 {
        step(0, to);
    }
    // SAFETY: the slices have one length, and `done` elements on, the target is aligned.
    done = unsafe {
        if I::STREAMS && stream {
            iterations::<C, I, true>(to, from, done)
        } else {
            iterations::<C, I, false>(to, from, done)
        }
    };
    while len - done >= I::LANES {
        step(done, to);
        done += I::LANES;
    }
    if done < len {
        step(len - I::LANES, to);
    }
}

/// Runs as many whole iterations as fit after the first `done` elements; returns the new `done`.
///
/// # Safety
///
/// As [`convert`]; with `STREAM`, `to` is aligned to a step's bytes after `done` elements.
#[inline(always)]
unsafe fn iterations<C: Conversion, I: Isa, const STREAM: bool>(
    to: &mut [C::To],
    from: &[C::From],
    mut done: usize,
) -> usize {
    let elements = UNROLL * I::LANES;
    // Never past the end: those lines may be another thread's.
    let ahead = if STREAM {
        AHEAD / size_of::<C::From>()
    } else if size_of_val(to) > NEAR {
        AHEAD / size_of::<C::To>()
    } else {
        to.len()
    };
    while to.len() - done >= elements {
        if to.len() - done >= ahead + elements {
            // Streamed stores wait for nothing; what they are made of still has to come.
            if STREAM {
                lines(from, done + ahead, elements).for_each(I::will_read);
            } else {
                lines(to, done + ahead, elements).for_each(I::will_write);
            }
        }
        for step in 0..UNROLL {
            let at = done + step * I::LANES;
            // SAFETY: `at + LANES` is at most `done + elements`, which both slices have.
            unsafe { C::step::<I, STREAM>(from.as_ptr().add(at), to.as_mut_ptr().add(at)) };
        }
        done += elements;
    }
    if STREAM {
        I::fence();
    }
    done
}

/// Addresses in the cache lines of a part of a slice.
#[inline(always)]
fn lines<T>(slice: &[T], at: usize, len: usize) -> impl Iterator<Item = *const u8> {
    let start = slice.as_ptr().wrapping_add(at).cast::<u8>();
    (0..len * size_of::<T>()).step_by(LINE).map(move |byte| start.wrapping_add(byte))
}

#[inline(always)]
fn each<C: Conversion>(to: &mut [C::To], from: &[C::From]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = C::one(from);
    }
}
