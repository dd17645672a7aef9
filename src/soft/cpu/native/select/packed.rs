//! Vectors of narrow components that were loaded, where there are 16 vectors: they stay in the words that they were loaded in, and
//! each is cut out where it is used. A register for each component would be four times as many. With the 32 vectors of AVX-512, code
//! that cuts all of them out at once was faster (a fifth of the time of a product of Q8_0 rows).

use super::{Forms, Selection};
use crate::soft::cpu::native::lir::{Operand, Reg};
use crate::soft::ir::{Scalar, Value};

/// A loaded vector in its words.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// The vectors of each word.
    words: Vec<Vec<Reg>>,
    /// The type of components, and the one that they are read as.
    scalar: Scalar,
    pub(super) read: Scalar,
    /// Whether signalling NaNs stay what they are.
    exact: bool,
}

impl Packed {
    /// The components, as parts of words.
    pub(super) fn data(&self) -> Vec<Operand> {
        let bytes = self.read.bytes();
        let part = |words: &Vec<Reg>, byte| Operand::Part { words: words.clone(), byte, bytes };
        let all = self
            .words
            .iter()
            .flat_map(|words| (0..4 / bytes).map(move |number| part(words, number * bytes)));
        all.collect()
    }
}

impl Selection<'_> {
    /// Registers for a vector of this many components; `None` if they do not fill words, or there are enough registers.
    pub(super) fn packed(&mut self, scalar: Scalar, width: u32, exact: bool) -> Option<Packed> {
        let bytes = width * scalar.bytes();
        let enough = self.strip.lanes == 16;
        if enough || scalar == Scalar::Bool || scalar.bytes() > 2 || !bytes.is_multiple_of(4) {
            return None;
        }
        let read = if scalar.is_float() { Scalar::U16 } else { scalar };
        let parts = self.parts();
        let words = (0..bytes / 4).map(|_| (0..parts).map(|_| self.lane()).collect()).collect();
        Some(Packed { words, scalar, read, exact })
    }

    /// A component of a vector that was loaded.
    pub(super) fn component(&mut self, vector: Value, number: usize) -> Option<Forms> {
        let Some(packed) = self.packed.get(&vector).cloned() else {
            return self.vectors.get(&vector).map(|all| all[number].clone());
        };
        let bytes = packed.read.bytes();
        let in_word = 4 / bytes as usize;
        let byte = (number % in_word) as u32 * bytes;
        let lanes = packed.words[number / in_word].iter().map(|&word| {
            let d = self.lane();
            self.part_of_word(word, byte, packed.read, d);
            d
        });
        let forms = Forms { int: None, lanes: lanes.collect() };
        Some(match packed.read == packed.scalar {
            true => forms,
            false => self.floats_of_bits(forms, packed.scalar, packed.exact),
        })
    }

    /// All components of a vector that was loaded.
    pub(super) fn loaded(&mut self, vector: Value) -> Option<Vec<Forms>> {
        if self.packed.contains_key(&vector) {
            let width = self.ty(vector).width() as usize;
            return (0..width).map(|number| self.component(vector, number)).collect();
        }
        self.vectors.get(&vector).cloned()
    }

    /// Forgets a vector whose registers are those of code that was left.
    pub(super) fn forget_vector(&mut self, vector: Value) {
        self.vectors.remove(&vector);
        self.packed.remove(&vector);
    }
}
