//! The path of every processor: the element functions, in steps that the compiler may vectorise.

use super::element;
use super::path::{Path, define_path};
use super::slices::{Conversion, Isa, convert};

pub(super) static PATH: Path = define_path!("portable", || true);

unsafe fn cast<C: Conversion>(to: &mut [C::To], from: &[C::From], stream: bool) {
    // SAFETY: the caller promises equal lengths, and plain Rust runs everywhere.
    unsafe { convert::<C, Portable>(to, from, stream) }
}

enum Portable {}

macro_rules! steps {
    ($($step:ident: $from:ty => $to:ty;)*) => {$(
        #[inline(always)]
        unsafe fn $step<const STREAM: bool>(from: *const $from, to: *mut $to) {
            for lane in 0..Self::LANES {
                // SAFETY: the caller promises `LANES` elements at both pointers.
                unsafe { to.add(lane).write(element::$step(from.add(lane).read())) };
            }
        }
    )*};
}

impl Isa for Portable {
    const LANES: usize = 8;

    steps! {
        half_to_float: u16 => f32;
        float_to_half: f32 => u16;
        bfloat_to_float: u16 => f32;
        float_to_bfloat: f32 => u16;
    }
}
