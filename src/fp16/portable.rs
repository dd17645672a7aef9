//! The path of every processor: a plain loop over `element`, which the compiler makes vectors of.

use super::path::{Path, define_path};
use super::slices::Conversion;

pub(super) static PATH: Path = define_path!("portable", || true);

fn cast<C: Conversion>(to: &mut [C::To], from: &[C::From], _stream: bool) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = C::defined(from);
    }
}
