//! Textures and samplers.

use super::buffer::{Buffer, Plain};
use super::encoder::Subresource;
use super::enums::{PixelFormat, StorageMode, TextureType, TextureUsage};
use super::error::GpuError;
use super::footprint::{InTexture, Located, view};
use crate::abi::{MTLRegion, MTLResourceID, NSRange};
use crate::metal_class;
use crate::objc::ObjcClass;
use crate::objc::tracking::ViewGuard;
use std::ffi::c_void;

metal_class! {
    /// An image that kernels read and write.
    ///
    /// ```
    /// use aruminium::{Gpu, MTLRegion, PixelFormat, StorageMode, Subresource, TextureDescriptor, TextureType, TextureUsage};
    /// let texture = Gpu::open()?.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 3, 2))?;
    /// let all = MTLRegion { origin: (0, 0, 0).into(), size: (3, 2, 1).into() };
    /// texture.write(Subresource::default(), all, &[1u8, 2, 3, 4, 5, 6])?;
    /// let mut back = [0u8; 6];
    /// texture.read(Subresource::default(), all, &mut back)?;
    /// assert_eq!(back, [1, 2, 3, 4, 5, 6]);
    ///
    /// texture.set_label("six pixels");
    /// assert_eq!(texture.label().as_deref(), Some("six pixels"));
    /// assert_eq!((texture.width(), texture.height(), texture.depth()), (3, 2, 1));
    /// assert_eq!((texture.mip_levels(), texture.array_length(), texture.sample_count()), (1, 1, 1));
    /// assert_eq!(texture.texture_type(), TextureType::Type2D);
    /// assert_eq!(texture.pixel_format(), PixelFormat::R8Unorm.0);
    /// assert_eq!(texture.storage_mode(), StorageMode::Shared);
    /// assert!(texture.usage().contains(TextureUsage::SHADER_READ) && texture.allocated_size() >= 6);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Views of the same memory, and Metal's own methods to copy pixels, which check little:
    ///
    /// ```
    /// use aruminium::{Gpu, MTLRegion, PixelFormat, TextureDescriptor, TextureType};
    /// let descriptor = TextureDescriptor::new_2d_array(PixelFormat::R32Uint, 2, 2, 4);
    /// let texture = Gpu::open()?.texture_with(&descriptor)?;
    /// let all = MTLRegion { origin: (0, 0, 0).into(), size: (2, 2, 1).into() };
    /// let (pixels, mut back) = ([1.0f32, 2.0, 3.0, 4.0], [0f32; 4]);
    /// // SAFETY: the arrays hold two rows of eight bytes.
    /// unsafe {
    ///     texture.replace_slice(all, 0, 3, pixels.as_ptr().cast(), 8, 16);
    ///     let floats = texture.view_of(PixelFormat::R32Float, TextureType::Type2D, (0..1).into(), (3..4).into())?;
    ///     floats.get_bytes(back.as_mut_ptr().cast(), 8, all, 0);
    ///     assert_eq!(back, pixels);
    ///     texture.replace_region(all, 0, [0u8; 16].as_ptr().cast(), 8);
    ///     texture.view(PixelFormat::RGBA8Unorm)?.get_slice(back.as_mut_ptr().cast(), 8, 16, all, 0, 0);
    ///     assert_eq!(back, [0.0; 4]);
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Texture: MTLTexture, labelled, state Located<InTexture>;

    /// The width in pixels.
    pub fn width() -> usize = [width];
    /// The height in pixels.
    pub fn height() -> usize = [height];
    /// The depth in pixels; 1 except for 3D textures.
    pub fn depth() -> usize = [depth];
    /// The pixel format, as a value of [`PixelFormat`].
    pub fn pixel_format() -> usize = [pixelFormat];
    /// The shape.
    pub fn texture_type() -> TextureType = [textureType];
    /// The number of mip levels.
    pub fn mip_levels() -> usize = [mipmapLevelCount];
    /// The number of textures of an array.
    pub fn array_length() -> usize = [arrayLength];
    /// The number of samples of a pixel.
    pub fn sample_count() -> usize = [sampleCount];
    fn resource_id() -> MTLResourceID = [gpuResourceID];
    /// The intended uses of the texture.
    pub fn usage() -> TextureUsage = [usage];
    /// The storage mode.
    pub fn storage_mode() -> StorageMode = [storageMode];
    /// The number of bytes of memory that it uses.
    pub fn allocated_size() -> usize = [allocatedSize];
    /// Write pixels into a region.
    ///
    /// # Safety
    ///
    /// `data` points to the region's rows, `bytes_per_row` apart.
    pub unsafe fn replace_region(region: MTLRegion, mipmap: usize, data: *const c_void, bytes_per_row: usize)
        = [replaceRegion:mipmapLevel:withBytes:bytesPerRow:];
    /// Write pixels into a region of a slice; the images of 3D textures are consecutive.
    ///
    /// # Safety
    ///
    /// As for `replace_region`, and the images are `bytes_per_image` apart.
    pub unsafe fn replace_slice(
        region: MTLRegion, mipmap: usize, slice: usize, data: *const c_void, bytes_per_row: usize, bytes_per_image: usize
    ) = [replaceRegion:mipmapLevel:slice:withBytes:bytesPerRow:bytesPerImage:];
    /// Read pixels from a region.
    ///
    /// # Safety
    ///
    /// `data` points to memory for the region's rows, `bytes_per_row` apart.
    pub unsafe fn get_bytes(data: *mut c_void, bytes_per_row: usize, region: MTLRegion, mipmap: usize)
        = [getBytes:bytesPerRow:fromRegion:mipmapLevel:];
    /// Read pixels from a region of a slice.
    ///
    /// # Safety
    ///
    /// As for `get_bytes`, and there is room for images that are `bytes_per_image` apart.
    pub unsafe fn get_slice(
        data: *mut c_void, bytes_per_row: usize, bytes_per_image: usize, region: MTLRegion, mipmap: usize, slice: usize
    ) = [getBytes:bytesPerRow:bytesPerImage:fromRegion:mipmapLevel:slice:];
    /// A view of the same pixels in another format.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureCreationFailed`] if the formats are not compatible.
    pub fn view(format: PixelFormat) -> Result<Texture, GpuError>
        = [newTextureViewWithPixelFormat:] or GpuError::TextureCreationFailed;
    /// A view of some levels and slices, in another format and shape.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureCreationFailed`] if the formats, levels or slices do not fit.
    pub fn view_of(format: PixelFormat, ty: TextureType, levels: NSRange, slices: NSRange) -> Result<Texture, GpuError>
        = [newTextureViewWithPixelFormat:textureType:levels:slices:] or GpuError::TextureCreationFailed;
    fn buffer() -> Option<Buffer> = [buffer];
    fn parent() -> Option<Texture> = [parentTexture];
}

// SAFETY: Apple documents resources as safe to use from any thread.
unsafe impl Send for Texture {}
// SAFETY: as above.
unsafe impl Sync for Texture {}

impl Clone for Texture {
    /// Retains the texture.
    fn clone(&self) -> Self {
        // SAFETY: the object is a texture.
        unsafe { Self::from_object(self.object.clone()) }
    }
}

impl Texture {
    /// Write the pixels of a region from rows and images that are contiguous, without gaps.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureAccess`] if there is no such region, if the region has another number of bytes,
    /// if the CPU cannot access the texture, or if a command buffer that uses it was submitted and has
    /// not completed.
    ///
    /// ```
    /// use aruminium::{Gpu, MTLRegion, PixelFormat, Subresource, TextureDescriptor};
    /// let texture = Gpu::open()?.texture_with(&TextureDescriptor::new_2d(PixelFormat::RG32Float, 4, 4))?;
    /// let row = MTLRegion { origin: (0, 3, 0).into(), size: (4, 1, 1).into() };
    /// texture.write(Subresource::default(), row, &[[0.5f32, 1.0]; 4])?;
    /// let below = MTLRegion { origin: (0, 4, 0).into(), size: (4, 1, 1).into() };
    /// assert!(texture.write(Subresource::default(), below, &[[0.5f32, 1.0]; 4]).is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn write<T: Plain>(
        &self,
        place: Subresource,
        region: MTLRegion,
        pixels: &[T],
    ) -> Result<(), GpuError> {
        let (row, image) = self.strides(place, region, size_of_val(pixels))?;
        let _view = self.viewed(true)?;
        let data = pixels.as_ptr().cast();
        // SAFETY: the region is within the texture, and the slice is as long as its images are.
        unsafe { self.replace_slice(region, place.level, place.slice, data, row, image) };
        Ok(())
    }

    /// Read the pixels of a region, in the layout of [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write); command buffers that only read the texture do not matter.
    ///
    /// ```
    /// use aruminium::{Gpu, MTLRegion, PixelFormat, Subresource, TextureDescriptor};
    /// let texture = Gpu::open()?.texture_with(&TextureDescriptor::new_1d(PixelFormat::R16Uint, 4))?;
    /// let region = MTLRegion { origin: (2, 0, 0).into(), size: (2, 1, 1).into() };
    /// let mut pixels = [1u16; 2];
    /// texture.read(Subresource::default(), region, &mut pixels)?;
    /// assert_eq!(pixels, [0, 0]);
    /// assert!(texture.read(Subresource::default(), region, &mut [0u16; 3]).is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn read<T: Plain>(
        &self,
        place: Subresource,
        region: MTLRegion,
        pixels: &mut [T],
    ) -> Result<(), GpuError> {
        let (row, image) = self.strides(place, region, size_of_val(pixels))?;
        let _view = self.viewed(false)?;
        let data = pixels.as_mut_ptr().cast();
        // SAFETY: the region is within the texture, and the slice is as long as its images are; every pattern of
        // bytes is a value of a plain type.
        unsafe { self.get_slice(data, row, image, region, place.level, place.slice) };
        Ok(())
    }

    /// Opens a view of the texture for the duration of a copy.
    fn viewed(&self, writes: bool) -> Result<Option<ViewGuard<'_>>, GpuError> {
        let Some(footprint) = self.state.footprint(&self.object) else { return Ok(None) };
        // Copies of textures that lie in one heap do not conflict with each other; those of one texture and
        // of its views do.
        let root = std::iter::successors(self.parent(), Self::parent).last();
        let key = root.as_ref().unwrap_or(self).as_raw().as_ptr().addr();
        view(footprint, key..key + 1, writes, false)
            .map(Some)
            .map_err(|busy| GpuError::TextureAccess(busy.to_string()))
    }

    /// Whether another thread may be reading the same bytes through a buffer.
    fn lies_in_a_buffer(&self) -> bool {
        let mut parents = std::iter::successors(self.parent(), Self::parent);
        self.buffer().is_some() || parents.any(|parent| parent.buffer().is_some())
    }

    /// The distances in bytes from row to row and from image to image of a region within the texture, contiguous
    /// in `bytes` bytes.
    fn strides(
        &self,
        place: Subresource,
        region: MTLRegion,
        bytes: usize,
    ) -> Result<(usize, usize), GpuError> {
        let wrong = |why: String| Err(GpuError::TextureAccess(why));
        if matches!(self.storage_mode(), StorageMode::Private | StorageMode::Memoryless) {
            return wrong("it is private: copy it to a shared buffer with a Copier".into());
        }
        if self.lies_in_a_buffer() {
            return wrong("its pixels are a buffer's: read and write that".into());
        }
        if self.sample_count() > 1 {
            return wrong("its pixels have several samples, which only the GPU can read".into());
        }
        let format = PixelFormat(self.pixel_format());
        // One pixel is a block of formats that are not compressed.
        let block = format.block().or(format.bytes_per_pixel().map(|bytes| (1, 1, bytes)));
        let Some((columns, rows, bytes_of_block)) = block else {
            return wrong(format!("pixels of format {format:?} are not whole bytes each"));
        };
        let (ty, levels) = (self.texture_type(), self.mip_levels());
        let faces =
            if matches!(ty, TextureType::TypeCube | TextureType::TypeCubeArray) { 6 } else { 1 };
        let slices = self.array_length() * faces;
        let Subresource { slice, level } = place;
        if level >= levels || slice >= slices {
            return wrong(format!(
                "level {level} of slice {slice}: there are {levels} levels and {slices} slices"
            ));
        }
        let MTLRegion { origin, size } = region;
        let axes = [
            (origin.x, size.width, self.width()),
            (origin.y, size.height, self.height()),
            (origin.z, size.depth, self.depth()),
        ];
        for ((start, length, side), block) in axes.into_iter().zip([columns, rows, 1]) {
            let side = (side >> level).max(1);
            if length == 0 || start.checked_add(length).is_none_or(|end| end > side) {
                return wrong(format!("{region:?} is not within level {level}"));
            }
            if !start.is_multiple_of(block)
                || !length.is_multiple_of(block) && start + length != side
            {
                return wrong(format!(
                    "{region:?} cuts blocks, which have {columns} × {rows} pixels"
                ));
            }
        }
        // No overflow: the texture is at least as large.
        let row = size.width.div_ceil(columns) * bytes_of_block;
        let image = row * size.height.div_ceil(rows);
        match image * size.depth {
            needed if needed == bytes => {
                // Metal requires 0 as the distance of images if there is only one.
                Ok((row, if ty == TextureType::Type3D { image } else { 0 }))
            }
            needed => wrong(format!("{bytes} bytes for a region of {needed}")),
        }
    }
}

metal_class! {
    /// How a kernel samples a texture: filters, address modes, levels of detail.
    ///
    /// ```
    /// use aruminium::{Filter, Gpu, SamplerDescriptor};
    /// let descriptor = SamplerDescriptor::new();
    /// descriptor.set_min_filter(Filter::Linear);
    /// descriptor.set_mag_filter(Filter::Linear);
    /// descriptor.set_label("smooth");
    /// let sampler = Gpu::open()?.sampler(&descriptor)?;
    /// assert_eq!(sampler.label().as_deref(), Some("smooth"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Sampler: MTLSamplerState;

    /// The label, for tools and error messages.
    pub fn label() -> Option<String> = [label];
    fn resource_id() -> MTLResourceID = [gpuResourceID];
}

// SAFETY: Apple documents sampler states as safe to use from any thread.
unsafe impl Send for Sampler {}
// SAFETY: as above.
unsafe impl Sync for Sampler {}

macro_rules! gpu_id {
    ($($class:ident)+) => {$(
        impl $class {
            /// The number that stands for it in a buffer: the eight bytes of a member of a struct.
            ///
            /// ```
            /// use aruminium::{Gpu, PixelFormat, SamplerDescriptor, TextureDescriptor};
            /// let gpu = Gpu::open()?;
            /// let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 4))?;
            /// let sampler = gpu.sampler(&SamplerDescriptor::new())?;
            /// let members: [u64; 2] = [texture.gpu_id(), sampler.gpu_id()];
            /// # Ok::<(), aruminium::GpuError>(())
            /// ```
            pub fn gpu_id(&self) -> u64 {
                self.resource_id()._impl
            }
        }
    )+};
}

gpu_id!(Texture Sampler);
