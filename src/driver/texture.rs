//! Images, and how they are sampled.

use super::enums::{PixelFormat, StorageMode, TextureType, TextureUsage};
use super::error::GpuError;
use super::heap::Allocation;
use crate::abi::{Id, MTLRegion, NSRange};
use crate::metal_class;
use std::ffi::c_void;

metal_class! {
    /// An image that kernels read and write.
    ///
    /// ```
    /// use aruminium::{Gpu, MTLOrigin, MTLRegion, MTLSize, PixelFormat, TextureDescriptor};
    /// let texture = Gpu::open()?.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 3, 2))?;
    /// let all = MTLRegion { origin: MTLOrigin::default(), size: MTLSize::from((3, 2, 1)) };
    /// let (pixels, mut back) = ([1u8, 2, 3, 4, 5, 6], [0u8; 6]);
    /// // SAFETY: both arrays hold two rows of three bytes.
    /// unsafe {
    ///     texture.replace_region(all, 0, pixels.as_ptr().cast(), 3);
    ///     texture.get_bytes(back.as_mut_ptr().cast(), 3, all, 0);
    /// }
    /// assert_eq!(back, pixels);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Texture: MTLTexture;

    /// The width in pixels.
    pub fn width() -> usize = [width];
    /// The height in pixels.
    pub fn height() -> usize = [height];
    /// The depth in pixels; 1 but for 3D textures.
    pub fn depth() -> usize = [depth];
    /// How a pixel is stored, as a value of [`PixelFormat`].
    pub fn pixel_format() -> usize = [pixelFormat];
    /// The shape.
    pub fn texture_type() -> TextureType = [textureType];
    /// How many mip levels there are.
    pub fn mip_levels() -> usize = [mipmapLevelCount];
    /// How many textures an array has.
    pub fn array_length() -> usize = [arrayLength];
    /// What it is for.
    pub fn usage() -> TextureUsage = [usage];
    /// Where the memory is.
    pub fn storage_mode() -> StorageMode = [storageMode];
    /// How many bytes it takes.
    pub fn allocated_size() -> usize = [allocatedSize];
    /// Write pixels into a region.
    ///
    /// # Safety
    ///
    /// `data` points to the region's rows, each `bytes_per_row` behind the other.
    pub unsafe fn replace_region(region: MTLRegion, mipmap: usize, data: *const c_void, bytes_per_row: usize)
        = [replaceRegion:mipmapLevel:withBytes:bytesPerRow:];
    /// Write pixels into a region of a slice; 3D textures have images behind each other.
    ///
    /// # Safety
    ///
    /// As for `replace_region`, and the images are `bytes_per_image` behind each other.
    pub unsafe fn replace_slice(
        region: MTLRegion, mipmap: usize, slice: usize, data: *const c_void, bytes_per_row: usize, bytes_per_image: usize
    ) = [replaceRegion:mipmapLevel:slice:withBytes:bytesPerRow:bytesPerImage:];
    /// Read pixels from a region.
    ///
    /// # Safety
    ///
    /// `data` points to memory for the region's rows, each `bytes_per_row` behind the other.
    pub unsafe fn get_bytes(data: *mut c_void, bytes_per_row: usize, region: MTLRegion, mipmap: usize)
        = [getBytes:bytesPerRow:fromRegion:mipmapLevel:];
    /// Read pixels from a region of a slice.
    ///
    /// # Safety
    ///
    /// As for `get_bytes`, and there is room for images `bytes_per_image` behind each other.
    pub unsafe fn get_slice(
        data: *mut c_void, bytes_per_row: usize, bytes_per_image: usize, region: MTLRegion, mipmap: usize, slice: usize
    ) = [getBytes:bytesPerRow:bytesPerImage:fromRegion:mipmapLevel:slice:];
    /// The same pixels, read in another format.
    pub fn view(format: PixelFormat) -> Result<Texture, GpuError>
        = [newTextureViewWithPixelFormat:] or GpuError::TextureCreationFailed;
    /// Some levels and slices, in another format and shape.
    pub fn view_of(format: PixelFormat, ty: TextureType, levels: NSRange, slices: NSRange) -> Result<Texture, GpuError>
        = [newTextureViewWithPixelFormat:textureType:levels:slices:] or GpuError::TextureCreationFailed;
    /// What tools and errors call it.
    pub fn label() -> Option<String> = [label];
    /// Name it, for tools and errors.
    pub fn set_label(label: &str) = [setLabel:];
}

// SAFETY: Apple documents resources as safe to use from any thread.
unsafe impl Send for Texture {}
// SAFETY: as above.
unsafe impl Sync for Texture {}

impl Allocation for Texture {
    fn allocation(&self) -> Id {
        self.as_raw()
    }
}

metal_class! {
    /// How a kernel samples a texture.
    ///
    /// ```
    /// use aruminium::{Filter, Gpu, SamplerDescriptor};
    /// let descriptor = SamplerDescriptor::new();
    /// descriptor.set_min_filter(Filter::Linear);
    /// descriptor.set_mag_filter(Filter::Linear);
    /// let sampler = Gpu::open()?.sampler(&descriptor)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Sampler: MTLSamplerState;

    /// What tools and errors call it.
    pub fn label() -> Option<String> = [label];
}

// SAFETY: Apple documents sampler states as safe to use from any thread.
unsafe impl Send for Sampler {}
// SAFETY: as above.
unsafe impl Sync for Sampler {}
