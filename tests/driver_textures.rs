//! Textures and samplers: pixels from the CPU, from kernels and from copies.

#![allow(clippy::undocumented_unsafe_blocks)] // Rows and regions are as long as the arrays.

mod gpu;

use aruminium::{
    AddressMode, BorderColor, CpuCacheMode, Filter, GpuError, HazardTracking, ImageLayout,
    MTLOrigin, MTLRegion, MTLSize, MipFilter, NSRange, PixelFormat, Plain, ResourceOptions,
    SamplerDescriptor, StorageMode, Subresource, Texture, TextureDescriptor, TextureType,
    TextureUsage,
};
use gpu::Rig;

fn region(origin: (usize, usize, usize), size: (usize, usize, usize)) -> MTLRegion {
    MTLRegion { origin: MTLOrigin::from(origin), size: MTLSize::from(size) }
}

/// The whole of a texture's level.
fn whole(texture: &Texture, level: usize) -> MTLRegion {
    let size = |full: usize| (full >> level).max(1);
    region((0, 0, 0), (size(texture.width()), size(texture.height()), size(texture.depth())))
}

fn write<T: Plain>(texture: &Texture, pixels: &[T]) {
    let row = texture.width() * size_of::<T>();
    assert_eq!(pixels.len(), texture.width() * texture.height());
    unsafe { texture.replace_region(whole(texture, 0), 0, pixels.as_ptr().cast(), row) }
}

fn read<T: Plain + Default>(texture: &Texture, level: usize) -> Vec<T> {
    let region = whole(texture, level);
    let (width, height) = (region.size.width, region.size.height);
    let mut pixels = vec![T::default(); width * height];
    unsafe { texture.get_bytes(pixels.as_mut_ptr().cast(), width * size_of::<T>(), region, level) }
    pixels
}

fn for_kernels(descriptor: TextureDescriptor) -> TextureDescriptor {
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    descriptor
}

#[test]
fn a_texture_reports_its_shape() {
    let rig = Rig::new();
    let two =
        rig.gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 17, 5)).unwrap();
    assert_eq!((two.width(), two.height(), two.depth()), (17, 5, 1));
    assert_eq!(two.pixel_format(), PixelFormat::RGBA8Unorm.0);
    assert_eq!(
        (two.texture_type(), two.mip_levels(), two.array_length()),
        (TextureType::Type2D, 1, 1)
    );
    assert!(two.allocated_size() >= 17 * 5 * 4);
    let three =
        rig.gpu.texture_with(&TextureDescriptor::new_3d(PixelFormat::R32Float, 4, 6, 8)).unwrap();
    assert_eq!((three.width(), three.height(), three.depth()), (4, 6, 8));
    assert_eq!(
        (three.texture_type(), three.pixel_format()),
        (TextureType::Type3D, PixelFormat::R32Float.0)
    );
    let one = rig.gpu.texture_with(&TextureDescriptor::new_1d(PixelFormat::R8Uint, 33)).unwrap();
    assert_eq!((one.width(), one.height(), one.texture_type()), (33, 1, TextureType::Type1D));
    let array = rig
        .gpu
        .texture_with(&TextureDescriptor::new_2d_array(PixelFormat::R8Uint, 4, 4, 3))
        .unwrap();
    assert_eq!((array.array_length(), array.texture_type()), (3, TextureType::Type2DArray));
    array.set_label("layers");
    assert_eq!(array.label().as_deref(), Some("layers"));
}

#[test]
fn descriptors_return_the_values_that_were_set() {
    let descriptor = TextureDescriptor::default();
    descriptor.set_texture_type(TextureType::Type2DArray);
    descriptor.set_pixel_format(PixelFormat::RG16Float);
    descriptor.set_width(64);
    descriptor.set_height(32);
    descriptor.set_depth(1);
    descriptor.set_mip_levels(3);
    descriptor.set_array_length(2);
    let usage = TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE;
    descriptor.set_usage(usage);
    descriptor.set_storage_mode(StorageMode::Private);
    descriptor.set_cpu_cache_mode(CpuCacheMode::WriteCombined);
    descriptor.set_hazard_tracking(HazardTracking::Tracked);
    assert_eq!(descriptor.texture_type(), TextureType::Type2DArray);
    assert_eq!(descriptor.pixel_format(), PixelFormat::RG16Float);
    assert_eq!((descriptor.width(), descriptor.height(), descriptor.depth()), (64, 32, 1));
    assert_eq!((descriptor.mip_levels(), descriptor.array_length()), (3, 2));
    assert_eq!((descriptor.usage(), descriptor.storage_mode()), (usage, StorageMode::Private));
    let texture = Rig::new().gpu.texture_with(&descriptor).unwrap();
    assert_eq!((texture.mip_levels(), texture.array_length()), (3, 2));
    assert_eq!((texture.usage(), texture.storage_mode()), (usage, StorageMode::Private));
    // All three in one word, for which the wrapper has no getter.
    // SAFETY: the method is of this type.
    let options =
        || ResourceOptions(unsafe { aruminium::msg!(descriptor, [resourceOptions] -> usize) });
    assert!(
        options().contains(ResourceOptions::STORAGE_PRIVATE | ResourceOptions::CPU_WRITE_COMBINED)
    );
    assert!(options().contains(ResourceOptions::HAZARD_TRACKED));
    descriptor.set_resource_options(ResourceOptions::STORAGE_SHARED);
    assert_eq!(descriptor.storage_mode(), StorageMode::Shared);
    assert!(!options().contains(ResourceOptions::CPU_WRITE_COMBINED));
}

#[test]
fn pixels_are_written_and_read_back() {
    let rig = Rig::new();
    let texture =
        rig.gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R32Uint, 8, 4)).unwrap();
    let pixels: Vec<u32> = (0..32).collect();
    write(&texture, &pixels);
    assert_eq!(read::<u32>(&texture, 0), pixels);
    // A region in the middle, from rows that are longer than it.
    let rows = [90u32, 91, 0, 92, 93, 0];
    unsafe { texture.replace_region(region((2, 1, 0), (2, 2, 1)), 0, rows.as_ptr().cast(), 12) }
    let mut expected = pixels;
    (expected[10], expected[11], expected[18], expected[19]) = (90, 91, 92, 93);
    assert_eq!(read::<u32>(&texture, 0), expected);
    let mut part = [0u32; 4];
    unsafe { texture.get_bytes(part.as_mut_ptr().cast(), 8, region((2, 1, 0), (2, 2, 1)), 0) }
    assert_eq!(part, [90, 91, 92, 93]);
}

#[test]
fn slices_and_levels_do_not_overlap() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d_array(PixelFormat::R8Uint, 4, 4, 2);
    descriptor.set_mip_levels(2);
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    for slice in 0..2u8 {
        for level in 0..2u8 {
            let pixels = [10 * slice + level + 1; 16];
            let (region, row) = (whole(&texture, level.into()), 4 >> level);
            unsafe {
                let pixels = pixels.as_ptr().cast();
                texture.replace_slice(region, level.into(), slice.into(), pixels, row, 16);
            }
        }
    }
    for slice in 0..2u8 {
        for level in 0..2u8 {
            let (region, row) = (whole(&texture, level.into()), 4usize >> level);
            let mut pixels = vec![0u8; row * row];
            unsafe {
                let pixels = pixels.as_mut_ptr().cast();
                texture.get_slice(pixels, row, row * row, region, level.into(), slice.into());
            }
            assert!(pixels.iter().all(|&pixel| pixel == 10 * slice + level + 1));
        }
    }
}

#[test]

fn a_kernel_reads_and_writes_pixels() {
    let rig = Rig::new();
    let make = || for_kernels(TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 20, 10));
    let (from, to) =
        (rig.gpu.texture_with(&make()).unwrap(), rig.gpu.texture_with(&make()).unwrap());
    let pixels: Vec<[u8; 4]> = (0..200).map(|i| [i, 255 - i, 7, 255]).collect();
    write(&from, &pixels);
    let swap = rig.kernel(
        "kernel void swap(texture2d<float, access::read> from [[texture(0)]],
            texture2d<float, access::write> to [[texture(1)]], uint2 p [[thread_position_in_grid]]) {
            if (p.x >= from.get_width() || p.y >= from.get_height()) return;
            to.write(from.read(p).bgra, p);
        }",
    );
    rig.run(|encoder| {
        encoder.bind(&swap);
        encoder.bind_texture(&from, 0);
        encoder.bind_texture(&to, 1);
        encoder.launch((20, 10, 1), (8, 8, 1));
    })
    .unwrap();
    let swapped: Vec<[u8; 4]> = pixels.iter().map(|&[r, g, b, a]| [b, g, r, a]).collect();
    assert_eq!(read::<[u8; 4]>(&to, 0), swapped);
}

#[test]
fn samplers_are_made_of_descriptors() {
    let rig = Rig::new();
    let descriptor = SamplerDescriptor::new();
    descriptor.set_label("nearest");
    let sampler = rig.gpu.sampler(&descriptor).unwrap();
    assert_eq!(sampler.label().as_deref(), Some("nearest"));
    // A kernel without samplers ignores one.
    let (fill, out) =
        (rig.kernel("kernel void fill(device int *x) { x[0] = 5; }"), rig.gpu.buffer(4).unwrap());
    rig.run(|encoder| {
        encoder.bind(&fill);
        encoder.bind_sampler(&sampler, 3);
        encoder.bind_buffer(&out, 0, 0);
        encoder.launch((1, 1, 1), (1, 1, 1));
    })
    .unwrap();
    assert_eq!(out.read_as(|x: &[i32]| x[0]), 5);
}

/// Samples a row of four numbers at eight coordinates.
fn sampled(rig: &Rig, descriptor: &SamplerDescriptor) -> Vec<f32> {
    let texture = rig
        .gpu
        .texture_with(&for_kernels(TextureDescriptor::new_2d(PixelFormat::R32Float, 4, 1)))
        .unwrap();
    write(&texture, &[1.0f32, 2.0, 3.0, 4.0]);
    let sampler = rig.gpu.sampler(descriptor).unwrap();
    let output = rig.gpu.buffer(8 * 4).unwrap();
    let pipeline = rig.kernel(
        "kernel void look(texture2d<float> from [[texture(0)]], sampler s [[sampler(0)]], device float *out,
            uint i [[thread_position_in_grid]]) {
            out[i] = from.sample(s, float2((float(i) - 1.5f) / 4.0f, 0.5f)).x;
        }",
    );
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_texture(&texture, 0);
        encoder.bind_sampler(&sampler, 0);
        encoder.bind_buffer(&output, 0, 0);
        encoder.launch((8, 1, 1), (8, 1, 1));
    })
    .unwrap();
    output.read_f32(<[f32]>::to_vec)
}

#[test]

fn a_sampler_determines_pixels_outside_of_the_texture() {
    let rig = Rig::new();
    let with = |mode: AddressMode| {
        let descriptor = SamplerDescriptor::new();
        descriptor.set_address_mode(mode);
        descriptor.set_label("outside");
        sampled(&rig, &descriptor)
    };
    assert_eq!(with(AddressMode::ClampToEdge), [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0]);
    assert_eq!(with(AddressMode::Repeat), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0]);
    assert_eq!(with(AddressMode::MirrorRepeat), [2.0, 1.0, 1.0, 2.0, 3.0, 4.0, 4.0, 3.0]);
    assert_eq!(with(AddressMode::ClampToZero), [0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0]);
    let descriptor = SamplerDescriptor::default();
    descriptor.set_address_mode(AddressMode::ClampToBorderColor);
    descriptor.set_border_color(BorderColor::OpaqueWhite);
    assert_eq!(sampled(&rig, &descriptor), [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 1.0, 1.0]);
}

#[test]

fn a_linear_filter_mixes_neighbours() {
    let rig = Rig::new();
    let descriptor = SamplerDescriptor::new();
    descriptor.set_normalized_coordinates(true);
    descriptor.set_min_filter(Filter::Linear);
    descriptor.set_mag_filter(Filter::Linear);
    descriptor.set_mip_filter(MipFilter::NotMipmapped);
    descriptor.set_lod_min(0.0);
    descriptor.set_lod_max(4.0);
    let texture = rig
        .gpu
        .texture_with(&for_kernels(TextureDescriptor::new_2d(PixelFormat::R32Float, 2, 1)))
        .unwrap();
    write(&texture, &[0.0f32, 8.0]);
    let sampler = rig.gpu.sampler(&descriptor).unwrap();
    let output = rig.gpu.buffer(5 * 4).unwrap();
    let pipeline = rig.kernel(
        "kernel void mix_them(texture2d<float> from [[texture(0)]], sampler s [[sampler(0)]], device float *out,
            uint i [[thread_position_in_grid]]) {
            out[i] = from.sample(s, float2(0.25f + float(i) * 0.125f, 0.5f)).x;
        }",
    );
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_texture(&texture, 0);
        encoder.bind_sampler(&sampler, 0);
        encoder.bind_buffer(&output, 0, 0);
        encoder.launch((5, 1, 1), (5, 1, 1));
    })
    .unwrap();
    assert_eq!(output.read_f32(<[f32]>::to_vec), [0.0, 2.0, 4.0, 6.0, 8.0]);
}

#[test]
fn copies_go_between_buffers_and_textures() {
    let rig = Rig::new();
    let make =
        || rig.gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R16Uint, 4, 4)).unwrap();
    let (a, b, c) = (make(), make(), make());
    let start: Vec<u8> = (0u16..16).flat_map(u16::to_ne_bytes).collect();
    let (from, to) = (rig.gpu.buffer_with_data(&start).unwrap(), rig.gpu.buffer(64).unwrap());
    let layout = ImageLayout { offset: 0, bytes_per_row: 8, bytes_per_image: 0 };
    let place = Subresource::default();
    let commands = rig.queue.commands().unwrap();
    let copier = commands.copier().unwrap();
    copier.copy_to_texture(&from, layout, &a, place, whole(&a, 0));
    copier.copy_texture(&a, &b);
    copier.copy_region(
        &b,
        place,
        region((0, 0, 0), (2, 2, 1)),
        &c,
        place,
        MTLOrigin::from((2, 1, 0)),
    );
    copier.copy_from_texture(&c, place, whole(&c, 0), &to, ImageLayout { offset: 32, ..layout });
    copier.synchronize(&to);
    copier.finish();
    commands.submit();
    commands.finish().unwrap();
    assert_eq!(read::<u16>(&b, 0), (0..16).collect::<Vec<u16>>());
    let mut expected = [0u16; 32];
    (expected[22], expected[23], expected[26], expected[27]) = (0, 1, 4, 5);
    assert_eq!(to.read_as(|x: &[u16]| x.to_vec()), expected);
}

#[test]
fn mip_levels_are_made_from_the_first() {
    let rig = Rig::new();
    let descriptor = for_kernels(TextureDescriptor::new_2d(PixelFormat::R32Float, 4, 4));
    descriptor.set_mip_levels(3);
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    write(&texture, &(0u8..16).map(f32::from).collect::<Vec<f32>>());
    let commands = rig.queue.commands().unwrap();
    let copier = commands.copier().unwrap();
    copier.generate_mipmaps(&texture);
    copier.finish();
    commands.submit();
    commands.finish().unwrap();
    assert_eq!(read::<f32>(&texture, 1), [2.5, 4.5, 10.5, 12.5]);
    assert_eq!(read::<f32>(&texture, 2), [7.5]);
}

#[test]
fn a_view_reads_the_same_pixels_in_another_way() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d_array(PixelFormat::RGBA8Unorm, 4, 4, 2);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::PIXEL_FORMAT_VIEW);
    let array = rig.gpu.texture_with(&descriptor).unwrap();
    let slices = NSRange::from(1..2);
    let view = array
        .view_of(PixelFormat::RGBA8Uint, TextureType::Type2D, NSRange::from(0..1), slices)
        .unwrap();
    assert_eq!(
        (view.texture_type(), view.pixel_format()),
        (TextureType::Type2D, PixelFormat::RGBA8Uint.0)
    );
    let pixels = [[1u8, 2, 3, 4]; 16];
    write(&view, &pixels);
    let mut second = [[0u8; 4]; 16];
    unsafe { array.get_slice(second.as_mut_ptr().cast(), 16, 64, whole(&array, 0), 0, 1) }
    assert_eq!(second, pixels);
    let whole_view = array.view(PixelFormat::RGBA8Uint).unwrap();
    assert_eq!(
        (whole_view.array_length(), whole_view.pixel_format()),
        (2, PixelFormat::RGBA8Uint.0)
    );
}

#[test]
fn a_buffers_memory_can_be_a_texture() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer(64 * 4).unwrap();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 16, 4);
    let texture = buffer.texture(&descriptor, 0, 64).unwrap();
    buffer.write_as(|x: &mut [u32]| x.iter_mut().zip(0..).for_each(|(x, i)| *x = i));
    assert_eq!(read::<u32>(&texture, 0), (0..64).collect::<Vec<u32>>());

    // A reader of the buffer's bytes must not see them change.
    let all = MTLRegion { origin: (0, 0, 0).into(), size: (16, 4, 1).into() };
    for texture in [&texture, &texture.view(PixelFormat::R32Float).unwrap()] {
        let written = texture.write(Subresource::default(), all, &[7u32; 64]);
        assert!(matches!(written, Err(GpuError::TextureAccess(_))));
    }
    assert!(texture.read(Subresource::default(), all, &mut [0u32; 64]).is_err());
}

#[test]
fn a_descriptor_of_another_library_is_accepted() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Float, 3, 2);
    let texture = unsafe { rig.gpu.texture(descriptor.as_raw()) }.unwrap();
    assert_eq!((texture.width(), texture.height()), (3, 2));
}

#[test]
#[cfg(not(target_vendor = "apple"))] // Apple's Metal ends the process, with validation on.
fn impossible_textures_are_refused() {
    let rig = Rig::new();
    let wrong = [
        TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 0, 4),
        TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 1 << 20, 4),
        TextureDescriptor::new_2d(PixelFormat(9_999), 4, 4),
        TextureDescriptor::new_3d(PixelFormat::RGBA8Unorm, 4, 4, 1 << 20),
    ];
    for descriptor in wrong {
        let Err(GpuError::TextureCreationFailed(why)) = rig.gpu.texture_with(&descriptor) else {
            panic!("{descriptor:?}");
        };
        assert!(why.contains(&format!("{} ×", descriptor.width())), "{why}");
    }
    // The faces of a cube are square.
    let six = TextureDescriptor::new_2d_array(PixelFormat::R8Unorm, 8, 4, 6);
    let six = rig.gpu.texture_with(&six).unwrap();
    let cube = |levels: NSRange| {
        six.view_of(PixelFormat::R8Unorm, TextureType::TypeCube, levels, (0..6).into())
    };
    assert!(cube((0..1).into()).is_err());
}

#[test]
fn checked_writes_and_reads_reach_every_slice_and_level() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d_array(PixelFormat::R16Uint, 4, 2, 2);
    descriptor.set_mip_levels(2);
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    let places =
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(slice, level)| Subresource { slice, level });
    for (value, place) in (1u16..).zip(places) {
        let region = whole(&texture, place.level);
        let pixels = vec![value; region.size.width * region.size.height];
        texture.write(place, region, &pixels).unwrap();
    }
    texture.write(places[2], region((1, 1, 0), (2, 1, 1)), &[7u16, 8]).unwrap();
    for (value, place) in (1u16..).zip(places) {
        let mut pixel = [0u16];
        texture.read(place, region((0, 0, 0), (1, 1, 1)), &mut pixel).unwrap();
        assert_eq!(pixel, [value]);
    }
    let mut all = [0u16; 8];
    texture.read(places[2], whole(&texture, 0), &mut all).unwrap();
    assert_eq!(all, [3, 3, 3, 3, 3, 7, 8, 3]);

    let volume =
        rig.gpu.texture_with(&TextureDescriptor::new_3d(PixelFormat::RGBA8Unorm, 2, 2, 3)).unwrap();
    let bytes: Vec<[u8; 4]> = (0..12).map(|i| [i; 4]).collect();
    volume.write(Subresource::default(), whole(&volume, 0), &bytes).unwrap();
    let mut one = [[0u8; 4]];
    volume.read(Subresource::default(), region((1, 0, 2), (1, 1, 1)), &mut one).unwrap();
    assert_eq!(one, [[9; 4]]);
}

#[test]
fn access_outside_a_texture_is_an_error() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 4);
    descriptor.set_mip_levels(2);
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    let at = |slice, level| Subresource { slice, level };
    let wrong = [
        (at(0, 0), region((0, 0, 0), (5, 1, 1)), 5),
        (at(0, 0), region((4, 0, 0), (1, 1, 1)), 1),
        (at(0, 0), region((0, usize::MAX, 0), (1, 1, 1)), 1),
        (at(0, 0), region((0, 0, 0), (1, 1, usize::MAX)), 1),
        (at(0, 0), region((0, 0, 0), (0, 1, 1)), 0),
        (at(0, 1), region((0, 0, 0), (3, 1, 1)), 3),
        (at(0, 2), region((0, 0, 0), (1, 1, 1)), 1),
        (at(1, 0), region((0, 0, 0), (1, 1, 1)), 1),
        (at(0, 0), region((0, 0, 0), (4, 4, 1)), 15),
        (at(0, 0), region((0, 0, 0), (4, 4, 1)), 17),
    ];
    for (place, region, bytes) in wrong {
        let mut pixels = vec![1u8; bytes];
        let written = texture.write(place, region, &pixels);
        let read = texture.read(place, region, &mut pixels);
        for result in [written, read] {
            assert!(
                matches!(result, Err(aruminium::GpuError::TextureAccess(_))),
                "{place:?} {region:?} {bytes}: {result:?}"
            );
        }
    }
    assert!(read::<u8>(&texture, 0).iter().all(|&pixel| pixel == 0));

    descriptor.set_storage_mode(StorageMode::Private);
    let private = rig.gpu.texture_with(&descriptor).unwrap();
    let why = private.write(at(0, 0), region((0, 0, 0), (1, 1, 1)), &[0u8]).unwrap_err();
    assert!(why.to_string().contains("private"), "{why}");
}

/// Rows of blocks, from the CPU to a kernel and back.
#[test]
fn compressed_textures_are_written_in_blocks() {
    let rig = Rig::new();
    if !rig.gpu.supports_bc_formats() {
        return;
    }
    let texture =
        rig.gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::BC4_RUnorm, 6, 6)).unwrap();
    let all = region((0, 0, 0), (6, 6, 1));
    // Both endpoints of a block are its number.
    let blocks = [0u64, 51, 102, 255].map(|value| value | value << 8);
    texture.write(Subresource::default(), all, &blocks).unwrap();
    texture.write(Subresource::default(), region((4, 0, 0), (2, 4, 1)), &blocks[3..]).unwrap();
    let mut back = [0u64; 2];
    texture.read(Subresource::default(), region((4, 0, 0), (2, 6, 1)), &mut back).unwrap();
    assert_eq!(back, [blocks[3], blocks[3]]);
    for wrong in [region((1, 0, 0), (4, 4, 1)), region((0, 0, 0), (3, 4, 1))] {
        let why = texture.write(Subresource::default(), wrong, &blocks[..1]).unwrap_err();
        assert!(why.to_string().contains("blocks, which have 4 × 4 pixels"), "{why}");
    }
    let look = rig.kernel(
        "kernel void look(texture2d<float, access::read> from [[texture(0)]], device float *out,
            uint2 p [[thread_position_in_grid]]) { out[p.y * 6 + p.x] = from.read(p).x; }",
    );
    let out = rig.gpu.buffer(36 * 4).unwrap();
    rig.run(|encoder| {
        encoder.bind(&look);
        encoder.bind_texture(&texture, 0);
        encoder.bind_buffer(&out, 0, 0);
        encoder.launch((6, 6, 1), (6, 6, 1));
    })
    .unwrap();
    let found = out.read_f32(|all| all.to_vec());
    assert_eq!([found[0], found[4], found[30], found[35]], [0.0, 1.0, 0.4, 1.0]);
}

#[test]
fn samples_are_not_the_cpus() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Float, 4, 4);
    descriptor.set_texture_type(TextureType::Type2DMultisample);
    descriptor.set_sample_count(4);
    descriptor.set_storage_mode(StorageMode::Private);
    assert_eq!(descriptor.sample_count(), 4);
    assert!(rig.gpu.supports_sample_count(4) && !rig.gpu.supports_sample_count(5));
    let texture = rig.gpu.texture_with(&descriptor).unwrap();
    assert_eq!((texture.sample_count(), texture.depth()), (4, 1));
    #[cfg(not(target_vendor = "apple"))] // There such textures are private.
    {
        descriptor.set_storage_mode(StorageMode::Shared);
        let texture = rig.gpu.texture_with(&descriptor).unwrap();
        let all = region((0, 0, 0), (4, 4, 1));
        let why = texture.read(Subresource::default(), all, &mut [0.0f32; 16]).unwrap_err();
        assert!(why.to_string().contains("several samples"), "{why}");
    }
}

/// 16 pixels take 16 times as much, for each format that has a size.
#[test]
#[cfg(not(target_vendor = "apple"))] // The layout of Apple's textures is private.
fn sizes_of_pixels_are_right() {
    let rig = Rig::new();
    let formats = aruminium::enums::ENUMS.iter().find(|info| info.rust == "PixelFormat").unwrap();
    let mut made = 0;
    for &(name, value) in formats.values {
        let format = PixelFormat(value as usize);
        let texture = rig.gpu.texture_with(&TextureDescriptor::new_2d(format, 4, 4));
        if let (Some(bytes), Ok(texture)) = (format.bytes_per_pixel(), &texture) {
            assert_eq!(texture.allocated_size(), 16 * bytes, "{name}");
            made += 1;
        }
    }
    assert!(made > 40, "{made}");
}

/// The wrappers only write; the values are read back by messages.
#[test]
fn sampler_descriptors_store_the_values_that_were_set() {
    let descriptor = SamplerDescriptor::new();
    descriptor.set_min_filter(Filter::Linear);
    descriptor.set_mag_filter(Filter::Linear);
    descriptor.set_mip_filter(MipFilter::Linear);
    descriptor.set_address_x(AddressMode::Repeat);
    descriptor.set_address_y(AddressMode::MirrorRepeat);
    descriptor.set_address_z(AddressMode::ClampToZero);
    descriptor.set_border_color(BorderColor::OpaqueWhite);
    descriptor.set_normalized_coordinates(false);
    descriptor.set_lod_min(1.5);
    descriptor.set_lod_max(2.5);
    unsafe {
        use aruminium::msg;
        assert_eq!(msg!(descriptor, [minFilter] -> Filter), Filter::Linear);
        assert_eq!(msg!(descriptor, [magFilter] -> Filter), Filter::Linear);
        assert_eq!(msg!(descriptor, [mipFilter] -> MipFilter), MipFilter::Linear);
        assert_eq!(msg!(descriptor, [sAddressMode] -> AddressMode), AddressMode::Repeat);
        assert_eq!(msg!(descriptor, [tAddressMode] -> AddressMode), AddressMode::MirrorRepeat);
        assert_eq!(msg!(descriptor, [rAddressMode] -> AddressMode), AddressMode::ClampToZero);
        assert_eq!(msg!(descriptor, [borderColor] -> BorderColor), BorderColor::OpaqueWhite);
        assert!(!msg!(descriptor, [normalizedCoordinates] -> bool));
        assert_eq!(msg!(descriptor, [lodMinClamp] -> f32), 1.5);
        assert_eq!(msg!(descriptor, [lodMaxClamp] -> f32), 2.5);
        descriptor.set_address_mode(AddressMode::ClampToEdge);
        assert_eq!(msg!(descriptor, [rAddressMode] -> AddressMode), AddressMode::ClampToEdge);
    }
}
