//! Whether two tensors have bytes in common. Ranges from the first to the last value are not enough: the columns of a matrix
//! lie between each other, and share nothing.

use super::ranges::{BufferRange, Role};
use super::tensor::Tensor;

/// The number of pairs of parts that are compared at most. Tensors that need more count as overlapping.
const MAX_STEPS: u32 = 10_000;

/// Bytes at equal distances: a run of bytes that follow each other, repeated along axes.
struct Runs {
    start: i64,
    run: i64,
    /// Lengths and strides in bytes, the largest stride first.
    axes: Vec<(i64, i64)>,
}

impl Runs {
    fn of(tensor: &Tensor) -> Self {
        let size = tensor.dtype().block_bytes() as i64;
        let start = (tensor.memory().address() + tensor.offset() as u64) as i64;
        let last = tensor.rank().wrapping_sub(1);
        let axes = tensor.shape().iter().zip(tensor.strides()).enumerate();
        // Strides along other axes than the last are whole blocks.
        let block = tensor.dtype().block().max(1);
        let bytes = axes.map(|(axis, (&length, &stride))| match axis == last {
            true if block > 1 => ((length / block) as i64, size),
            _ => (length as i64, (stride / block) as i64 * size),
        });
        let mut axes: Vec<(i64, i64)> = bytes.filter(|&(n, step)| n > 1 && step > 0).collect();
        axes.sort_unstable_by_key(|&(_, step)| step);
        let (mut run, mut rest): (i64, Vec<(i64, i64)>) = (size, Vec::new());
        for (length, step) in axes {
            match rest.last_mut() {
                None if step == run => run *= length,
                Some((inner, inner_step)) if step == *inner * *inner_step => *inner *= length,
                _ => rest.push((length, step)),
            }
        }
        rest.reverse();
        Self { start, run, axes: rest }
    }

    fn all(&self) -> Part<'_> {
        Part { start: self.start, run: self.run, axes: &self.axes }
    }
}

/// The same, without the axes that were fixed.
#[derive(Clone, Copy)]
struct Part<'a> {
    start: i64,
    run: i64,
    axes: &'a [(i64, i64)],
}

impl Part<'_> {
    fn end(&self) -> i64 {
        self.start
            + self.run
            + self.axes.iter().map(|(length, step)| (length - 1) * step).sum::<i64>()
    }

    fn moved(&self, by: i64) -> Self {
        Self { start: self.start + by, ..*self }
    }

    /// The multiples of a step by which this one must be moved so that its range meets that of another, within bounds.
    fn meeting(
        &self,
        other: &Self,
        step: i64,
        least: i64,
        most: i64,
    ) -> std::ops::RangeInclusive<i64> {
        let first = (other.start - self.end()).div_euclid(step) + 1;
        let last = (other.end() - self.start - 1).div_euclid(step);
        first.max(least)..=last.min(most)
    }
}

/// Whether two parts have a byte in common.
fn meet(one: Part<'_>, other: Part<'_>, steps: &mut u32) -> bool {
    if one.end() <= other.start || other.end() <= one.start {
        return false;
    }
    *steps += 1;
    if *steps > MAX_STEPS {
        return true;
    }
    match (one.axes, other.axes) {
        ([], []) => true,
        // Only the difference of the two positions along the axis matters.
        (
            &[(length, step), ref inner @ ..],
            &[(other_length, other_step), ref other_inner @ ..],
        ) if step == other_step => {
            let (one, other) = (Part { axes: inner, ..one }, Part { axes: other_inner, ..other });
            let mut moves = one.meeting(&other, step, 1 - other_length, length - 1);
            moves.any(|by| meet(one.moved(by * step), other, steps))
        }
        (&[(length, step), ref inner @ ..], rest)
            if rest.first().is_none_or(|&(_, other_step)| other_step < step) =>
        {
            let one = Part { axes: inner, ..one };
            let mut moves = one.meeting(&other, step, 0, length - 1);
            moves.any(|by| meet(one.moved(by * step), other, steps))
        }
        _ => meet(other, one, steps),
    }
}

/// Whether two tensors have bytes in common.
pub(super) fn overlap(one: &Tensor, other: &Tensor) -> bool {
    let range = |tensor| BufferRange::of(tensor, Role::Read);
    range(one).overlaps(&range(other)) && meet(Runs::of(one).all(), Runs::of(other).all(), &mut 0)
}

/// Whether a part has all bytes of another one.
fn cover(outer: Part<'_>, inner: Part<'_>, steps: &mut u32) -> bool {
    if inner.start < outer.start || outer.end() < inner.end() {
        return false;
    }
    *steps += 1;
    if *steps > MAX_STEPS {
        return false;
    }
    let &[(length, step), ref rest @ ..] = outer.axes else { return true };
    let part = Part { axes: rest, ..outer };
    // The moves with which the range of one part has the range of another.
    let around = |other: Part<'_>, most: i64| {
        let first = -(part.end() - other.end()).div_euclid(step);
        first.max(0)..=(other.start - part.start).div_euclid(step).min(most)
    };
    if around(inner, length - 1).any(|by| cover(part.moved(by * step), inner, steps)) {
        return true;
    }
    let &[(times, distance), ref rest @ ..] = inner.axes else { return false };
    let one = Part { axes: rest, ..inner };
    // Equal distances: if the first is in a part, so are the others in the following ones.
    if distance == step
        && around(one, length - times).any(|by| cover(part.moved(by * step), one, steps))
    {
        return true;
    }
    (0..times).all(|by| cover(outer, one.moved(by * distance), steps))
}

/// Whether a tensor has all bytes of another one. False if that takes too many steps.
pub(super) fn covers(outer: &Tensor, inner: &Tensor) -> bool {
    cover(Runs::of(outer).all(), Runs::of(inner).all(), &mut 0)
}

/// Whether two tensors have the same values at the same positions, in order.
pub(super) fn same_values(one: &Tensor, other: &Tensor) -> bool {
    let start = |tensor: &Tensor| tensor.memory().address() + tensor.offset() as u64;
    let axes = |tensor: &Tensor| -> Vec<(usize, usize)> {
        let all = tensor.shape().iter().copied().zip(tensor.strides().iter().copied());
        all.filter(|(length, _)| *length != 1).collect()
    };
    let contiguous = one.is_contiguous() && other.is_contiguous();
    one.dtype() == other.dtype()
        && start(one) == start(other)
        && one.count() == other.count()
        && (contiguous || axes(one) == axes(other))
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests {
    use super::{covers, overlap, same_values};
    use crate::Gpu;
    use crate::infer::{DType, Memory, Quant, Tensor};
    use crate::test_random::Random;

    /// The bytes of a tensor, by the definition.
    fn bytes(tensor: &Tensor) -> Vec<usize> {
        let mut starts = vec![tensor.offset()];
        let size = tensor.dtype().block_bytes();
        for (&length, &stride) in tensor.shape().iter().zip(tensor.strides()) {
            let steps = (0..length).map(|i| i * stride * size);
            starts = steps.flat_map(|step| starts.iter().map(move |start| start + step)).collect();
        }
        starts.into_iter().flat_map(|start| start..start + size).collect()
    }

    #[test]
    fn overlap_is_that_of_the_bytes() {
        let gpu = Gpu::open().unwrap();
        let memory = Memory::from(gpu.buffer(4096).unwrap());
        let mut random = Random::new(1403);
        let (mut counts, mut covered, mut missed) = ([0; 2], [0; 2], 0);
        for _ in 0..3000 {
            let pair = [(); 2].map(|_| {
                let dtype = [DType::U8, DType::F16, DType::F32][random.below(3)];
                let shape = [1 + random.below(4), 1 + random.below(5), 1 + random.below(6)];
                let offset = 4 * random.below(24);
                let mut view = memory.tensor(offset, dtype, &shape).unwrap();
                for _ in 0..random.below(3) {
                    let (one, other) = (random.below(3), random.below(3));
                    view = view.transpose(one, other).unwrap();
                    let (axis, length) = (random.below(3), view.shape()[one]);
                    let start = random.below(length);
                    let end = start + 1 + random.below(length - start);
                    view = view.narrow(one, start..end).unwrap();
                    if view.shape()[axis] == 1 {
                        let mut shape = view.shape().to_vec();
                        shape[axis] = 2;
                        view = view.broadcast(&shape).unwrap();
                    }
                }
                view
            });
            let [one, other] = &pair;
            let (first, second) = (bytes(one), bytes(other));
            let expected = first.iter().any(|byte| second.contains(byte));
            counts[usize::from(expected)] += 1;
            assert_eq!(overlap(one, other), expected, "{one:?} {other:?}");
            assert_eq!(overlap(other, one), expected, "{other:?} {one:?}");
            let all = second.iter().all(|byte| first.contains(byte));
            covered[usize::from(all)] += 1;
            // Only a tensor that several runs cover together may be missed.
            assert!(all || !covers(one, other), "{one:?} {other:?}");
            missed += u32::from(all && !covers(one, other));
        }
        assert!(counts.iter().all(|&count| count > 300), "{counts:?}");
        println!("covered {covered:?}, missed {missed}");
        assert!(covered.iter().all(|&count| count > 50) && missed <= covered[1] / 20);
    }

    #[test]
    fn columns_and_blocks_beside_each_other_do_not_overlap() {
        let gpu = Gpu::open().unwrap();
        let x = Tensor::new(&gpu, DType::F32, &[6, 4, 8]).unwrap();
        let part = |range| x.narrow(2, range).unwrap();
        assert!(!overlap(&part(0..4), &part(4..8)) && overlap(&part(0..5), &part(4..8)));
        let q = Tensor::new(&gpu, DType::Quant(Quant::Q8_0), &[6, 96]).unwrap();
        let part = |range| q.narrow(1, range).unwrap();
        assert!(!overlap(&part(0..32), &part(32..96)) && overlap(&part(0..64), &part(32..96)));
        // The same values in another shape, and in another order.
        let square = x.narrow(0, 0..4).unwrap().narrow(2, 0..4).unwrap();
        assert!(same_values(&x, &x.reshape(&[24, 8]).unwrap()));
        assert!(same_values(&square, &square.clone()));
        assert!(!same_values(&square, &square.transpose(0, 2).unwrap()));
    }
}
