//! Heaps and residency sets: explicit control of where resources are placed and what stays resident.

use super::buffer::Buffer;
use super::descriptor::TextureDescriptor;
use super::enums::{PurgeableState, ResourceOptions, StorageMode};
use super::error::GpuError;
use super::footprint::{InHeap, Located};
use super::function_table::FunctionTable;
use super::indirect::IndirectCommands;
use super::sealed::Sealed;
use super::tensor::Tensor;
use super::texture::Texture;
use crate::abi::{Encode, Id};
use crate::metal_class;
use crate::objc::tracking::{ArgumentSink, MessageUse, SharedResidents};
use crate::objc::{ArgList, Argument, ClassState, ObjcClass, Object};
use std::sync::Arc;

/// Objects with memory: buffers, textures, heaps.
///
/// The trait is sealed: Metal dereferences the pointer, so only this crate's wrappers may supply it.
///
/// ```
/// # let gpu = aruminium::Gpu::open()?;
/// use aruminium::{Allocation, PixelFormat, TextureDescriptor};
/// let texture = gpu.texture_with(&TextureDescriptor::new_1d(PixelFormat::R8Unorm, 64))?;
/// let all: [&dyn Allocation; 2] = [&gpu.buffer(64)?, &texture];
/// assert!(all.iter().all(|one| !one.allocation().is_nil()));
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub trait Allocation: Sealed {
    /// The pointer to the object.
    fn allocation(&self) -> Id;

    /// Reports the memory to the encoder or command buffer that it is passed to.
    #[doc(hidden)]
    fn report_to(&self, to: &mut ArgumentSink<'_>);
}

/// Implements [`Allocation`] for wrappers.
macro_rules! allocations {
    ($($class:ty),+) => {$(
        impl Allocation for $class {
            fn allocation(&self) -> Id {
                self.as_raw()
            }

            fn report_to(&self, to: &mut ArgumentSink<'_>) {
                ObjcClass::report_to(self, to);
            }
        }
    )+};
}

allocations!(Buffer, Texture, Heap, FunctionTable, IndirectCommands, Tensor);

// SAFETY: the word is the pointer to the allocation, which outlives the call.
unsafe impl Argument for &dyn Allocation {
    type Held = Id;
    type Onto<List: ArgList> = List::Push<Id>;
    const ENCODINGS: &'static [&'static str] = &[<Id as Encode>::ENCODING];

    fn report(&self, to: &mut ArgumentSink<'_>) {
        self.report_to(to);
    }

    fn hold(self) -> Id {
        self.allocation()
    }

    fn place<List: ArgList>(held: &Id, list: List) -> Self::Onto<List> {
        list.push(*held)
    }
}

// SAFETY: the words are the start and the length of the memory that `Held` holds.
unsafe impl Argument for &[&dyn Allocation] {
    type Held = Vec<Id>;
    type Onto<List: ArgList> = <List::Push<*const Id> as ArgList>::Push<usize>;
    const ENCODINGS: &'static [&'static str] =
        &[<*const Id as Encode>::ENCODING, <usize as Encode>::ENCODING];

    fn report(&self, to: &mut ArgumentSink<'_>) {
        self.iter().for_each(|allocation| allocation.report_to(to));
    }

    fn hold(self) -> Vec<Id> {
        self.iter().map(|allocation| allocation.allocation()).collect()
    }

    fn place<List: ArgList>(held: &Vec<Id>, list: List) -> Self::Onto<List> {
        list.push(held.as_ptr()).push(held.len())
    }
}

metal_class! {
    /// A block of memory from which resources are allocated.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{HeapDescriptor, PixelFormat, PurgeableState, ResourceOptions, StorageMode, TextureDescriptor};
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 17);
    /// descriptor.set_storage_mode(StorageMode::Private);
    /// let heap = gpu.heap(&descriptor)?;
    /// heap.set_label("scratch");
    /// assert_eq!(heap.label().as_deref(), Some("scratch"));
    /// assert_eq!(heap.storage_mode(), StorageMode::Private);
    /// assert!(heap.size() >= 1 << 17 && heap.current_allocated_size() >= heap.size());
    /// assert!(heap.max_available_size(256) >= 4096);
    /// let buffer = heap.buffer(4096, ResourceOptions::STORAGE_PRIVATE)?;
    /// let image = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 64, 64);
    /// image.set_storage_mode(StorageMode::Private);
    /// let texture = heap.texture(&image)?;
    /// assert!(heap.used_size() >= buffer.size());
    /// assert_eq!(heap.set_purgeable_state(PurgeableState::KeepCurrent), PurgeableState::NonVolatile);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// With offsets that the caller chooses:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{HeapDescriptor, HeapType, ResourceOptions};
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 17);
    /// descriptor.set_type(HeapType::Placement);
    /// let heap = gpu.heap(&descriptor)?;
    /// // Both use the same memory, since they are not needed at the same time.
    /// // SAFETY: the CPU sees neither buffer.
    /// let first = unsafe { heap.buffer_at(4096, ResourceOptions::STORAGE_PRIVATE, 0)? };
    /// let second = unsafe { heap.buffer_at(4096, ResourceOptions::STORAGE_PRIVATE, 0)? };
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Heap: MTLHeap, labelled, state Located<InHeap>;

    /// The size in bytes.
    pub fn size() -> usize = [size];
    /// The number of bytes that its resources use.
    pub fn used_size() -> usize = [usedSize];
    /// The number of bytes that the heap itself takes.
    pub fn current_allocated_size() -> usize = [currentAllocatedSize];
    /// The largest size of a resource with an alignment.
    pub fn max_available_size(alignment: usize) -> usize = [maxAvailableSizeWithAlignment:];
    /// The storage mode.
    pub fn storage_mode() -> StorageMode = [storageMode];
    /// Make a buffer in the heap.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] if the heap has no room for it.
    pub fn buffer(bytes: usize, options: ResourceOptions) -> Result<Buffer, GpuError>
        = [newBufferWithLength:options:] or GpuError::BufferCreationFailed;
    /// Make a buffer at an offset in the heap.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] if the buffer does not fit at the offset.
    ///
    /// # Safety
    ///
    /// While the CPU reads or writes the buffer, it does not write any other that shares bytes with it.
    pub unsafe fn buffer_at(bytes: usize, options: ResourceOptions, offset: usize) -> Result<Buffer, GpuError>
        = [newBufferWithLength:options:offset:] or GpuError::BufferCreationFailed;
    fn new_texture(descriptor: &TextureDescriptor) -> Option<Texture> = [newTextureWithDescriptor:];
    /// Set whether the contents may be discarded; returns the previous state.
    pub fn set_purgeable_state(state: PurgeableState) -> PurgeableState = [setPurgeableState:];
}

// SAFETY: Apple documents heaps as safe to use from any thread.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Clone for Heap {
    /// Retains the heap.
    fn clone(&self) -> Self {
        // SAFETY: the object is a heap.
        unsafe { Self::from_object(self.object.clone()) }
    }
}

impl Heap {
    /// Make a texture in the heap.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureCreationFailed`] with what was requested.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{HeapDescriptor, PixelFormat, StorageMode, TextureDescriptor};
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 16);
    /// let pixels = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 16, 16);
    /// pixels.set_storage_mode(StorageMode::Private);
    /// assert_eq!(gpu.heap(&descriptor)?.texture(&pixels)?.width(), 16);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn texture(&self, descriptor: &TextureDescriptor) -> Result<Texture, GpuError> {
        self.new_texture(descriptor).ok_or_else(|| descriptor.cannot_be())
    }
}

metal_class! {
    /// A set of allocations that stay resident, that is, in memory that the GPU can access.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{ResidencySet, ResidencySetDescriptor};
    /// let descriptor = ResidencySetDescriptor::new();
    /// descriptor.set_label("weights");
    /// // Systems before macOS 15 have no residency sets.
    /// if let Ok(set) = gpu.residency_set(&descriptor) {
    ///     let (weights, bias) = (gpu.buffer(4096)?, gpu.buffer(64)?);
    ///     set.add(&weights);
    ///     set.add(&bias);
    ///     set.remove(&bias);
    ///     set.commit();
    ///     assert!(set.contains(&weights) && set.len() == 1);
    ///     assert!(set.allocated_size() >= 4096);
    ///     set.request_residency();
    ///     set.end_residency();
    ///     set.clear();
    ///     set.commit();
    ///     assert!(set.is_empty());
    ///     assert_eq!(set.label().as_deref(), Some("weights"));
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// A set stays on one thread; [`memory::Residency`](crate::memory::Residency) may be used by many.
    pub class ResidencySet: MTLResidencySet, state Members;

    /// The number of allocations in the set.
    pub fn len() -> usize = [allocationCount];
    /// The number of bytes that the allocations use.
    pub fn allocated_size() -> u64 = [allocatedSize];
    /// Remove all allocations, with the next commit.
    pub fn clear() = [removeAllAllocations];
    /// Apply the additions and removals.
    pub fn commit() = [commit];
    /// Make the allocations resident now.
    pub fn request_residency() = [requestResidency];
    /// Stop keeping the allocations resident.
    pub fn end_residency() = [endResidency];
    /// The label, for tools and error messages.
    pub fn label() -> Option<String> = [label];
    /// Add an allocation, with the next commit.
    pub fn add(allocation: &dyn Allocation) = [addAllocation:];
    /// Remove an allocation, with the next commit.
    pub fn remove(allocation: &dyn Allocation) = [removeAllocation:];
    /// Whether an allocation is in the set.
    pub fn contains(allocation: &dyn Allocation) -> bool = [containsAllocation:];
}

impl Clone for ResidencySet {
    /// Retains the set.
    fn clone(&self) -> Self {
        Self { state: Members(Arc::clone(&self.state.0)), object: self.object.clone() }
    }
}

/// The memory of the allocations: a command buffer that uses the set may write any of it.
#[derive(Debug)]
struct Members(Arc<SharedResidents>);

impl ClassState for Members {
    fn attach(set: &Object) -> Self {
        Self(SharedResidents::of(set))
    }

    fn report_to(&self, _: &Object, to: &mut ArgumentSink<'_>) {
        to.set(self.0.residents());
    }

    fn sending(
        &self,
        _: &Object,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        self.0.residents().sending(message_use, arguments);
    }

    fn sent(&self, _: &Object, message_use: MessageUse) {
        self.0.residents().sent(message_use);
    }
}

impl ResidencySet {
    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
