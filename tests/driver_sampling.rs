//! Kernels that read, write and sample textures, compared with plain Rust.

#![allow(clippy::undocumented_unsafe_blocks)] // Rows and regions are as long as the arrays.

mod gpu;

use aruminium::{
    AddressMode, BorderColor, Buffer, ConstantValues, Filter, GpuError, MTLRegion, MTLSize,
    MipFilter, PixelFormat, Sampler, SamplerDescriptor, Texture, TextureDescriptor, TextureType,
    TextureUsage,
};
use gpu::Rig;

fn usable(rig: &Rig, descriptor: &TextureDescriptor) -> Texture {
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    rig.gpu.texture_with(descriptor).unwrap()
}

/// Fills a level of a slice with floats.
fn fill(texture: &Texture, level: usize, slice: usize, pixels: &[f32]) {
    let side = |full: usize| (full >> level).max(1);
    let size = (side(texture.width()), side(texture.height()), side(texture.depth()));
    assert_eq!(pixels.len(), size.0 * size.1 * size.2);
    let region = MTLRegion { size: MTLSize::from(size), ..MTLRegion::default() };
    let (row, image) = (size.0 * 4, size.0 * size.1 * 4);
    unsafe { texture.replace_slice(region, level, slice, pixels.as_ptr().cast(), row, image) }
}

/// Runs a kernel over a line of threads with the arguments bound in the order of the lists: buffer 0 is `out`.
fn run(
    rig: &Rig,
    source: &str,
    threads: usize,
    textures: &[&Texture],
    samplers: &[&Sampler],
    out: &Buffer,
) -> Result<(), GpuError> {
    let pipeline = rig.kernel(source);
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(out, 0, 0);
        for (index, texture) in textures.iter().enumerate() {
            encoder.bind_texture(texture, index);
        }
        for (index, sampler) in samplers.iter().enumerate() {
            encoder.bind_sampler(sampler, index);
        }
        encoder.launch((threads, 1, 1), (threads.min(64), 1, 1));
    })
}

fn floats(
    rig: &Rig,
    source: &str,
    count: usize,
    textures: &[&Texture],
    s: &[&Sampler],
) -> Vec<f32> {
    let out = rig.gpu.buffer(count * 4).unwrap();
    run(rig, source, count, textures, s, &out).unwrap();
    out.read_f32(<[f32]>::to_vec)
}

const MODES: [AddressMode; 6] = [
    AddressMode::ClampToEdge,
    AddressMode::MirrorClampToEdge,
    AddressMode::Repeat,
    AddressMode::MirrorRepeat,
    AddressMode::ClampToZero,
    AddressMode::ClampToBorderColor,
];

/// The index in a row of `size` pixels for an integer coordinate; `None` for the border.
fn addressed(mode: AddressMode, at: i64, size: i64) -> Option<i64> {
    let mirrored = |at: i64| {
        // 0 1 2 2 1 0 0 1 2 …
        let place = (at % (2 * size) + 2 * size) % (2 * size);
        if place < size { place } else { 2 * size - 1 - place }
    };
    match mode {
        AddressMode::ClampToEdge => Some(at.max(0).min(size - 1)),
        AddressMode::MirrorClampToEdge if at < -size || at >= size => Some(size - 1),
        AddressMode::MirrorClampToEdge | AddressMode::MirrorRepeat => Some(mirrored(at)),
        AddressMode::Repeat => Some((at % size + size) % size),
        _ => (0..size).contains(&at).then_some(at),
    }
}

/// The expected result of a sampler, computed a pixel at a time.
fn expected(
    picture: &[f32],
    size: (i64, i64),
    mode: AddressMode,
    filter: Filter,
    at: (f64, f64),
) -> f64 {
    let border = if mode == AddressMode::ClampToBorderColor { 1.0 } else { 0.0 };
    let pixel = |x: i64, y: i64| match (addressed(mode, x, size.0), addressed(mode, y, size.1)) {
        (Some(x), Some(y)) => f64::from(picture[(y * size.0 + x) as usize]),
        _ => border,
    };
    if filter == Filter::Nearest {
        return pixel(at.0.floor() as i64, at.1.floor() as i64);
    }
    let (x, y) = (at.0 - 0.5, at.1 - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (right_share, low_share) = (x - left, y - top);
    let (left, top) = (left as i64, top as i64);
    let row = |y: i64| pixel(left, y) * (1.0 - right_share) + pixel(left + 1, y) * right_share;
    row(top) * (1.0 - low_share) + row(top + 1) * low_share
}

#[test]
fn every_address_mode_and_filter_agrees_with_rust() {
    let rig = Rig::new();
    let size = (5usize, 3usize);
    let picture: Vec<f32> = (0..15).map(|i| (i * 7 % 15) as f32 - 3.0).collect();
    let texture = usable(&rig, &TextureDescriptor::new_2d(PixelFormat::R32Float, size.0, size.1));
    fill(&texture, 0, 0, &picture);
    const SIDE: usize = 40;
    // From -2 to 3 of the texture, never at the edge between two pixels.
    let source = |unit: &str| {
        format!(
            "kernel void look(texture2d<float> image [[texture(0)]], sampler s [[sampler(0)]],
                              device float *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {{
                 float2 at = float2(i % {SIDE}, i / {SIDE}) * 0.125f - 1.99f;
                 out[i] = image.sample(s, {unit}).x;
             }}"
        )
    };
    for normalized in [true, false] {
        for mode in MODES {
            let wraps = matches!(
                mode,
                AddressMode::Repeat | AddressMode::MirrorRepeat | AddressMode::MirrorClampToEdge
            );
            // MSL 2.10: pixel coordinates do not repeat.
            if wraps && !normalized {
                continue;
            }
            for filter in [Filter::Nearest, Filter::Linear] {
                let descriptor = SamplerDescriptor::new();
                descriptor.set_address_mode(mode);
                descriptor.set_border_color(BorderColor::OpaqueWhite);
                descriptor.set_min_filter(filter);
                descriptor.set_mag_filter(filter);
                descriptor.set_normalized_coordinates(normalized);
                let sampler = rig.gpu.sampler(&descriptor).unwrap();
                let source = source(if normalized { "at" } else { "at * float2(5, 3)" });
                let found = floats(&rig, &source, SIDE * SIDE, &[&texture], &[&sampler]);
                for (i, found) in found.into_iter().enumerate() {
                    let place = |k: usize| f64::from(k as f32 * 0.125 - 1.99);
                    let at = (place(i % SIDE) * 5.0, place(i / SIDE) * 3.0);
                    let want = expected(&picture, (5, 3), mode, filter, at);
                    assert!(
                        (f64::from(found) - want).abs() < 1e-4,
                        "{mode:?} {filter:?} at {at:?}: {found}, not {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn each_side_has_its_own_address_mode() {
    let rig = Rig::new();
    let texture = usable(&rig, &TextureDescriptor::new_3d(PixelFormat::R32Float, 2, 2, 2));
    fill(&texture, 0, 0, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let descriptor = SamplerDescriptor::new();
    descriptor.set_address_x(AddressMode::Repeat);
    descriptor.set_address_y(AddressMode::ClampToEdge);
    descriptor.set_address_z(AddressMode::MirrorRepeat);
    let sampler = rig.gpu.sampler(&descriptor).unwrap();
    let source = "kernel void look(texture3d<float> t [[texture(0)]], sampler s [[sampler(0)]],
                                   device float *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        const float3 steps[4] = {float3(0), float3(1, 0, 0), float3(0, 1, 0), float3(0, 0, 1)};
        out[i] = t.sample(s, float3(0.25f) + steps[i]).x;
    }";
    // Repeat: the first; clamp: the last; mirror: the last of the mirrored image.
    assert_eq!(floats(&rig, source, 4, &[&texture], &[&sampler]), [0.0, 0.0, 2.0, 4.0]);
}

#[test]
fn mip_levels_are_chosen_and_interpolated() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Float, 8, 8);
    descriptor.set_mip_levels(4);
    let texture = usable(&rig, &descriptor);
    for level in 0..4usize {
        let side = 8 >> level;
        fill(&texture, level, 0, &vec![(level * 10) as f32; side * side]);
    }
    let source = "kernel void look(texture2d<float> t [[texture(0)]], sampler s [[sampler(0)]],
                                   device float *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        out[i] = t.sample(s, float2(0.3f), level(float(i) * 0.25f)).x;
    }";
    let found = |mip, least, most| {
        let descriptor = SamplerDescriptor::new();
        descriptor.set_mip_filter(mip);
        descriptor.set_lod_min(least);
        descriptor.set_lod_max(most);
        let sampler = rig.gpu.sampler(&descriptor).unwrap();
        floats(&rig, source, 17, &[&texture], &[&sampler])
    };
    let lods: Vec<f32> = (0..17).map(|i| i as f32 * 0.25).collect();
    let want = |value: &dyn Fn(f32) -> f32| lods.iter().map(|&lod| value(lod)).collect::<Vec<_>>();
    assert_eq!(found(MipFilter::NotMipmapped, 0.0, 100.0), want(&|_| 0.0));
    assert_eq!(found(MipFilter::Linear, 0.0, 100.0), want(&|lod| lod.min(3.0) * 10.0));
    assert_eq!(found(MipFilter::Linear, 0.5, 2.0), want(&|lod| lod.clamp(0.5, 2.0) * 10.0));
    let rounded = |lod: f32| (lod + 0.5).floor().min(3.0) * 10.0;
    assert_eq!(found(MipFilter::Nearest, 0.0, 100.0), want(&rounded));
}

/// The filter when pixels are smaller than those of the picture, and when they are larger.
#[test]
fn minification_has_its_own_filter() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Float, 2, 1);
    descriptor.set_mip_levels(2);
    let texture = usable(&rig, &descriptor);
    fill(&texture, 0, 0, &[0.0, 8.0]);
    fill(&texture, 1, 0, &[100.0]);
    let descriptor = SamplerDescriptor::new();
    descriptor.set_min_filter(Filter::Linear);
    descriptor.set_mag_filter(Filter::Nearest);
    let sampler = rig.gpu.sampler(&descriptor).unwrap();
    let source = "kernel void look(texture2d<float> t [[texture(0)]], sampler s [[sampler(0)]],
                                   device float *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        out[i] = t.sample(s, float2(0.5f), level(float(i))).x;
    }";
    assert_eq!(floats(&rig, source, 2, &[&texture], &[&sampler]), [8.0, 4.0]);
}

/// Directions through the middle of pixels find them, and those along an edge mix both faces.
#[test]
fn cubes_have_faces_and_no_seams() {
    let rig = Rig::new();
    let descriptor = TextureDescriptor::new();
    descriptor.set_texture_type(TextureType::TypeCube);
    descriptor.set_pixel_format(PixelFormat::R32Float);
    descriptor.set_width(4);
    descriptor.set_height(4);
    let texture = usable(&rig, &descriptor);
    for face in 0..6 {
        let pixels: Vec<f32> = (0..16).map(|i| (face * 100 + i) as f32).collect();
        fill(&texture, 0, face as usize, &pixels);
    }
    // The directions of Metal's faces: right, down and forward of each (MSL 6.12.6).
    let source =
        "kernel void look(texturecube<float> t [[texture(0)]], device float *out [[buffer(0)]],
                                   uint i [[thread_position_in_grid]]) {
        constexpr sampler nearest;
        const float3 forward[6] = {{1,0,0}, {-1,0,0}, {0,1,0}, {0,-1,0}, {0,0,1}, {0,0,-1}};
        const float3 right[6] = {{0,0,-1}, {0,0,1}, {1,0,0}, {1,0,0}, {1,0,0}, {-1,0,0}};
        const float3 down[6] = {{0,-1,0}, {0,-1,0}, {0,0,1}, {0,0,-1}, {0,-1,0}, {0,-1,0}};
        const uint face = i / 16;
        const float2 at = (float2(i % 4, i / 4 % 4) + 0.5f) * 0.5f - 1;
        const float3 way = forward[face] + right[face] * at.x + down[face] * at.y;
        const float by_way = t.sample(nearest, way * 3.5f).x;
        out[i] = by_way == t.read(uint2(i % 4, i / 4 % 4), face).x ? by_way : -1;
    }";
    let all: Vec<f32> = (0..96).map(|i| (i / 16 * 100 + i % 16) as f32).collect();
    assert_eq!(floats(&rig, source, 96, &[&texture], &[]), all);
    // Along the edge between +X and +Z: their pixels next to it, one of each, half and half.
    let source =
        "kernel void look(texturecube<float> t [[texture(0)]], device float *out [[buffer(0)]],
                                   uint i [[thread_position_in_grid]]) {
        constexpr sampler linear(filter::linear);
        const float y = 1 - (float(i) + 0.5f) * 0.5f;
        out[i] = t.sample(linear, float3(1, y, 1)).x;
    }";
    let edge = |row: usize| {
        let right_of_z = 400 + 4 * row + 3;
        let left_of_x = 4 * row;
        (right_of_z + left_of_x) as f32 / 2.0
    };
    let found = floats(&rig, source, 4, &[&texture], &[]);
    assert_eq!(found, (0..4).map(edge).collect::<Vec<f32>>());
}

/// The components of a format, and its error for numbers from 0 to 1.
const FLOAT_FORMATS: &[(PixelFormat, &str, f32)] = &[
    (PixelFormat::A8Unorm, "a", 0.5 / 255.0),
    (PixelFormat::R8Unorm, "r", 0.5 / 255.0),
    (PixelFormat::R8Unorm_sRGB, "r", 0.01),
    (PixelFormat::R8Snorm, "r", 0.5 / 127.0),
    (PixelFormat::R16Unorm, "r", 0.5 / 65535.0),
    (PixelFormat::R16Snorm, "r", 0.5 / 32767.0),
    (PixelFormat::R16Float, "r", 0.001),
    (PixelFormat::RG8Unorm, "rg", 0.5 / 255.0),
    (PixelFormat::RG8Unorm_sRGB, "rg", 0.01),
    (PixelFormat::RG8Snorm, "rg", 0.5 / 127.0),
    (PixelFormat::B5G6R5Unorm, "rgb", 0.5 / 31.0),
    (PixelFormat::A1BGR5Unorm, "rgba", 0.5),
    (PixelFormat::ABGR4Unorm, "rgba", 0.5 / 15.0),
    (PixelFormat::BGR5A1Unorm, "rgba", 0.5),
    (PixelFormat::R32Float, "r", 0.0),
    (PixelFormat::RG16Unorm, "rg", 0.5 / 65535.0),
    (PixelFormat::RG16Snorm, "rg", 0.5 / 32767.0),
    (PixelFormat::RG16Float, "rg", 0.001),
    (PixelFormat::RGBA8Unorm, "rgba", 0.5 / 255.0),
    (PixelFormat::RGBA8Unorm_sRGB, "rgba", 0.01),
    (PixelFormat::RGBA8Snorm, "rgba", 0.5 / 127.0),
    (PixelFormat::BGRA8Unorm, "rgba", 0.5 / 255.0),
    (PixelFormat::BGRA8Unorm_sRGB, "rgba", 0.01),
    (PixelFormat::RGB10A2Unorm, "rgba", 0.5 / 3.0),
    (PixelFormat::RG11B10Float, "rgb", 0.04),
    (PixelFormat::RGB9E5Float, "rgb", 0.002),
    (PixelFormat::BGR10A2Unorm, "rgba", 0.5 / 3.0),
    (PixelFormat::RG32Float, "rg", 0.0),
    (PixelFormat::RGBA16Unorm, "rgba", 0.5 / 65535.0),
    (PixelFormat::RGBA16Snorm, "rgba", 0.5 / 32767.0),
    (PixelFormat::RGBA16Float, "rgba", 0.001),
    (PixelFormat::RGBA32Float, "rgba", 0.0),
];

/// Written by one dispatch, and read by the next of the same encoder; `half` reads the same as `float`.
#[test]
fn every_float_format_is_written_and_read() {
    let rig = Rig::new();
    let pipelines = ["float", "half"].map(|ty| {
        let write = rig.kernel(&format!(
            "kernel void put(texture2d<{ty}, access::write> t [[texture(0)]],
                             uint2 p [[thread_position_in_grid]]) {{
                 t.write({ty}4(float4(float(p.x), float(p.y), 7.0f, 4.0f) / 8.0f), p);
             }}"
        ));
        let read = rig.kernel(&format!(
            "kernel void look(texture2d<{ty}, access::read> t [[texture(0)]],
                              device float4 *out [[buffer(0)]], uint2 p [[thread_position_in_grid]]) {{
                 out[p.y * 8 + p.x] = float4(t.read(p));
             }}"
        ));
        (write, read)
    });
    for &(format, components, error) in FLOAT_FORMATS {
        for (write, read) in &pipelines {
            let texture = usable(&rig, &TextureDescriptor::new_2d(format, 8, 8));
            let out = rig.gpu.buffer(64 * 16).unwrap();
            rig.run(|encoder| {
                encoder.bind_texture(&texture, 0);
                encoder.bind_buffer(&out, 0, 0);
                encoder.bind(write);
                encoder.launch((8, 8, 1), (8, 8, 1));
                encoder.bind(read);
                encoder.launch((8, 8, 1), (8, 8, 1));
            })
            .unwrap();
            let found = out.read_f32(<[f32]>::to_vec);
            for (i, pixel) in found.chunks(4).enumerate() {
                let written = [(i % 8) as f32 / 8.0, (i / 8) as f32 / 8.0, 7.0 / 8.0, 0.5];
                for (at, (&found, written)) in pixel.iter().zip(written).enumerate() {
                    let (want, error) = match "rgba".as_bytes()[at] as char {
                        component if components.contains(component) => (written, error + 5e-4),
                        'a' => (1.0, 0.0),
                        _ => (0.0, 0.0),
                    };
                    assert!(
                        (found - want).abs() <= error,
                        "{format:?}, pixel {i}, component {at}: {found}, not {want}"
                    );
                }
            }
        }
    }
}

/// The integer formats, their numbers of components, and the ends of their ranges.
const INTEGER_FORMATS: &[(PixelFormat, usize, i64, i64)] = &[
    (PixelFormat::R8Uint, 1, 0, 255),
    (PixelFormat::R8Sint, 1, -128, 127),
    (PixelFormat::R16Uint, 1, 0, 65535),
    (PixelFormat::R16Sint, 1, -32768, 32767),
    (PixelFormat::RG8Uint, 2, 0, 255),
    (PixelFormat::RG8Sint, 2, -128, 127),
    (PixelFormat::R32Uint, 1, 0, u32::MAX as i64),
    (PixelFormat::R32Sint, 1, i32::MIN as i64, i32::MAX as i64),
    (PixelFormat::RG16Uint, 2, 0, 65535),
    (PixelFormat::RG16Sint, 2, -32768, 32767),
    (PixelFormat::RGBA8Uint, 4, 0, 255),
    (PixelFormat::RGBA8Sint, 4, -128, 127),
    (PixelFormat::RG32Uint, 2, 0, u32::MAX as i64),
    (PixelFormat::RG32Sint, 2, i32::MIN as i64, i32::MAX as i64),
    (PixelFormat::RGBA16Uint, 4, 0, 65535),
    (PixelFormat::RGBA16Sint, 4, -32768, 32767),
    (PixelFormat::RGBA32Uint, 4, 0, u32::MAX as i64),
    (PixelFormat::RGBA32Sint, 4, i32::MIN as i64, i32::MAX as i64),
];

#[test]
fn every_integer_format_stores_values_in_its_range() {
    let rig = Rig::new();
    let kernel = |ty: &str| {
        rig.kernel(&format!(
            "kernel void f(texture1d<{ty}, access::read_write> t [[texture(0)]],
                           device int4 *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {{
                 const {ty} values[6] = {{0, 1, 100, {ty}(-77), {ty}(40000), {ty}(2000000000)}};
                 t.write({ty}4(values[i], values[(i + 1) % 6], 5, 6), i);
                 t.fence();
                 out[i] = int4(t.read(i));
             }}"
        ))
    };
    let (signed, unsigned) = (kernel("int"), kernel("uint"));
    for &(format, components, least, most) in INTEGER_FORMATS {
        let texture = usable(&rig, &TextureDescriptor::new_1d(format, 6));
        let out = rig.gpu.buffer(6 * 16).unwrap();
        rig.run(|encoder| {
            encoder.bind(if least < 0 { &signed } else { &unsigned });
            encoder.bind_texture(&texture, 0);
            encoder.bind_buffer(&out, 0, 0);
            encoder.launch((6, 1, 1), (6, 1, 1));
        })
        .unwrap();
        let found = out.read_as(|words: &[i32]| words.to_vec());
        let values = [0i64, 1, 100, -77, 40000, 2_000_000_000];
        let wide = |value: i64| if least < 0 { value } else { i64::from(value as u32) };
        for (i, pixel) in found.chunks(4).enumerate() {
            let written = [values[i], values[(i + 1) % 6], 5, 6];
            for (at, (&found, value)) in pixel.iter().zip(written).enumerate() {
                let want = match at {
                    at if at < components => wide(value).clamp(least, most) as i32,
                    3 => 1,
                    _ => 0,
                };
                assert_eq!(found, want, "{format:?}, pixel {i}, component {at}");
            }
        }
    }
}

/// A filter that repeatedly reads what the previous dispatch wrote.
#[test]
fn each_dispatch_of_a_chain_reads_what_the_previous_one_wrote() {
    let rig = Rig::new();
    let make = || usable(&rig, &TextureDescriptor::new_2d(PixelFormat::R32Float, 16, 16));
    let (a, b) = (make(), make());
    fill(&a, 0, 0, &(0..256).map(|i| i as f32).collect::<Vec<_>>());
    let blur = rig.kernel(
        "kernel void blur(texture2d<float, access::sample> from [[texture(0)]],
                          texture2d<float, access::write> to [[texture(1)]],
                          uint2 p [[thread_position_in_grid]]) {
             constexpr sampler s(coord::pixel, address::clamp_to_edge);
             const float2 at = float2(p) + 0.5f;
             float sum = 0;
             for (int k = -1; k <= 1; ++k) sum += from.sample(s, at, int2(k, 0)).x;
             to.write(float4(sum / 3), p);
         }",
    );
    rig.run(|encoder| {
        encoder.bind(&blur);
        for turn in 0..4 {
            let (from, to) = if turn % 2 == 0 { (&a, &b) } else { (&b, &a) };
            encoder.bind_texture(from, 0);
            encoder.bind_texture(to, 1);
            encoder.launch((16, 16, 1), (8, 8, 1));
        }
    })
    .unwrap();
    let mut rows: Vec<Vec<f32>> =
        (0..16).map(|y| (0..16).map(|x| (y * 16 + x) as f32).collect()).collect();
    for _ in 0..4 {
        for row in &mut rows {
            let old = row.clone();
            let at = |x: i32| old[x.clamp(0, 15) as usize];
            for x in 0..16 {
                row[x as usize] = (at(x - 1) + at(x) + at(x + 1)) / 3.0;
            }
        }
    }
    let mut found = vec![0.0f32; 256];
    let region = MTLRegion { size: MTLSize::from((16, 16, 1)), ..MTLRegion::default() };
    unsafe { a.get_bytes(found.as_mut_ptr().cast(), 64, region, 0) }
    for (found, want) in found.iter().zip(rows.concat()) {
        assert!((found - want).abs() < 1e-3, "{found}, not {want}");
    }
}

#[test]
fn a_texture_of_the_wrong_kind_is_an_error_that_names_it() {
    let rig = Rig::new();
    let source = "kernel void f(texture2d<float, access::write> image [[texture(0)]],
                                sampler look [[sampler(0)]], texture2d<float> from [[texture(1)]],
                                device float *out [[buffer(0)]]) {
        image.write(from.sample(look, float2(0)), uint2(0));
        out[0] = 1;
    }";
    let out = rig.gpu.buffer(4).unwrap();
    let make = |descriptor: TextureDescriptor| usable(&rig, &descriptor);
    let good = make(TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 4, 4));
    let sampler = rig.gpu.sampler(&SamplerDescriptor::new()).unwrap();
    let refused_with = |textures: &[&Texture], samplers: &[&Sampler], words: &[&str]| {
        let error = run(&rig, source, 1, textures, samplers, &out).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    };
    run(&rig, source, 1, &[&good, &good], &[&sampler], &out).unwrap();
    refused_with(&[&good], &[&sampler], &["'from'", "texture(1)", "nothing is bound"]);
    refused_with(&[&good, &good], &[], &["'look'", "sampler(0)", "nothing is bound"]);
    let deep = make(TextureDescriptor::new_3d(PixelFormat::RGBA8Unorm, 4, 4, 4));
    refused_with(&[&deep, &good], &[&sampler], &["'image'", "3D", "2D"]);
    let integers = make(TextureDescriptor::new_2d(PixelFormat::RGBA8Uint, 4, 4));
    refused_with(&[&good, &integers], &[&sampler], &["'from'", "RGBA8Uint"]);
    let read_only =
        rig.gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 4, 4)).unwrap();
    refused_with(&[&read_only, &good], &[&sampler], &["'image'", "usage", "write"]);
    run(&rig, source, 1, &[&good, &read_only], &[&sampler], &out).unwrap();
}

/// An argument that a function constant disables need not be bound.
#[test]
fn an_unused_texture_need_not_be_bound() {
    let rig = Rig::new();
    let source = "#include <metal_stdlib>
        using namespace metal;
        constant bool tinted [[function_constant(0)]];
        kernel void f(device float *out, texture2d<float> tint [[texture(3), function_constant(tinted)]],
                      sampler look [[sampler(2), function_constant(tinted)]],
                      uint i [[thread_position_in_grid]]) {
            out[i] = 1;
            if (tinted) out[i] = tint.sample(look, float2(0.5f)).x;
        }";
    let library = rig.gpu.compile(source).unwrap();
    let texture = usable(&rig, &TextureDescriptor::new_2d(PixelFormat::R32Float, 1, 1));
    fill(&texture, 0, 0, &[5.0]);
    let sampler = rig.gpu.sampler(&SamplerDescriptor::new()).unwrap();
    let out = rig.gpu.buffer(4).unwrap();
    for (tinted, bound, want) in
        [(false, false, Some(1.0)), (true, true, Some(5.0)), (true, false, None)]
    {
        let values = ConstantValues::new();
        values.set(0, tinted);
        let pipeline = rig.gpu.pipeline(&library.function_with("f", &values).unwrap()).unwrap();
        let done = rig.run(|encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&out, 0, 0);
            if bound {
                encoder.bind_texture(&texture, 3);
                encoder.bind_sampler(&sampler, 2);
            }
            encoder.launch((1, 1, 1), (1, 1, 1));
        });
        match want {
            Some(want) => {
                done.unwrap();
                assert_eq!(out.read_f32(|x| x[0]), want);
            }
            None => assert!(done.unwrap_err().to_string().contains("'tint', texture(3)")),
        }
    }
}

#[test]
fn memory_outside_of_a_texture_is_not_accessed() {
    let rig = Rig::new();
    let buffer = rig.gpu.buffer_with_data(&[7u8; 1024]).unwrap();
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 4, 4);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    // Rows of 16 pixels, of which the texture has four, from the fifth row on.
    let texture = buffer.texture(&descriptor, 256, 64).unwrap();
    let out = rig.gpu.buffer(64 * 4).unwrap();
    let source = "kernel void f(texture2d<uint, access::read_write> t [[texture(0)]],
                                device uint *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        const uint2 p = uint2(i % 8, i / 8) - 2;
        t.write(uint4(0), p);
        t.write(uint4(0), p, 1);
        out[i] = t.read(p).x;
    }";
    run(&rig, source, 64, &[&texture], &[], &out).unwrap();
    out.read_as(|words: &[u32]| assert!(words.iter().all(|&word| word == 0)));
    buffer.read(|bytes| {
        for (at, &byte) in bytes.iter().enumerate() {
            let inside = (4..8).contains(&(at / 64)) && at % 64 < 16;
            assert_eq!(byte, if inside { 0 } else { 7 }, "byte {at}");
        }
    });
}
