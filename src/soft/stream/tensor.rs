//! Tensors of the host: the record of one in memory, and copies of elements (`specs/tensors.md`).

use super::table::ObjectIndex;
use crate::soft::ir::Scalar;
use crate::soft::ir::shape::TensorKind;

/// The most dimensions of a tensor.
pub(crate) const MOST_DIMENSIONS: usize = 16;

/// The first half of the first word of a record, which no other resource begins with by chance.
const MARK: u32 = 0x7e25_0000;

/// The types of elements: the number of `MTLTensorDataType`, the bytes, the scalar, and Metal's name.
pub(crate) const ELEMENTS: [(usize, usize, Scalar, &str); 9] = [
    (3, 4, Scalar::F32, "float"),
    (16, 2, Scalar::F16, "half"),
    (121, 2, Scalar::BF16, "bfloat"),
    (45, 1, Scalar::I8, "char"),
    (49, 1, Scalar::U8, "uchar"),
    (37, 2, Scalar::I16, "short"),
    (41, 2, Scalar::U16, "ushort"),
    (29, 4, Scalar::I32, "int"),
    (33, 4, Scalar::U32, "uint"),
];

/// The record that kernels read: the address of the first element, a mark with the type, the number of dimensions, then the sizes
/// and the strides. The library's header declares the same struct.
pub(crate) fn record(data: u64, data_type: usize, sizes: &[usize], strides: &[usize]) -> Vec<u64> {
    let head = u64::from(MARK) | data_type as u64 | (sizes.len() as u64) << 32;
    let numbers = sizes.iter().chain(strides).map(|&number| number as u64);
    [data, head].into_iter().chain(numbers).collect()
}

/// Refuses memory that has no record of such a tensor.
///
/// # Safety
///
/// It has that many bytes.
pub(super) unsafe fn check_argument(
    wanted: TensorKind,
    record: *const u8,
    length: usize,
) -> Result<(), String> {
    // SAFETY: it is long enough.
    let head = (length >= 16).then(|| unsafe { record.cast::<u64>().add(1).read_unaligned() });
    let Some(head) = head.filter(|head| *head as u32 & 0xffff_0000 == MARK) else {
        return Err("the resource that is set is no tensor".to_owned());
    };
    let (element, rank) = ((head & 0xffff) as usize, (head >> 32) as u32);
    let name = |wanted: &dyn Fn(usize, Scalar) -> bool| {
        ELEMENTS.iter().find(|row| wanted(row.0, row.2)).map_or("another type", |row| row.3)
    };
    let (given, taken) =
        (name(&|number, _| number == element), name(&|_, scalar| scalar == wanted.element));
    if (given, rank) != (taken, wanted.rank) {
        let dimensions =
            |rank: u32| format!("{rank} dimension{}", if rank == 1 { "" } else { "s" });
        return Err(format!(
            "the tensor has elements of {given} and {}, and the kernel takes {taken} and {}",
            dimensions(rank),
            dimensions(wanted.rank)
        ));
    }
    Ok(())
}

/// Elements of a tensor: where the first one is, and the strides in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) object: ObjectIndex,
    pub(crate) offset: usize,
    pub(crate) strides: Vec<usize>,
}

impl Part {
    /// The bytes from the first element to the end of the last one.
    pub(super) fn reach(&self, sizes: &[usize], bytes: usize) -> usize {
        reach(&self.strides, sizes, bytes)
    }
}

/// The bytes from the first to the end of the last of elements with these strides; 0 without elements.
pub(crate) fn reach(strides: &[usize], sizes: &[usize], bytes: usize) -> usize {
    if sizes.contains(&0) {
        return 0;
    }
    let last = strides.iter().zip(sizes).map(|(stride, size)| stride.saturating_mul(size - 1));
    last.fold(bytes, usize::saturating_add)
}

/// A copy of elements from tensor to tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorCopy {
    pub(crate) from: Part,
    pub(crate) to: Part,
    pub(crate) sizes: Vec<usize>,
    /// Those of an element.
    pub(crate) bytes: usize,
}

/// The offsets of all elements, the innermost dimension first.
pub(crate) fn offsets<'a>(
    strides: &'a [usize],
    sizes: &'a [usize],
) -> impl Iterator<Item = usize> + 'a {
    let count = sizes.iter().product::<usize>();
    (0..count).map(move |mut nth| {
        let mut offset = 0;
        for (stride, size) in strides.iter().zip(sizes) {
            offset += nth % size * stride;
            nth /= size;
        }
        offset
    })
}

/// Copies elements between places with strides in bytes.
///
/// # Safety
///
/// All elements are inside memory.
pub(crate) unsafe fn copy_elements(
    (from, from_strides): (*const u8, &[usize]),
    (to, to_strides): (*mut u8, &[usize]),
    sizes: &[usize],
    bytes: usize,
) {
    for (source, target) in offsets(from_strides, sizes).zip(offsets(to_strides, sizes)) {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy(from.add(source), to.add(target), bytes) };
    }
}
