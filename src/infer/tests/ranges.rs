//! Sets of ranges, compared with lists of bytes.

use crate::Gpu;
use crate::infer::{BufferRange, DType, MemRanges, Role, Tensor};
use crate::memory::Block;
use crate::test_random::Random;

#[test]
fn conflicts_are_those_of_the_bytes() {
    let memory = Tensor::new(&Gpu::open().unwrap(), DType::U8, &[64]).unwrap();
    let mut random = Random::new(3);
    for _ in 0..300 {
        let mut ranges = MemRanges::new();
        let mut used: Vec<(usize, Role)> = Vec::new();
        for _ in 0..20 {
            let start = random.below(64);
            let end = start + random.below(65 - start);
            let role = random.pick(&[Role::Read, Role::Write]);
            let range = BufferRange::of(&memory.narrow(0, start..end).unwrap(), role);
            let expected = used.iter().any(|&(byte, other)| {
                (start..end).contains(&byte) && (role == Role::Write || other == Role::Write)
            });
            assert_eq!(ranges.check(&[range]), expected, "{start}..{end} {role:?} after {used:?}");
            if random.chance(80) {
                ranges.add(&[range]);
                used.extend((start..end).map(|byte| (byte, role)));
            } else if ranges.check_and_add(&[range]) {
                used = (start..end).map(|byte| (byte, role)).collect();
            } else {
                used.extend((start..end).map(|byte| (byte, role)));
            }
        }
    }
}

/// Two buffers over the same pages are the same memory; private buffers are not mistaken for shared ones.
#[test]
fn memory_is_identified_by_its_address() {
    let gpu = Gpu::open().unwrap();
    let block = Block::open(4096).unwrap();
    let wrap = || crate::infer::Memory::wrap(&gpu, &block).unwrap();
    let (one, other) = (wrap(), wrap());
    let write = |tensor: &Tensor| BufferRange::of(tensor, Role::Write);
    let (a, b) =
        (one.tensor(0, DType::F32, &[4]).unwrap(), other.tensor(8, DType::F32, &[4]).unwrap());
    assert!(write(&a).conflicts(&write(&b)));
    let hidden = |_| Tensor::private(&gpu, DType::F32, &[4]).unwrap();
    let [c, d] = [0, 1].map(hidden);
    assert!(write(&c).conflicts(&write(&c)));
    assert!(!write(&c).conflicts(&write(&d)) && !write(&c).conflicts(&write(&a)));
}
