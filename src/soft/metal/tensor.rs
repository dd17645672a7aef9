//! MTLTensor: elements of some dimensions in memory, and the record of them that kernels read (`specs/tensors.md`).

use super::buffer::Buffer;
use super::errors::{Error, TensorError};
use super::foundation::{Label, NSObject, Object, Strong, Zone, lock, soft_class};
use super::properties::properties;
use super::resource::{HasResource, Options, Resource, is_untracked, resource_class};
use crate::abi::{MTLResourceID, MTLSizeAndAlign};
use crate::soft::kernel::Processor;
use crate::soft::stream::memory::Memory;
use crate::soft::stream::recording::Recording;
use crate::soft::stream::tensor::{ELEMENTS, MOST_DIMENSIONS, Part, copy_elements, reach, record};
use std::ffi::c_void;
use std::sync::{Arc, Mutex};

/// Sizes, strides or positions, one for each dimension, the innermost first.
#[derive(Clone, Default)]
pub(super) struct Extents(Vec<isize>);

soft_class! {
    /// Sizes, strides or positions, one for each dimension.
    pub(super) class MTLTensorExtents(Extents): NSObject, conforms [NSCopying];
    init [init] = Extents::default;
    init [initWithRank:values:] = Extents::of;
    [copyWithZone:] = |extents: &Extents, _: Zone| Strong::new(extents.clone());
    [rank] = |extents: &Extents| extents.0.len();
    [extentAtDimensionIndex:] =
        |extents: &Extents, index: usize| extents.0.get(index).copied().unwrap_or(-1);
}

impl Extents {
    /// `None` for too many dimensions, or without values.
    fn of(rank: usize, values: *const isize) -> Option<Self> {
        if rank > MOST_DIMENSIONS || values.is_null() && rank > 0 {
            return None;
        }
        let value = |nth: usize| {
            // SAFETY: the message passed as many values as the rank says.
            unsafe { *values.add(nth) }
        };
        Some(Self((0..rank).map(value).collect()))
    }

    fn object(values: &[usize]) -> Strong<Self> {
        Strong::new(Self(values.iter().map(|&value| value as isize).collect()))
    }

    /// Those of a tensor that a kernel takes: its sizes are known when one is bound.
    pub(super) fn unknown(rank: u32) -> Strong<Self> {
        Strong::new(Self(vec![-1; rank as usize]))
    }

    /// The values, none of which may be negative.
    fn get(&self, what: &str) -> Result<Vec<usize>, String> {
        let value = |&value: &isize| {
            usize::try_from(value)
                .map_err(|_| format!("the {what} {:?} have a negative number", self.0))
        };
        self.0.iter().map(value).collect()
    }
}

properties! {
    /// Properties of a new tensor.
    class MTLTensorDescriptor(TensorDescriptor, TensorFields);
    [dimensions, setDimensions:] dimensions: Option<Strong<Extents>> = Some(Extents::object(&[1]));
    [strides, setStrides:] strides: Option<Strong<Extents>> = None;
    [dataType, setDataType:] data_type: isize = FLOAT32;
    [usage, setUsage:] usage: usize = COMPUTE;
    [cpuCacheMode, setCpuCacheMode:] cache: usize = 0;
    [storageMode, setStorageMode:] storage: usize = 0;
    [hazardTrackingMode, setHazardTrackingMode:] hazard: usize = 0;
    rows {
        [resourceOptions] = |this: &TensorDescriptor| this.get().options().0;
        [setResourceOptions:] = |this: &TensorDescriptor, options: usize| {
            let options = Options(options);
            let mut fields = lock(&this.0);
            fields.storage = options.storage_mode();
            fields.cache = options.cpu_cache_mode();
            fields.hazard = options.hazard_tracking_mode();
        };
    }
}

/// `MTLTensorDataTypeFloat32`.
const FLOAT32: isize = 3;
/// `MTLTensorUsageCompute`.
const COMPUTE: usize = 1;

impl TensorFields {
    fn options(&self) -> Options {
        Options::new(self.cache, self.storage, self.hazard)
    }
}

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// The number of `MTLTensorDataType`.
    number: usize,
    pub(super) bytes: usize,
    pub(super) name: &'static str,
}

impl Element {
    fn of(number: isize) -> Result<Self, String> {
        let row = ELEMENTS.iter().find(|row| row.0 as isize == number);
        let (number, bytes, _, name) = *row.ok_or_else(|| {
            format!("data type {number}: tensors have numbers of 8, 16 or 32 bits here")
        })?;
        Ok(Self { number, bytes, name })
    }
}

/// The element type, the sizes and the strides that a descriptor describes.
struct Shape {
    element: Element,
    sizes: Vec<usize>,
    strides: Vec<usize>,
}

impl Shape {
    fn of(fields: &TensorFields) -> Result<Self, String> {
        let element = Element::of(fields.data_type)?;
        let dimensions = fields.dimensions.as_deref().ok_or("the descriptor has no dimensions")?;
        let sizes = dimensions.get("dimensions")?;
        if sizes.is_empty() || sizes.contains(&0) {
            return Err(format!(
                "dimensions {sizes:?}: a tensor has from 1 to {MOST_DIMENSIONS}, none of them 0"
            ));
        }
        let strides = match fields.strides.as_deref() {
            Some(strides) => strides.get("strides")?,
            None => packed(&sizes),
        };
        if strides.len() != sizes.len() || strides[0] != 1 {
            return Err(format!(
                "strides {strides:?}: there are {} dimensions, and the first stride is 1",
                sizes.len()
            ));
        }
        let mut before = 1usize;
        for (stride, size) in strides.iter().zip(&sizes) {
            if *size > 1 && *stride < before {
                return Err(format!(
                    "strides {strides:?}: elements of a tensor of {sizes:?} would overlap"
                ));
            }
            if *size > 1 {
                before = stride.saturating_mul(*size);
            }
        }
        Ok(Self { element, sizes, strides })
    }

    fn bytes(&self) -> usize {
        let strides = scaled(&self.strides, self.element.bytes);
        reach(&strides, &self.sizes, self.element.bytes)
    }
}

/// The strides of elements without gaps.
fn packed(sizes: &[usize]) -> Vec<usize> {
    let next = |before: &mut usize, size: &usize| {
        let stride = *before;
        *before = stride.saturating_mul(*size);
        Some(stride)
    };
    sizes.iter().scan(1, next).collect()
}

fn scaled(strides: &[usize], bytes: usize) -> Vec<usize> {
    strides.iter().map(|stride| stride.saturating_mul(bytes)).collect()
}

/// `tensorSizeAndAlignWithDescriptor:`; zeros if there is no such tensor.
pub(super) fn size_and_align(descriptor: Option<&Object<TensorDescriptor>>) -> MTLSizeAndAlign {
    let shape = descriptor.and_then(|descriptor| Shape::of(&descriptor.get()).ok());
    shape.map_or(MTLSizeAndAlign::default(), |shape| MTLSizeAndAlign {
        size: shape.bytes(),
        align: ALIGN,
    })
}

/// The alignment of a tensor's first element.
const ALIGN: usize = 16;

/// A tensor.
pub(super) struct Tensor {
    /// Its elements, from an offset on.
    pub(super) memory: Arc<Memory>,
    offset: usize,
    /// The buffer that they are in, if the program made it.
    buffer: Option<Strong<Buffer>>,
    /// The record that kernels read.
    pub(super) record: Arc<Memory>,
    pub(super) element: Element,
    sizes: Vec<usize>,
    strides: Vec<usize>,
    usage: usize,
    resource: Resource,
}

resource_class! {
    /// A tensor.
    class SoftMTLTensor(Tensor): MTLTensor;
    [gpuResourceID] = |tensor: &Tensor| MTLResourceID { _impl: tensor.record.address() };
    [buffer] = |tensor: &Tensor| tensor.buffer.clone();
    [bufferOffset] = |tensor: &Tensor| tensor.offset;
    [dataType] = |tensor: &Tensor| tensor.element.number as isize;
    [dimensions] = |tensor: &Tensor| Extents::object(&tensor.sizes);
    [strides] = |tensor: &Tensor| Extents::object(&tensor.strides);
    [usage] = |tensor: &Tensor| tensor.usage;
    [replaceSliceOrigin:sliceDimensions:withBytes:strides:] = |
        tensor: &Tensor, origin: Option<&Object<Extents>>, sizes: Option<&Object<Extents>>,
        bytes: *const c_void, strides: Option<&Object<Extents>>,
    | {
        let place = tensor.host_part(origin, sizes, strides, bytes.is_null());
        let selector = "replaceSliceOrigin:sliceDimensions:withBytes:strides:";
        tensor.copy(selector, place, bytes.cast_mut().cast(), true);
    };
    [getBytes:strides:fromSliceOrigin:sliceDimensions:] = |
        tensor: &Tensor, bytes: *mut c_void, strides: Option<&Object<Extents>>,
        origin: Option<&Object<Extents>>, sizes: Option<&Object<Extents>>,
    | {
        let place = tensor.host_part(origin, sizes, strides, bytes.is_null());
        let selector = "getBytes:strides:fromSliceOrigin:sliceDimensions:";
        tensor.copy(selector, place, bytes.cast(), false);
    };
}

impl HasResource for Tensor {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    fn label(&self) -> &Label {
        &self.record.label
    }

    fn processor(&self) -> Option<&'static Processor> {
        self.memory.processor()
    }

    fn allocated_size(&self) -> usize {
        self.memory.length()
    }
}

/// Some elements of a tensor: the offset of the first one in memory, and the strides in bytes.
pub(super) struct Elements {
    offset: usize,
    strides: Vec<usize>,
    pub(super) sizes: Vec<usize>,
}

impl Elements {
    /// The part of them that a recorded copy stores.
    pub(super) fn recorded(self, tensor: &Object<Tensor>, recording: &mut Recording) -> Part {
        let object = recording.memory(&tensor.memory, || is_untracked::<Tensor>(tensor));
        Part { object, offset: self.offset, strides: self.strides }
    }
}

type Made = Result<Strong<Tensor>, Error<TensorError>>;

impl Tensor {
    /// A tensor with memory of its own.
    pub(super) fn new(
        processor: &'static Processor,
        descriptor: Option<&Object<TensorDescriptor>>,
    ) -> Made {
        let (fields, shape) = described(descriptor)?;
        let (bytes, options) = (shape.bytes(), fields.options());
        let possible = options.are_known() && bytes <= super::device::longest_buffer(processor);
        let memory =
            possible.then(|| Memory::new(processor, bytes, options.is_private())).flatten();
        let memory = memory.ok_or_else(|| {
            Error::new(TensorError::InternalError, format!("there is no memory of {bytes} bytes"))
        })?;
        Self::of(shape, &fields, (memory, 0, None), options)
    }

    /// A tensor of the elements in a buffer, from an offset on.
    pub(super) fn in_buffer(
        buffer: Strong<Buffer>,
        descriptor: Option<&Object<TensorDescriptor>>,
        offset: usize,
    ) -> Made {
        let (fields, shape) = described(descriptor)?;
        let (bytes, length) = (shape.bytes(), buffer.memory.length());
        if buffer.memory.range(offset, bytes).is_none()
            || !offset.is_multiple_of(shape.element.bytes)
        {
            let name = shape.element.name;
            return Err(invalid(format!(
                "{bytes} bytes of {name} at offset {offset} of a buffer of {length} bytes"
            )));
        }
        let (memory, options) = (Arc::clone(&buffer.memory), buffer.resource().options);
        memory.untrack();
        Self::of(shape, &fields, (memory, offset, Some(buffer)), options)
    }

    fn of(
        shape: Shape,
        fields: &TensorFields,
        (memory, offset, buffer): (Arc<Memory>, usize, Option<Strong<Buffer>>),
        options: Options,
    ) -> Made {
        let Shape { element, sizes, strides } = shape;
        let words = record(memory.address() + offset as u64, element.number, &sizes, &strides);
        let processor =
            memory.processor().ok_or_else(|| invalid("a tensor is of a device".to_owned()))?;
        let record = Memory::new(processor, size_of_val(&*words), false)
            .ok_or_else(|| Error::new(TensorError::InternalError, "there is no memory"))?;
        // SAFETY: the memory is new and has as many bytes.
        unsafe {
            record.base().cast::<u64>().copy_from_nonoverlapping(words.as_ptr(), words.len())
        };
        let (usage, resource) = (fields.usage, Resource::new(options, None));
        Ok(Strong::new(Self {
            memory,
            offset,
            buffer,
            record,
            element,
            sizes,
            strides,
            usage,
            resource,
        }))
    }

    /// The elements from an origin on.
    pub(super) fn part(
        &self,
        origin: Option<&Object<Extents>>,
        sizes: Option<&Object<Extents>>,
    ) -> Result<Elements, String> {
        let origin = origin.ok_or("nil was passed for the origin")?.get("origins")?;
        let sizes = sizes.ok_or("nil was passed for the dimensions")?.get("dimensions")?;
        let rank = self.sizes.len();
        let fits = [origin.len(), sizes.len()] == [rank; 2]
            && (0..rank)
                .all(|d| origin[d].checked_add(sizes[d]).is_some_and(|end| end <= self.sizes[d]));
        if !fits {
            let all = &self.sizes;
            return Err(format!(
                "{sizes:?} elements from {origin:?} on are not inside a tensor of {all:?}"
            ));
        }
        let strides = scaled(&self.strides, self.element.bytes);
        // An address that is too large is outside of the memory.
        let offset = origin.iter().zip(&strides).fold(self.offset, |offset, (at, stride)| {
            offset.saturating_add(at.saturating_mul(*stride))
        });
        Ok(Elements { offset, strides, sizes })
    }

    /// The same, and the strides in bytes of memory of the program.
    fn host_part(
        &self,
        origin: Option<&Object<Extents>>,
        sizes: Option<&Object<Extents>>,
        strides: Option<&Object<Extents>>,
        is_null: bool,
    ) -> Result<(Elements, Vec<usize>), String> {
        if self.resource.options.is_private() {
            return Err("the CPU has no access to a private tensor".to_owned());
        }
        let part = self.part(origin, sizes)?;
        let strides = match strides {
            Some(strides) => strides.get("strides")?,
            None => packed(&part.sizes),
        };
        if strides.len() != part.sizes.len() {
            return Err(format!("strides {strides:?}: there are {} dimensions", part.sizes.len()));
        }
        if is_null {
            return Err("NULL was passed for the bytes".to_owned());
        }
        Ok((part, scaled(&strides, self.element.bytes)))
    }

    /// Copies elements, unless the message is wrong: there is no command buffer that could report that.
    fn copy(
        &self,
        selector: &str,
        place: Result<(Elements, Vec<usize>), String>,
        host: *mut u8,
        writes: bool,
    ) {
        let bytes = self.element.bytes;
        let copied = place.and_then(|(Elements { offset, strides, sizes }, host_strides)| {
            let at = self.memory.range(offset, reach(&strides, &sizes, bytes));
            let own = (at.ok_or("the elements are not in memory")?, &strides[..]);
            let host = (host, &host_strides[..]);
            let (from, to) = if writes { (host, own) } else { (own, host) };
            // SAFETY: the part is inside the memory, and the message passed as many bytes.
            unsafe { copy_elements((from.0.cast_const(), from.1), to, &sizes, bytes) };
            Ok(())
        });
        if let Err(why) = copied {
            let label = self.record.label.after_noun();
            eprintln!("aruminium: -[MTLTensor {selector}]{label}: {why}");
        }
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        self.record.release();
        if self.buffer.is_none() {
            self.memory.release();
        }
    }
}

fn invalid(why: String) -> Error<TensorError> {
    Error::new(TensorError::InvalidDescriptor, why)
}

fn described(
    descriptor: Option<&Object<TensorDescriptor>>,
) -> Result<(TensorFields, Shape), Error<TensorError>> {
    let fields = descriptor.map(|descriptor| descriptor.get());
    let fields = fields.ok_or_else(|| invalid("nil was passed for the descriptor".to_owned()))?;
    let shape = Shape::of(&fields).map_err(invalid)?;
    Ok((fields, shape))
}
