//! Textures: regions, levels, views, copies.

use super::*;

const RGBA8: usize = 70;
const R32F: usize = 55;

fn descriptor(format: usize, width: usize, height: usize, mipmapped: bool) -> Own {
    pool(|| {
        Own::retain(send!(
            class("MTLTextureDescriptor"),
            "texture2DDescriptorWithPixelFormat:width:height:mipmapped:", format => usize,
            width => usize, height => usize, Bool::new(mipmapped) => Bool; Id
        ))
    })
}

fn try_texture(descriptor: Id) -> Option<Own> {
    let texture = send!(*device(), "newTextureWithDescriptor:", descriptor => Id; Id);
    (!texture.is_nil()).then(|| Own::new(texture))
}

fn region(x: usize, y: usize, width: usize, height: usize) -> MTLRegion {
    MTLRegion { origin: (x, y, 0).into(), size: (width, height, 1).into() }
}

fn replace<T>(texture: Id, region: MTLRegion, level: usize, items: &[T], row: usize) {
    send!(
        texture, "replaceRegion:mipmapLevel:withBytes:bytesPerRow:", region => MTLRegion,
        level => usize, items.as_ptr().cast() => *const c_void, row => usize; ()
    );
}

fn get<T: Copy + Default>(texture: Id, region: MTLRegion, level: usize, row: usize) -> Vec<T> {
    let mut items = vec![T::default(); row * region.size.height / size_of::<T>()];
    send!(
        texture, "getBytes:bytesPerRow:fromRegion:mipmapLevel:",
        items.as_mut_ptr().cast() => *mut c_void, row => usize, region => MTLRegion,
        level => usize; ()
    );
    items
}

#[test]
fn regions_are_written_and_read() {
    let texture = try_texture(*descriptor(RGBA8, 8, 4, false)).unwrap();
    assert_eq!(send!(*texture, "width"; usize), 8);
    assert_eq!(send!(*texture, "height"; usize), 4);
    assert_eq!(send!(*texture, "depth"; usize), 1);
    assert_eq!(send!(*texture, "pixelFormat"; usize), RGBA8);
    replace(*texture, region(2, 1, 3, 2), 0, &[1u32, 2, 3, 0, 4, 5, 6, 0], 16);
    let all: Vec<u32> = get(*texture, region(0, 0, 8, 4), 0, 32);
    let mut expected = vec![0; 32];
    expected[10..13].copy_from_slice(&[1, 2, 3]);
    expected[18..21].copy_from_slice(&[4, 5, 6]);
    assert_eq!(all, expected);
}

#[test]
fn impossible_textures_are_nil() {
    let sides = |width: usize, height: usize| try_texture(*descriptor(RGBA8, width, height, false));
    assert!(sides(0, 1).is_none() && sides(16385, 1).is_none() && sides(1, usize::MAX).is_none());
    assert!(sides(16384, 1).is_some());
    assert!(try_texture(*descriptor(0, 4, 4, false)).is_none());
    assert!(try_texture(*descriptor(9999, 4, 4, false)).is_none());
    let with = |selector: &str, value: usize| {
        let descriptor = descriptor(RGBA8, 8, 8, false);
        send!(*descriptor, selector, value => usize; ());
        try_texture(*descriptor)
    };
    assert!(with("setMipmapLevelCount:", 4).is_some() && with("setMipmapLevelCount:", 5).is_none());
    assert!(with("setSampleCount:", 4).is_none());
    assert!(with("setPlacementSparsePageSize:", 101).is_none());
    assert!(with("setDepth:", 2).is_none(), "two sides only");
    assert!(with("setArrayLength:", 2).is_none(), "no array");
    assert!(with("setTextureType:", 77).is_none());
}

#[test]
fn mip_levels_are_means() {
    let texture = try_texture(*descriptor(R32F, 5, 3, true)).unwrap();
    assert_eq!(send!(*texture, "mipmapLevelCount"; usize), 3);
    let pixels: Vec<f32> = (0..15).map(|i| i as f32).collect();
    replace(*texture, region(0, 0, 5, 3), 0, &pixels, 20);
    let commands = commands(*queue());
    let blit = blit(*commands);
    send!(*blit, "generateMipmapsForTexture:", *texture => Id; ());
    end(*blit);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(get::<f32>(*texture, region(0, 0, 2, 1), 1, 8), [3.0, 5.0]);
    assert_eq!(get::<f32>(*texture, region(0, 0, 1, 1), 2, 4), [4.0]);
}

#[test]
fn slices_and_volumes() {
    let make = |kind: usize, selector: &str, count: usize| {
        let descriptor = descriptor(RGBA8, 2, 2, false);
        send!(*descriptor, "setTextureType:", kind => usize; ());
        send!(*descriptor, selector, count => usize; ());
        try_texture(*descriptor).unwrap()
    };
    let array = make(3, "setArrayLength:", 3);
    let numbers: Vec<u32> = (1..=4).collect();
    let whole = region(0, 0, 2, 2);
    send!(
        *array, "replaceRegion:mipmapLevel:slice:withBytes:bytesPerRow:bytesPerImage:",
        whole => MTLRegion, 0 => usize, 2 => usize, numbers.as_ptr().cast() => *const c_void,
        8 => usize, 16 => usize; ()
    );
    let volume = make(7, "setDepth:", 2);
    let commands = commands(*queue());
    let blit = blit(*commands);
    send!(
        *blit,
        "copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:",
        *array => Id, 2 => usize, 0 => usize, MTLOrigin::default() => MTLOrigin,
        MTLSize::from((2, 2, 1)) => MTLSize, *volume => Id, 0 => usize, 0 => usize,
        MTLOrigin::from((0, 0, 1)) => MTLOrigin; ()
    );
    let buffer = buffer(32);
    send!(
        *blit,
        "copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:",
        *volume => Id, 0 => usize, 0 => usize, MTLOrigin::default() => MTLOrigin,
        MTLSize::from((2, 2, 2)) => MTLSize, *buffer => Id, 0 => usize, 8 => usize, 16 => usize; ()
    );
    end(*blit);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<u32>(*buffer), [0, 0, 0, 0, 1, 2, 3, 4]);
}

#[test]
fn views_share_pixels() {
    let texture = try_texture(*descriptor(RGBA8, 4, 4, true)).unwrap();
    let view = |format: usize, kind: usize, levels: (usize, usize)| {
        let view = send!(
            *texture, "newTextureViewWithPixelFormat:textureType:levels:slices:", format => usize,
            kind => usize, NSRange { location: levels.0, length: levels.1 } => NSRange,
            NSRange { location: 0, length: 1 } => NSRange; Id
        );
        (!view.is_nil()).then(|| Own::new(view))
    };
    let half = view(53, 2, (1, 2)).unwrap();
    assert_eq!(send!(*half, "width"; usize), 2);
    assert_eq!(pool(|| send!(*half, "parentTexture"; Id)), *texture);
    assert_eq!(send!(*half, "parentRelativeLevel"; usize), 1);
    replace(*half, region(0, 0, 2, 2), 0, &[1u32, 2, 3, 4], 8);
    drop(texture);
    assert_eq!(get::<u32>(*half, region(0, 1, 2, 1), 0, 8), [3, 4]);
}

#[test]
fn impossible_views_are_nil() {
    let texture = try_texture(*descriptor(RGBA8, 4, 4, false)).unwrap();
    for (format, kind, levels, slices) in [
        (10, 2, 0..1, 0..1),
        (RGBA8, 7, 0..1, 0..1),
        (RGBA8, 2, 0..2, 0..1),
        (RGBA8, 2, 0..0, 0..1),
        (RGBA8, 5, 0..1, 0..1),
        (RGBA8, 3, 0..1, 1..2),
        (RGBA8, 2, usize::MAX..usize::MAX, 0..1),
    ] {
        let view = send!(
            *texture, "newTextureViewWithPixelFormat:textureType:levels:slices:", format => usize,
            kind => usize, NSRange::from(levels) => NSRange, NSRange::from(slices) => NSRange; Id
        );
        assert!(view.is_nil());
    }
}

#[test]
fn a_buffer_can_be_used_as_a_texture() {
    let numbers: Vec<u32> = (0..64).collect();
    let buffer = buffer_of(&numbers);
    let make = |offset: usize, row: usize| {
        let texture = send!(
            *buffer, "newTextureWithDescriptor:offset:bytesPerRow:",
            *descriptor(RGBA8, 4, 3, false) => Id, offset => usize, row => usize; Id
        );
        (!texture.is_nil()).then(|| Own::new(texture))
    };
    let texture = make(32, 64).unwrap();
    assert_eq!(get::<u32>(*texture, region(1, 1, 2, 1), 0, 8), [25, 26]);
    assert_eq!(send!(*texture, "bufferOffset"; usize), 32);
    assert_eq!(send!(*texture, "bufferBytesPerRow"; usize), 64);
    assert!(make(0, 12).is_none(), "rows that overlap");
    assert!(make(128, 64).is_none(), "beyond the end");
    assert!(make(2, 64).is_none(), "between pixels");
}

#[test]
fn copies_of_wrong_regions_are_errors() {
    let (texture, other) = (
        try_texture(*descriptor(RGBA8, 4, 4, false)).unwrap(),
        try_texture(*descriptor(10, 4, 4, false)).unwrap(),
    );
    let buffer = buffer(64);
    let refused = |what: &str, record: &dyn Fn(Id)| {
        let commands = commands(*queue());
        let blit = blit(*commands);
        record(*blit);
        end(*blit);
        let error = finish(*commands).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    let upload = |blit: Id, row: usize, size: (usize, usize, usize), (level, slice), x: usize| {
        send!(
            blit,
            "copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:",
            *buffer => Id, 0 => usize, row => usize, 64 => usize, MTLSize::from(size) => MTLSize,
            *texture => Id, slice => usize, level => usize, MTLOrigin::from((x, 0, 0)) => MTLOrigin; ()
        );
    };
    refused("12 bytes per row: 4 pixels of RGBA8Unorm take 16", &|blit| {
        upload(blit, 12, (4, 4, 1), (0, 0), 0)
    });
    refused("a region at (1, 0, 0) of (4, 4, 1) pixels: mip level 0 has (4, 4, 1)", &|blit| {
        upload(blit, 16, (4, 4, 1), (0, 0), 1)
    });
    refused("mip level 1 of a texture that has 1", &|blit| upload(blit, 16, (4, 4, 1), (1, 0), 0));
    refused("slice 1 of a texture that has 1", &|blit| upload(blit, 16, (4, 4, 1), (0, 1), 0));
    refused("source: 68 bytes at offset 0 of a buffer of 64", &|blit| {
        upload(blit, 16, (1, 5, 1), (0, 0), 0)
    });
    refused("pixels of format RGBA8Unorm cannot be copied to format R8Unorm", &|blit| {
        send!(blit, "copyFromTexture:toTexture:", *texture => Id, *other => Id; ());
    });
}

/// There is no command buffer that could report it: nothing happens, and the reason is on standard error.
#[test]
fn wrong_regions_of_the_cpu_are_refused() {
    let texture = try_texture(*descriptor(RGBA8, 4, 4, false)).unwrap();
    replace(*texture, region(2, 0, 3, 1), 0, &[9u32; 3], 12);
    replace(*texture, region(0, 0, 4, 4), 1, &[9u32; 16], 16);
    replace(*texture, region(0, 0, 4, 4), 0, &[9u32; 16], 15);
    replace(*texture, region(usize::MAX, 0, 2, 1), 0, &[9u32; 2], 8);
    assert_eq!(get::<u32>(*texture, region(0, 0, 4, 4), 0, 16), [0; 16]);
    let private = descriptor(RGBA8, 4, 4, false);
    send!(*private, "setStorageMode:", 2 => usize; ());
    let private = try_texture(*private).unwrap();
    replace(*private, region(0, 0, 1, 1), 0, &[9u32], 4);
    assert_eq!(get::<u32>(*private, region(0, 0, 1, 1), 0, 4), [0]);
}

/// A sampler bound with its own range of levels, a view with a swizzle, and arrays of textures with a missing
/// element.
#[test]
fn kernels_see_the_bound_textures_and_samplers() {
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void f(array<texture2d<float>, 3> list [[texture(2)]], sampler s [[sampler(1)]],
                      device float *out) {
            out[0] = list[0].sample(s, float2(0.5f), level(0)).x;
            out[1] = list[2].read(uint2(0)).x;
            out[2] = is_null_texture(list[1]) && !is_null_texture(list[2]);
        }";
    let texture = try_texture(*descriptor(R32F, 2, 2, true)).unwrap();
    replace(*texture, region(0, 0, 2, 2), 0, &[1.0f32, 2.0, 3.0, 4.0], 8);
    replace(*texture, region(0, 0, 1, 1), 1, &[5.0f32], 4);
    // Red is swizzled to alpha, which is 1 if the format has none.
    let swizzle = MTLTextureSwizzleChannels { red: 5, green: 3, blue: 4, alpha: 2 };
    let view = Own::new(send!(
        *texture, "newTextureViewWithPixelFormat:textureType:levels:slices:swizzle:",
        R32F => usize, 2 => usize, NSRange { location: 1, length: 1 } => NSRange,
        NSRange { location: 0, length: 1 } => NSRange, swizzle => MTLTextureSwizzleChannels; Id
    ));
    let wanted = new("MTLSamplerDescriptor");
    send!(*wanted, "setMipFilter:", 1 => usize; ());
    let sampler = Own::new(send!(*device(), "newSamplerStateWithDescriptor:", *wanted => Id; Id));
    let (pipeline, out) = (pipeline(source, "f"), buffer(12));
    let run = |least: f32| {
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *out, 0, 0);
        for (texture, index) in [(*texture, 2usize), (*view, 4)] {
            send!(*encoder, "setTexture:atIndex:", texture => Id, index => usize; ());
        }
        send!(
            *encoder, "setSamplerState:lodMinClamp:lodMaxClamp:atIndex:", *sampler => Id,
            least => f32, 8.0f32 => f32, 1 => usize; ()
        );
        launch(*encoder, 1, 1);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        contents::<f32>(*out)
    };
    assert_eq!(run(0.0), [4.0, 1.0, 1.0]);
    assert_eq!(run(1.0), [5.0, 1.0, 1.0]);
}

/// Atomic functions of textures (MSL 6.12), at pixels that many threads share.
const ATOMIC_TEXTURES: &str = "#include <metal_stdlib>
    using namespace metal;
    kernel void unsigned_ones(texture2d<uint, access::read_write> t [[texture(0)]], device uint *out [[buffer(0)]],
                              uint i [[thread_position_in_grid]]) {
        uint4 before = t.atomic_fetch_add(uint2(0, 0), uint4(1));
        out[i] = before.x;
        if (before.w != 1) t.atomic_fetch_add(uint2(1, 0), uint4(1000));
        t.atomic_fetch_sub(ushort2(1, 0), uint4(2));
        t.atomic_fetch_max(uint2(2, 0), uint4(i ^ 0x80000000u));
        t.atomic_fetch_or(uint2(3, 0), uint4(1u << i % 32));
        t.atomic_fetch_xor(uint2(0, 1), uint4(i));
        t.atomic_fetch_and(uint2(1, 1), ~uint4(i));
        uint4 seen = t.atomic_load(uint2(2, 1));
        while (!t.atomic_compare_exchange_weak(uint2(2, 1), &seen, seen + 3)) {}
        if (i == 7) t.atomic_store(uint4(77), uint2(3, 1));
        // Outside: nothing, and 0.
        if (t.atomic_exchange(uint2(4, 0), uint4(5)).x != 0) t.atomic_fetch_add(uint2(1, 0), uint4(1000));
    }
    kernel void signed_ones(texture_buffer<int, access::read_write> t [[texture(0)]], uint i [[thread_position_in_grid]]) {
        t.atomic_fetch_min(0u, int4(10 - int(i)));
        t.atomic_fetch_max(1u, int4(int(i) - 300));
        t.atomic_exchange(ushort(2), int4(-5));
    }
    kernel void other(texture2d<uint, access::read_write> t [[texture(0)]]) { t.atomic_fetch_add(uint2(0), uint4(1)); }";

#[test]
fn pixels_are_changed_at_once() {
    let launch_with = |name: &str, texture: Id, out: Id| {
        let (queue, pipeline) = (queue(), pipeline(ATOMIC_TEXTURES, name));
        let commands = commands(*queue);
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        send!(*encoder, "setTexture:atIndex:", texture => Id, 0usize => usize; ());
        bind_buffer(*encoder, out, 0, 0);
        launch(*encoder, 256, 64);
        end(*encoder);
        finish(*commands)
    };
    let texture = |kind: usize, format: usize, width: usize, height: usize| {
        let descriptor = new("MTLTextureDescriptor");
        send!(*descriptor, "setTextureType:", kind => usize; ());
        send!(*descriptor, "setPixelFormat:", format => usize; ());
        send!(*descriptor, "setWidth:", width => usize; ());
        send!(*descriptor, "setHeight:", height => usize; ());
        // Read, write and atomic.
        send!(*descriptor, "setUsage:", 0x23usize => usize; ());
        Own::new(send!(*device(), "newTextureWithDescriptor:", *descriptor => Id; Id))
    };
    let pixels = |texture: Id, width: usize, height: usize| {
        let size = MTLSize { width, height, depth: 1 };
        let region = MTLRegion { origin: MTLOrigin { x: 0, y: 0, z: 0 }, size };
        let mut pixels = vec![0u32; width * height];
        send!(
            texture, "getBytes:bytesPerRow:fromRegion:mipmapLevel:",
            pixels.as_mut_ptr().cast() => *mut c_void, 4 * width => usize, region => MTLRegion,
            0usize => usize; ()
        );
        pixels
    };
    let (words, out) = (texture(2, 53, 4, 2), buffer(4 * 256));
    launch_with("unsigned_ones", *words, *out).unwrap();
    let xor = (0..256).fold(0, |all, i| all ^ i);
    let expected = [256, 512u32.wrapping_neg(), 255 | 1 << 31, u32::MAX, xor, 0, 768, 77];
    assert_eq!(pixels(*words, 4, 2), expected);
    // Each thread saw another number.
    let mut seen = contents::<u32>(*out);
    seen.sort_unstable();
    assert_eq!(seen, (0..256).collect::<Vec<_>>());

    let words = texture(9, 54, 4, 1);
    launch_with("signed_ones", *words, Id::NIL).unwrap();
    let found: Vec<i32> = pixels(*words, 4, 1).into_iter().map(|word| word as i32).collect();
    assert_eq!(found, [-245, 0, -5, 0]);

    // Pixels of other formats are not words.
    let bytes = texture(2, 73, 4, 2);
    let error = launch_with("other", *bytes, Id::NIL).unwrap_err();
    assert!(error.contains("whose format is not R32Uint or R32Sint"), "{error}");
}

const BC1: usize = 130;

#[test]
fn compressed_textures_have_their_own_rules() {
    assert!(send!(*device(), "supportsBCTextureCompression"; Bool).get());
    let kind = |format: usize, kind: usize, usage: usize| {
        let descriptor = descriptor(format, 8, 8, false);
        send!(*descriptor, "setTextureType:", kind => usize; ());
        send!(*descriptor, "setUsage:", usage => usize; ());
        try_texture(*descriptor)
    };
    // BC1, EAC, ASTC: 2D, arrays and cubes; volumes not of EAC; no rows, no writing, no rendering.
    for format in [BC1, 170, 204, 186, 222] {
        for two in [2, 3, 5, 6] {
            assert!(kind(format, two, 1).is_some(), "{format}, {two}");
        }
        assert_eq!(kind(format, 7, 1).is_some(), format != 170, "{format}");
        assert!(kind(format, 0, 1).is_none() && kind(format, 9, 1).is_none());
        assert!(kind(format, 2, 2).is_none() && kind(format, 2, 4).is_none());
        assert!(kind(format, 2, 0).is_some());
    }
    assert!(kind(160, 2, 1).is_none(), "PVRTC");
    let buffer = buffer(256);
    let linear = send!(
        *buffer, "newTextureWithDescriptor:offset:bytesPerRow:",
        *descriptor(BC1, 8, 8, false) => Id, 0 => usize, 16 => usize; Id
    );
    assert!(linear.is_nil());
    // Views differ in the transfer function at most.
    let texture = try_texture(*descriptor(BC1, 8, 8, false)).unwrap();
    let view = |format: usize| {
        let view = send!(*texture, "newTextureViewWithPixelFormat:", format => usize; Id);
        (!view.is_nil()).then(|| Own::new(view))
    };
    assert!(view(131).is_some() && view(140).is_none() && view(105).is_none());
}

#[test]
fn regions_of_compressed_textures_are_blocks() {
    // Levels of 10 × 6, 5 × 3, 2 × 1 and 1 × 1 pixels: 3 × 2 blocks, 2 × 1, 1, 1.
    let texture = try_texture(*descriptor(BC1, 10, 6, true)).unwrap();
    assert_eq!(send!(*texture, "allocatedSize"; usize), 48 + 16 + 16 + 16);
    replace(*texture, region(0, 0, 10, 6), 0, &[1u64, 2, 3, 4, 5, 6], 24);
    replace(*texture, region(4, 0, 4, 4), 0, &[7u64], 8);
    replace(*texture, region(8, 4, 2, 2), 0, &[8u64], 8);
    replace(*texture, region(0, 0, 5, 3), 1, &[9u64, 10], 16);
    replace(*texture, region(0, 0, 1, 1), 3, &[11u64], 8);
    let wrong =
        [(1, 0, 4, 4), (0, 2, 4, 4), (0, 0, 3, 4), (0, 0, 4, 5), (8, 4, 1, 2), (8, 4, 4, 4)];
    for (x, y, width, height) in wrong {
        replace(*texture, region(x, y, width, height), 0, &[99u64; 4], 16);
    }
    let mut level = vec![0u64; 6];
    let get = |into: &mut [u64], size: (usize, usize), level: usize, row: usize| {
        send!(
            *texture, "getBytes:bytesPerRow:fromRegion:mipmapLevel:",
            into.as_mut_ptr().cast() => *mut c_void, row => usize,
            region(0, 0, size.0, size.1) => MTLRegion, level => usize; ()
        );
    };
    get(&mut level, (10, 6), 0, 24);
    assert_eq!(level, [1, 7, 3, 4, 5, 8]);
    let mut two = [0; 2];
    get(&mut two, (5, 3), 1, 16);
    assert_eq!(two, [9, 10]);

    // A buffer's rows are of blocks too.
    let target = try_texture(*descriptor(BC1, 10, 6, false)).unwrap();
    let out = buffer(64);
    let record = |what: &dyn Fn(Id)| {
        let commands = commands(*queue());
        let blit = blit(*commands);
        what(*blit);
        end(*blit);
        finish(*commands)
    };
    let download = |blit: Id, size: (usize, usize, usize), x: usize| {
        send!(
            blit,
            "copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:",
            *target => Id, 0 => usize, 0 => usize, MTLOrigin::from((x, 0, 0)) => MTLOrigin,
            MTLSize::from(size) => MTLSize, *out => Id, 8 => usize, 16 => usize, 0 => usize; ()
        );
    };
    assert_eq!(
        record(&|blit| {
            send!(
                blit,
                "copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:",
                *texture => Id, 0 => usize, 0 => usize, MTLOrigin::default() => MTLOrigin,
                MTLSize::from((10, 6, 1)) => MTLSize, *target => Id, 0 => usize, 0 => usize,
                MTLOrigin::default() => MTLOrigin; ()
            );
            download(blit, (6, 6, 1), 4);
        }),
        Ok(())
    );
    assert_eq!(contents::<u64>(*out), [0, 7, 3, 5, 8, 0, 0, 0]);
    let error = record(&|blit| download(blit, (4, 4, 1), 2)).unwrap_err();
    assert!(error.contains("cuts blocks: BC1_RGBA has blocks of 4 × 4 pixels"), "{error}");
    let error = record(&|blit| download(blit, (10, 6, 1), 0)).unwrap_err();
    assert!(error.contains("16 bytes per row: 10 pixels of BC1_RGBA take 24"), "{error}");
    let mipmaps = |blit: Id| send!(blit, "generateMipmapsForTexture:", *texture => Id; ());
    assert!(record(&mipmaps).unwrap_err().contains("cannot be averaged"));
    // Blocks of four colors of 16 bits have as many bytes, but not as many pixels.
    let other = try_texture(*descriptor(110, 10, 6, false)).unwrap();
    let copy =
        |blit: Id| send!(blit, "copyFromTexture:toTexture:", *target => Id, *other => Id; ());
    assert!(record(&copy).unwrap_err().contains("BC1_RGBA cannot be copied to format RGBA16Unorm"));
}

#[test]
fn kernels_read_and_sample_compressed_textures() {
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void f(texture2d<float> t [[texture(0)]], device float4 *out) {
            constexpr sampler linear(filter::linear, mip_filter::nearest);
            constexpr sampler outside(address::clamp_to_zero);
            out[0] = t.read(uint2(3, 5));
            out[1] = t.read(uint2(4, 5));
            out[2] = t.sample(linear, float2(4.0f / 6, 0.9f), level(0));
            out[3] = t.sample(linear, float2(0.5f), level(1));
            out[4] = t.read(uint2(6, 0));
            out[5] = t.sample(outside, float2(2.0f));
        }
        kernel void g(texture2d<float, access::write> t [[texture(0)]]) { t.write(float4(1), uint2(0)); }";
    // Both endpoints of a block are its first color, of 5, 6 and 5 bits.
    let [red, green, blue] = [31u64 << 11, 63 << 5, 16];
    let run = |format: usize| {
        let texture = try_texture(*descriptor(format, 6, 6, true)).unwrap();
        replace(*texture, region(0, 0, 6, 6), 0, &[red, red, red, green], 16);
        replace(*texture, region(0, 0, 3, 3), 1, &[blue], 8);
        let (pipeline, out) = (pipeline(source, "f"), buffer(96));
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *out, 0, 0);
        send!(*encoder, "setTexture:atIndex:", *texture => Id, 0usize => usize; ());
        launch(*encoder, 1, 1);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        let floats = contents::<f32>(*out);
        floats
            .chunks_exact(4)
            .map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]])
            .collect::<Vec<_>>()
    };
    let dim = 16.0 / 31.0;
    let wanted = |blue: f32| {
        [
            [1.0, 0.0, 0.0, 1.0],
            [0.0, 1.0, 0.0, 1.0],
            [0.5, 0.5, 0.0, 1.0],
            [0.0, 0.0, blue, 1.0],
            [0.0; 4],
            [0.0; 4],
        ]
    };
    assert_eq!(run(BC1), wanted(dim));
    assert_eq!(run(131), wanted(((dim + 0.055) / 1.055).powf(2.4)));
    let texture = {
        let descriptor = descriptor(BC1, 4, 4, false);
        send!(*descriptor, "setUsage:", 0usize => usize; ());
        try_texture(*descriptor).unwrap()
    };
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline(source, "g"));
    send!(*encoder, "setTexture:atIndex:", *texture => Id, 0usize => usize; ());
    launch(*encoder, 1, 1);
    end(*encoder);
    let error = finish(*commands).unwrap_err();
    assert!(error.contains("the format BC1_RGBA, which kernels cannot write"), "{error}");
}

/// Samples come from a buffer in the same memory of a heap: without rendering nothing else writes them.
#[test]
fn kernels_read_samples() {
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void one(texture2d_ms<float> t [[texture(0)]], device float *out, uint i [[thread_position_in_grid]]) {
            uint samples = t.get_num_samples(), width = t.get_width();
            uint pixel = i / samples, sample = i % samples;
            out[i] = t.read(uint2(pixel % width, pixel / width), sample).x + 1000.0f * t.get_height();
            if (i == 0) out[24] = t.read(ushort2(0, 0), ushort(9)).w + t.read(uint2(3, 0), 0).w;
        }
        kernel void several(texture2d_ms_array<uint, access::read> t [[texture(0)]],
                            depth2d_ms<float> d [[texture(1)]], device uint *out) {
            out[0] = t.read(uint2(1, 0), 1, 3).x;
            out[1] = t.get_array_size() * 10 + t.get_num_samples();
            out[2] = uint(d.read(uint2(1, 0), 2));
        }";
    let made = |kind: usize, format: usize, samples: usize, length: usize| {
        let descriptor = descriptor(format, 3, 2, false);
        send!(*descriptor, "setTextureType:", kind => usize; ());
        send!(*descriptor, "setSampleCount:", samples => usize; ());
        send!(*descriptor, "setArrayLength:", length => usize; ());
        descriptor
    };
    for count in 0..9 {
        let possible = matches!(count, 1 | 2 | 4);
        let supported = send!(*device(), "supportsTextureSampleCount:", count => usize; Bool).get();
        assert_eq!(supported, possible, "{count}");
        assert_eq!(try_texture(*made(4, R32F, count, 1)).is_some(), possible, "{count}");
    }
    let several = made(4, R32F, 4, 1);
    send!(*several, "setMipmapLevelCount:", 2 => usize; ());
    assert!(try_texture(*several).is_none());
    assert!(try_texture(*made(4, BC1, 4, 1)).is_none());

    let heap = {
        let descriptor = new("MTLHeapDescriptor");
        send!(*descriptor, "setSize:", 65536 => usize; ());
        send!(*descriptor, "setType:", 1 => isize; ());
        send!(*descriptor, "setStorageMode:", 0 => usize; ());
        Own::new(send!(*device(), "newHeapWithDescriptor:", *descriptor => Id; Id))
    };
    let here = |descriptor: Id| {
        Own::new(send!(*heap, "newTextureWithDescriptor:offset:", descriptor => Id, 0 => usize; Id))
    };
    let bytes = Own::new(send!(
        *heap, "newBufferWithLength:options:offset:", 4096 => usize, 0 => usize, 0 => usize; Id
    ));
    let memory = send!(*bytes, "contents"; *mut c_void).cast::<f32>();
    // Sample by sample.
    for at in 0..24u8 {
        // SAFETY: the buffer is larger.
        unsafe { memory.add(at.into()).write(at.into()) };
    }
    let texture = here(*made(4, R32F, 4, 1));
    assert_eq!(send!(*texture, "sampleCount"; usize), 4);
    assert_eq!(send!(*texture, "depth"; usize), 1);
    let copy = try_texture(*made(4, R32F, 4, 1)).unwrap();
    let run = |name: &str, texture: Id, threads: usize, out: Id| {
        let pipeline = pipeline(source, name);
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, out, 0, 0);
        send!(*encoder, "setTexture:atIndex:", texture => Id, 0usize => usize; ());
        if name == "several" {
            send!(*encoder, "setTexture:atIndex:", *copy => Id, 1usize => usize; ());
        }
        launch(*encoder, threads, 1);
        end(*encoder);
        finish(*commands)
    };
    let out = buffer(100);
    assert_eq!(run("one", *texture, 24, *out), Ok(()));
    let wanted: Vec<f32> = (0..24).map(|at| (at % 4 * 6 + at / 4 + 2000) as f32).collect();
    let found = contents::<f32>(*out);
    assert_eq!(found[..24], wanted);
    // Outside, by sample and by position, alpha is what the format lacks.
    assert_eq!(found[24], 2.0);
    let error = run("one", *try_texture(*descriptor(R32F, 3, 2, false)).unwrap(), 1, *out);
    let error = error.unwrap_err();
    assert!(error.contains("kind 2D, and the kernel takes 2D multisampled"), "{error}");

    // Samples are copied to textures that have as many, and nowhere else.
    let copied = |to: Id| {
        let commands = commands(*queue());
        let blit = blit(*commands);
        send!(*blit, "copyFromTexture:toTexture:", *texture => Id, to => Id; ());
        end(*blit);
        finish(*commands)
    };
    assert_eq!(copied(*copy), Ok(()));
    let again = buffer(100);
    assert_eq!(run("one", *copy, 24, *again), Ok(()));
    assert_eq!(contents::<f32>(*again), found);
    let error = copied(*try_texture(*descriptor(R32F, 3, 2, false)).unwrap()).unwrap_err();
    assert!(error.contains("4 samples a pixel cannot be copied to one with 1"), "{error}");
    replace(*copy, region(0, 0, 3, 2), 0, &[7.0f32; 6], 12);
    assert_eq!(run("one", *copy, 24, *again), Ok(()));
    assert_eq!(contents::<f32>(*again), found);
    let whole = NSRange { location: 0, length: 1 };
    let flat = send!(
        *copy, "newTextureViewWithPixelFormat:textureType:levels:slices:", R32F => usize,
        2 => usize, whole => NSRange, whole => NSRange; Id
    );
    assert!(flat.is_nil());

    let array = here(*made(8, 53, 4, 2));
    let out = buffer(12);
    assert_eq!(run("several", *array, 1, *out), Ok(()));
    let found = contents::<u32>(*out);
    // The second element begins at a multiple of 16 bytes, with four images of six pixels.
    assert_eq!(found[1..], [24, 13]);
    // SAFETY: the buffer is larger.
    let stored = unsafe { memory.add(24 + 3 * 6 + 1).read().to_bits() };
    assert_eq!(found[0], stored);
}
