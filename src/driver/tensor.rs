//! Tensors: numbers of several dimensions that kernels take as `tensor` arguments.

use super::buffer::{Buffer, Plain};
use super::device::{Gpu, has_metal4};
use super::enums::{ResourceOptions, StorageMode, TensorDataType, TensorUsage};
use super::error::GpuError;
use crate::abi::MTLResourceID;
use crate::objc::{ObjcClass, Object, link};
use crate::{metal_class, msg, selector};
use std::ffi::c_void;

metal_class! {
    /// Sizes, strides or positions, one for each dimension.
    pub(crate) class TensorExtents: MTLTensorExtents;

    fn rank() -> usize = [rank];
    fn extent(dimension: usize) -> isize = [extentAtDimensionIndex:];
}

/// `MTL_TENSOR_MAX_RANK`.
const MAX_RANK: usize = 16;

impl TensorExtents {
    /// More values than a tensor can have dimensions become none, which no message accepts.
    pub(super) fn of(values: &[usize]) -> Self {
        let values = if values.len() > MAX_RANK { &[] } else { values };
        let values: Vec<isize> = values.iter().map(|&value| value as isize).collect();
        // SAFETY: the class has these messages where tensors exist, and there are as many values.
        unsafe {
            let class = link::objc_getClass(c"MTLTensorExtents".as_ptr());
            let blank = msg!(class.as_id(), [alloc] -> Object);
            let (rank, values) = (values.len(), values.as_ptr());
            Self::from_object(msg!(blank, [initWithRank: rank, values: values] -> Object))
        }
    }

    fn to_vec(&self) -> Vec<usize> {
        (0..self.rank()).map(|dimension| self.extent(dimension) as usize).collect()
    }
}

metal_class! {
    /// The properties of a new tensor. Needs macOS 26, as [`Tensor`] does.
    ///
    /// ```
    /// use aruminium::{StorageMode, TensorDataType, TensorDescriptor, TensorUsage};
    /// let descriptor = TensorDescriptor::new(TensorDataType::Float16, &[64, 32]);
    /// descriptor.set_strides(&[1, 80]);
    /// descriptor.set_usage(TensorUsage::COMPUTE);
    /// descriptor.set_storage_mode(StorageMode::Shared);
    /// ```
    pub class TensorDescriptor: MTLTensorDescriptor;

    fn empty() -> TensorDescriptor = class [new];
    fn set_extents(extents: &TensorExtents) = [setDimensions:];
    fn set_stride_extents(strides: &TensorExtents) = [setStrides:];
    fn set_data_type(data_type: TensorDataType) = [setDataType:];
    /// Set what the tensor is used for.
    pub fn set_usage(usage: TensorUsage) = [setUsage:];
    /// Set the storage mode.
    pub fn set_storage_mode(mode: StorageMode) = [setStorageMode:];
    /// Set storage, cache and tracking mode together.
    ///
    /// ```
    /// use aruminium::{ResourceOptions, TensorDataType, TensorDescriptor};
    /// let descriptor = TensorDescriptor::new(TensorDataType::Int8, &[16]);
    /// descriptor.set_resource_options(ResourceOptions::STORAGE_PRIVATE);
    /// ```
    pub fn set_resource_options(options: ResourceOptions) = [setResourceOptions:];
}

impl TensorDescriptor {
    /// A tensor of a type of elements, with these sizes, the innermost dimension first.
    ///
    /// ```
    /// use aruminium::{TensorDataType, TensorDescriptor};
    /// let matrix = TensorDescriptor::new(TensorDataType::Float32, &[128, 64]);
    /// ```
    pub fn new(data_type: TensorDataType, sizes: &[usize]) -> Self {
        let descriptor = Self::empty();
        descriptor.set_data_type(data_type);
        descriptor.set_extents(&TensorExtents::of(sizes));
        descriptor
    }

    /// Set the strides of the dimensions, in elements; the first is 1. Without them elements have no gaps.
    pub fn set_strides(&self, strides: &[usize]) {
        self.set_stride_extents(&TensorExtents::of(strides));
    }
}

metal_class! {
    /// Numbers of several dimensions. Kernels take it as `tensor<device float, dextents<int, 2>>`, by an
    /// [`ArgumentTable`](crate::ArgumentTable) or in an argument buffer.
    ///
    /// ```
    /// use aruminium::{Gpu, TensorDataType, TensorDescriptor};
    /// let gpu = Gpu::open()?;
    /// let descriptor = TensorDescriptor::new(TensorDataType::Float32, &[3, 2]);
    /// let tensor = gpu.tensor(&descriptor)?;
    /// tensor.set_label("weights");
    /// assert_eq!(tensor.label().as_deref(), Some("weights"));
    /// assert_eq!((tensor.sizes(), tensor.strides()), (vec![3, 2], vec![1, 3]));
    /// assert_eq!((tensor.data_type(), tensor.offset()), (TensorDataType::Float32, 0));
    /// assert!(tensor.allocated_size() >= 24 && tensor.gpu_id() != 0);
    /// // SAFETY: no kernel uses it.
    /// unsafe {
    ///     tensor.write(&[0, 0], &[3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    ///     // The last two columns.
    ///     let mut part = [0f32; 4];
    ///     tensor.read(&[1, 0], &[2, 2], &mut part);
    ///     assert_eq!(part, [2.0, 3.0, 5.0, 6.0]);
    /// }
    ///
    /// // The same elements in a buffer.
    /// let buffer = gpu.buffer_with_data(&[7; 64])?;
    /// // SAFETY: nothing else uses the buffer.
    /// let in_buffer = unsafe { buffer.tensor(&descriptor, 16)? };
    /// assert_eq!(in_buffer.offset(), 16);
    /// assert!(gpu.tensor(&TensorDescriptor::new(TensorDataType::Float32, &[0])).is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Tensor: MTLTensor, labelled;

    /// The type of the elements.
    pub fn data_type() -> TensorDataType = [dataType];
    /// The offset of the first element in its buffer.
    pub fn offset() -> usize = [bufferOffset];
    /// The number of bytes of memory that it uses.
    pub fn allocated_size() -> usize = [allocatedSize];
    fn extents() -> TensorExtents = [dimensions];
    fn stride_extents() -> Option<TensorExtents> = [strides];
    fn resource_id() -> MTLResourceID = [gpuResourceID];
    unsafe fn replace(
        origin: &TensorExtents, sizes: &TensorExtents, bytes: *const c_void, strides: &TensorExtents
    ) = [replaceSliceOrigin:sliceDimensions:withBytes:strides:];
    unsafe fn get(
        bytes: *mut c_void, strides: &TensorExtents, origin: &TensorExtents, sizes: &TensorExtents
    ) = [getBytes:strides:fromSliceOrigin:sliceDimensions:];
}

// SAFETY: Metal's resources may be used from any thread.
unsafe impl Send for Tensor {}
// SAFETY: as above.
unsafe impl Sync for Tensor {}

impl Gpu {
    /// Make a tensor. [`Tensor`] has an example.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] with the reason; [`GpuError::Unsupported`] before macOS 26.
    pub fn tensor(&self, descriptor: &TensorDescriptor) -> Result<Tensor, GpuError> {
        has_metal4(self, selector!(newTensorWithDescriptor:error:))?;
        self.new_tensor(descriptor)
    }
}

impl Buffer {
    /// Make a tensor of the elements in the buffer from an offset in bytes on. [`Tensor`] has an example.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] with the reason; [`GpuError::Unsupported`] before macOS 26.
    ///
    /// # Safety
    ///
    /// While a kernel uses the tensor, the CPU does not use the buffer.
    pub unsafe fn tensor(
        &self,
        descriptor: &TensorDescriptor,
        offset: usize,
    ) -> Result<Tensor, GpuError> {
        has_metal4(self, selector!(newTensorWithDescriptor:offset:error:))?;
        self.tensor_with(descriptor, offset)
    }
}

/// The strides of elements without gaps.
fn packed(sizes: &[usize]) -> TensorExtents {
    let mut next = 1;
    let strides = sizes.iter().map(|size| {
        let stride = next;
        next *= size;
        stride
    });
    TensorExtents::of(&strides.collect::<Vec<_>>())
}

impl Tensor {
    /// The sizes of the dimensions, the innermost first.
    pub fn sizes(&self) -> Vec<usize> {
        self.extents().to_vec()
    }

    /// The strides of the dimensions, in elements.
    pub fn strides(&self) -> Vec<usize> {
        self.stride_extents().map_or(Vec::new(), |strides| strides.to_vec())
    }

    /// The number that stands for the tensor in an argument buffer.
    pub fn gpu_id(&self) -> u64 {
        self.resource_id()._impl
    }

    /// The bytes of a part, or a panic if that is not what the caller has.
    fn check<T: Plain>(&self, sizes: &[usize], count: usize) {
        let (bytes, name) = (self.data_type().bytes(), std::any::type_name::<T>());
        assert_eq!(bytes, Some(size_of::<T>()), "{:?} elements, and {name}", self.data_type());
        let product = sizes.iter().product::<usize>();
        assert_eq!(product, count, "a part of {sizes:?} elements, and {count} values");
    }

    /// Write elements of a part, which begins at an origin, the innermost dimension first and without gaps.
    ///
    /// # Panics
    ///
    /// If `values` has another number of elements than the part, or elements of another size.
    ///
    /// # Safety
    ///
    /// No kernel uses the tensor meanwhile.
    pub unsafe fn write<T: Plain>(&self, origin: &[usize], sizes: &[usize], values: &[T]) {
        self.check::<T>(sizes, values.len());
        let (origin, strides) = (TensorExtents::of(origin), packed(sizes));
        // SAFETY: there are as many values as the part has elements.
        unsafe {
            self.replace(&origin, &TensorExtents::of(sizes), values.as_ptr().cast(), &strides);
        }
    }

    /// Read elements of a part, which begins at an origin, the innermost dimension first and without gaps.
    ///
    /// # Panics
    ///
    /// If `values` has another number of elements than the part, or elements of another size.
    ///
    /// # Safety
    ///
    /// No kernel writes the tensor meanwhile.
    pub unsafe fn read<T: Plain>(&self, origin: &[usize], sizes: &[usize], values: &mut [T]) {
        self.check::<T>(sizes, values.len());
        let (origin, strides) = (TensorExtents::of(origin), packed(sizes));
        // SAFETY: there is room for as many values as the part has elements.
        unsafe {
            self.get(values.as_mut_ptr().cast(), &strides, &origin, &TensorExtents::of(sizes));
        }
    }
}
