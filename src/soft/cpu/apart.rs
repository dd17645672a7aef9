//! Threadgroup memory that is as weak as the language allows, for launches in random order: each SIMD-group has a copy, and only
//! barriers whose flags name the memory let others see what it wrote (`specs/soft-metal.md`).

use super::interp::memory::Region;
use crate::soft::ir::{Function, Rule, Space};
use crate::soft::kernel::order::Random;

/// Bytes that are compared together.
const WORD: usize = size_of::<u128>();

/// The copies of a worker.
pub(crate) struct Apart {
    /// The memory as the last barrier left it.
    common: Vec<u128>,
    /// For each SIMD-group its copy, and the launch's regions with the copy in the place of threadgroup memory.
    copies: Vec<(Vec<u128>, Vec<Region>)>,
}

/// Whether the kernel has atomics in threadgroup memory, which SIMD-groups see without a barrier.
pub(crate) fn has_atomics(function: &Function) -> bool {
    use Rule::{Atomic, AtomicCompare, AtomicLoad, AtomicStore};
    function.insts.iter().any(|inst| {
        matches!(inst.op.row().rule, Atomic | AtomicCompare | AtomicLoad | AtomicStore)
            && function.ty(inst.args[0]).space() == Some(Space::Threadgroup)
    })
}

impl Apart {
    /// Copies for a number of SIMD-groups. `own` has the numbers of the regions in threadgroup memory with their offsets in
    /// its `bytes` bytes, which include those past the end that may be read.
    pub(crate) fn new(
        waves: usize,
        bytes: usize,
        regions: &[Region],
        own: impl Iterator<Item = (usize, u64)> + Clone,
    ) -> Self {
        let common = vec![0; bytes.div_ceil(WORD)];
        let copy = |_| {
            let (mut copy, mut regions) = (common.clone(), regions.to_vec());
            let base = copy.as_mut_ptr().cast::<u8>();
            for (number, offset) in own.clone() {
                regions[number].base = base.wrapping_add(offset as usize);
            }
            (copy, regions)
        };
        Self { copies: (0..waves).map(copy).collect(), common }
    }

    /// The memory that a SIMD-group accesses.
    pub(crate) fn regions(&self, wave: usize) -> *const Region {
        self.copies[wave].1.as_ptr()
    }

    /// A threadgroup begins: all copies are the same.
    pub(crate) fn begin(&mut self) {
        self.copies.iter_mut().for_each(|(copy, _)| copy.copy_from_slice(&self.common));
    }

    /// Called when all SIMD-groups have passed a barrier of the memory. If several wrote a byte, a random one of their values remains.
    pub(crate) fn merge(&mut self, random: &mut Random) {
        let mut order: Vec<&[u128]> = self.copies.iter().map(|(copy, _)| &copy[..]).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        for (at, word) in self.common.iter_mut().enumerate() {
            let before = word.to_ne_bytes();
            let mut after = before;
            for own in order.iter().map(|copy| copy[at]).filter(|own| own != word) {
                let written = own.to_ne_bytes().into_iter().zip(before).zip(&mut after);
                written
                    .filter(|((own, before), _)| own != before)
                    .for_each(|((own, _), byte)| *byte = own);
            }
            *word = u128::from_ne_bytes(after);
        }
        self.begin();
    }
}
