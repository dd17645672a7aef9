//! The routines of the library for textures do what the CPU back end does: the same bits, pixel by pixel. They run on the
//! CPU here, as parts of kernels.

use super::super::launch::Region;
use super::super::tables::{Known, Placed, Tables, extent, srgb};
use crate::soft::cpu::Cpu;
use crate::soft::cpu::sample::{Position, View, compares};
use crate::soft::ir::Sampler;
use crate::soft::kernel::order::Random;
use crate::soft::kernel::texture::{Kind, Level, Pixel, Texture};
use crate::soft::kernel::{
    Backend, Binding, CompileOptions, Executable, Launch, Owner, Resident, limits,
};
use crate::soft::msl;
use crate::soft::stream::format::Format;

/// The kernels that the tests call.
const KERNELS: &str = "
kernel void samples(const device Texture *texture [[buffer(0)]], const device float4 *at [[buffer(1)]],
                    const device float2 *more [[buffer(2)]], constant ulong &sampler [[buffer(3)]],
                    constant int3 &offset [[buffer(4)]], device uint4 *out [[buffer(5)]],
                    uint i [[thread_position_in_grid]]) {
    float4 p = at[i];
    float lod = more[i].x, value = more[i].y;
    out[4 * i] = texture_sample(texture, sampler, p.x, p.y, p.z, p.w, offset.x, offset.y, offset.z, lod);
    float share = texture_compare(texture, sampler, p.x, p.y, p.z, p.w, offset.x, offset.y, offset.z, lod, value);
    out[4 * i + 1] = uint4(as_type<uint>(share), 0, 0, 0);
    out[4 * i + 2] = texture_gather(texture, sampler, p.x, p.y, p.z, p.w, offset.x, offset.y, offset.z, i & 3);
    out[4 * i + 3] = as_type<uint4>(
        texture_gather_compare(texture, sampler, p.x, p.y, p.z, p.w, offset.x, offset.y, offset.z, value));
}
kernel void sampled_inline(const device Texture *texture [[buffer(0)]], const device float2 *at [[buffer(1)]],
                           constant ulong &sampler [[buffer(2)]], device uint4 *out [[buffer(3)]],
                           uint i [[thread_position_in_grid]]) {
    out[i] = texture_sample(texture, sampler, at[i].x, at[i].y, 0, 0, 0, 0, 0, 0);
}
kernel void read_inline(const device Texture *texture [[buffer(0)]], const device float2 *at [[buffer(1)]],
                        constant ulong &sampler [[buffer(2)]], device uint4 *out [[buffer(3)]],
                        uint i [[thread_position_in_grid]]) {
    out[i] = texture_read(texture, uint(at[i].x * 256), uint(at[i].y * 256), 0, 0, 0);
}
kernel void reads(const device Texture *texture [[buffer(0)]], const device uint4 *at [[buffer(1)]],
                  device uint4 *out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    uint4 p = at[i];
    out[2 * i] = texture_read(texture, p.x, p.y, p.z, p.w, i & 1);
    out[2 * i + 1] = uint4(texture_size(texture, i & 1, 0), texture_size(texture, 0, 2),
                           texture_size(texture, 0, 3), texture_size(texture, 0, 4));
}
kernel void writes(const device Texture *texture [[buffer(0)]], const device uint4 *pixels [[buffer(1)]],
                   uint i [[thread_position_in_grid]]) {
    uint4 p = pixels[i];
    texture_write(texture, i, 0, 0, 0, 0, p.x, p.y, p.z, p.w);
}
";

struct Nameless;

impl Owner for Nameless {
    fn name(&self) -> String {
        "memory of a test".into()
    }
}

/// The kernels, compiled for the CPU.
pub(super) fn kernel(name: &str) -> Box<dyn Executable> {
    let text = include_str!("../../msl/library/texture.metal").to_owned() + KERNELS;
    let library = msl::compile(&text, &msl::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (module, _) = library.kernel(name, &Default::default()).unwrap_or_else(|e| panic!("{e}"));
    Cpu::new(1).compile(&module, &CompileOptions::default()).expect("code")
}

/// Runs a kernel whose first argument is the description of a texture. The others are bound in order.
pub(super) fn run(
    kernel: &dyn Executable,
    texture: &Texture<'_>,
    threads: u32,
    args: &mut [&mut [u8]],
) {
    // Addresses as resources have them: tables, pixels, numbers of sRGB.
    let [at_tables, at_pixels, at_srgb] = [1u64 << 32, 2 << 32, 3 << 32];
    let mut tables = Tables::default();
    tables.textures(&[Placed { texture: *texture, base: at_pixels }], at_srgb);
    tables.move_to(at_tables);
    let mut numbers = srgb();
    let resident = |address: u64, base: *mut u8, bytes: usize| Resident {
        address,
        base,
        bytes: bytes as u64,
        writable: true,
        owner: &Nameless,
    };
    let (start, bytes) = (tables.bytes.as_mut_ptr(), tables.bytes.len());
    let residents = [
        resident(at_tables, start, bytes),
        resident(at_pixels, texture.base, extent(texture)),
        resident(at_srgb, numbers.as_mut_ptr().cast(), 4 * numbers.len()),
    ];
    // The first description is that of no texture.
    let skip = super::super::tables::DESCRIPTION;
    let mut bindings = vec![Binding::Memory {
        base: start.wrapping_add(skip),
        bytes: (bytes - skip) as u64,
        address: at_tables + skip as u64,
    }];
    bindings.extend(args.iter_mut().map(|bytes| Binding::Memory {
        base: bytes.as_mut_ptr(),
        bytes: bytes.len() as u64,
        address: 0,
    }));
    let [grid, group] = [threads, threads.min(limits::THREADS)].map(|threads| [threads, 1, 1]);
    let launch = Launch { bindings: &bindings, residents: &residents, ..Launch::bare(grid, group) };
    // SAFETY: everything that is bound outlives the launch.
    unsafe { kernel.launch(&launch) }.unwrap_or_else(|fault| panic!("{fault}"));
}

pub(super) fn bytes_of<T: Copy>(list: &mut [T]) -> &mut [u8] {
    let bytes = size_of_val(list);
    // SAFETY: the numbers of tests have no padding, and every byte is one.
    unsafe { std::slice::from_raw_parts_mut(list.as_mut_ptr().cast(), bytes) }
}

/// Whether two pixels are the same, NaNs apart if they are floats.
fn same(format: &Format, one: Pixel, other: Pixel) -> bool {
    one.iter().zip(&other).all(|(a, b)| {
        let nan = |bits: &u32| f32::from_bits(*bits).is_nan();
        a == b || format.kind == Kind::Float && nan(a) && nan(b)
    })
}

/// A texture of a kind with a few levels and slices, without its pixels.
fn levels(kind: u32, pixel: usize) -> (Vec<Level>, usize, u32, usize, bool) {
    let (sides, cube, slices) =
        [(1, false, 1), (2, false, 3), (3, false, 1), (2, true, 12)][kind as usize];
    let size: [u32; 3] = match (sides, cube) {
        (1, _) => [13, 1, 1],
        (2, true) => [5, 5, 1],
        (2, false) => [7, 5, 1],
        _ => [6, 5, 3],
    };
    let (mut levels, mut stride) = (Vec::new(), 0);
    for level in 0..3 {
        let size = size.map(|side| (side >> level).max(1));
        let row = size[0] as usize * pixel;
        let image = row * size[1] as usize;
        levels.push(Level { offset: stride, row, image, size });
        stride = (stride + image * size[2] as usize).next_multiple_of(16);
    }
    (levels, stride, slices, sides, cube)
}

#[test]
fn pixels_are_read_and_written_as_on_the_cpu() {
    let (reads, writes) = (kernel("reads"), kernel("writes"));
    let mut random = Random::new(1);
    let formats = (0..400).filter_map(Format::of).filter(|format| format.codec().is_none());
    for (number, format) in formats.enumerate() {
        let (levels, stride, slices, sides, cube) = levels(number as u32 % 4, format.bytes);
        let mut memory: Vec<u64> =
            (0..stride * slices as usize / 8 + 2).map(|_| random.next()).collect();
        let swizzle = if number % 3 == 0 { [2, 3, 4, 5] } else { [5, 2, 1, 0] };
        let (base, levels) = (memory.as_mut_ptr().cast(), &levels[..]);
        let texture = Texture { base, levels, slices, stride, sides, cube, format, swizzle, id: 0 };
        let mut at: Vec<[u32; 4]> = (0..96)
            .map(|_| std::array::from_fn(|d| random.below([14, 6, 7, 4][d]) as u32))
            .collect();
        let mut out = vec![[0u32; 4]; 2 * at.len()];
        run(&*reads, &texture, 96, &mut [bytes_of(&mut at), bytes_of(&mut out)]);
        for (i, at) in at.iter().enumerate() {
            let want = texture.read(*at, i as u32 & 1);
            let name = format.name;
            assert!(same(format, out[2 * i], want), "{name} {at:?}: {:?}, {want:?}", out[2 * i]);
            let width = levels[i & 1].size[0];
            assert_eq!(out[2 * i + 1], [width, levels[0].size[2], slices / texture.faces(), 3]);
        }
        // Numbers in the range, out of it, between two, and special ones.
        let pixel = |random: &mut Random, i: usize| {
            std::array::from_fn(|_| match i % 4 {
                0 => random.next() as u32,
                1 => ((random.next() >> 40) as f32 / (1 << 23) as f32 - 0.5).to_bits(),
                2 => (random.below(256) as f32 / 255.0).to_bits(),
                _ => random.below(300) as u32,
            })
        };
        let width = 300;
        let row =
            [Level { offset: 0, row: width * 16, image: width * 16, size: [width as u32, 1, 1] }];
        let mut pixels: Vec<Pixel> = (0..width).map(|i| pixel(&mut random, i)).collect();
        let (mut by_kernel, mut by_host) = (vec![0u128; width], vec![0u128; width]);
        let line = |memory: &mut [u128]| {
            let base = memory.as_mut_ptr().cast();
            let (levels, slices, sides, cube) = (&row[..], 1, 2, false);
            Texture {
                base,
                levels,
                slices,
                stride: width * 16,
                sides,
                cube,
                format,
                swizzle,
                id: 0,
            }
        };
        run(&*writes, &line(&mut by_kernel), width as u32, &mut [bytes_of(&mut pixels)]);
        let host = line(&mut by_host);
        for (i, pixel) in pixels.iter().enumerate() {
            host.write([i as u32, 0, 0, 0], 0, *pixel);
        }
        for i in 0..width {
            let read = |memory: &mut [u128]| line(memory).read([i as u32, 0, 0, 0], 0);
            let (one, other) = (read(&mut by_kernel), read(&mut by_host));
            let equal = by_kernel[i] == by_host[i] || same(format, one, other);
            assert!(equal, "{} {:?}: {one:?}, {other:?}", format.name, pixels[i]);
        }
    }
}

#[test]
fn textures_are_sampled_as_on_the_cpu() {
    let samples = kernel("samples");
    let mut random = Random::new(2);
    // Floats, fractions, sRGB, integers, a depth, one with infinities and NaNs among its pixels.
    let formats = [125, 70, 81, 73, 252, 115].map(|value| Format::of(value).expect("a format"));
    for round in 0..240u32 {
        let format = formats[round as usize % formats.len()];
        let (levels, stride, slices, sides, cube) = levels(round / 6 % 4, format.bytes);
        let mut memory: Vec<u64> =
            (0..stride * slices as usize / 8 + 2).map(|_| random.next()).collect();
        if matches!(format.value, 125 | 252) {
            for word in bytes_of(&mut memory).chunks_exact_mut(4) {
                let value = random.below(1000) as f32 / 999.0;
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
        let swizzle = if round % 5 == 0 { [4, 2, 1, 5] } else { [2, 3, 4, 5] };
        let (base, levels) = (memory.as_mut_ptr().cast(), &levels[..]);
        let texture = Texture { base, levels, slices, stride, sides, cube, format, swizzle, id: 0 };
        let mut sampler = Sampler::default();
        for (option, choices) in [
            ("coord", 2),
            ("s_address", 6),
            ("t_address", 6),
            ("r_address", 6),
            ("border_color", 3),
            ("min_filter", 2),
            ("mag_filter", 2),
            ("mip_filter", 3),
            ("compare_func", 8),
            ("reduction", 3),
        ] {
            let number = random.below(choices) as usize;
            sampler.set_number(option, number).expect("a choice");
        }
        if round % 3 == 0 {
            sampler.set_lod_clamp(0.25, 1.5);
            sampler.set_bias(-0.75);
        }
        let special = [0.0, -0.0, 1.0, 0.5, 1e9, -1e30, f32::INFINITY, f32::NAN];
        let mut number = |i: usize| match i % 9 {
            8 => special[random.below(8) as usize],
            _ => (random.next() >> 40) as f32 / (1 << 22) as f32 * 3.0 - 4.0,
        };
        let mut at: Vec<[f32; 4]> =
            (0..64).map(|i| std::array::from_fn(|d| number(4 * i + d))).collect();
        let mut more: Vec<[f32; 2]> =
            (0..64).map(|i| std::array::from_fn(|d| number(2 * i + d))).collect();
        let mut offset: [i32; 4] = match round % 4 {
            0 => [-2, 3, 1, 0],
            1 => [i32::MAX, i32::MIN, 5, 0],
            _ => [0; 4],
        };
        let mut out = vec![[0u32; 4]; 4 * at.len()];
        let mut packed = [sampler.0];
        let args = &mut [
            bytes_of(&mut at),
            bytes_of(&mut more),
            bytes_of(&mut packed),
            bytes_of(&mut offset),
            bytes_of(&mut out),
        ];
        run(&*samples, &texture, 64, args);
        for (i, (&at, &[lod, value])) in at.iter().zip(&more).enumerate() {
            let position = Position { at, offset: [offset[0], offset[1], offset[2]] };
            let view = View::new(&texture, sampler);
            let found = view.gather(&position);
            let passes = |pixel: Pixel| {
                compares(sampler.compare(), value, f32::from_bits(pixel[0])).to_bits()
            };
            let share = view.compare(&position, lod, value);
            let want = [
                view.sample(&position, lod),
                [share.to_bits(), 0, 0, 0],
                found.map(|pixel| pixel[i & 3]),
                found.map(passes),
            ];
            for (k, want) in want.into_iter().enumerate() {
                let got = out[4 * i + k];
                let nan = |bits: u32| f32::from_bits(bits).is_nan();
                let equal = got.iter().zip(&want).all(|(&a, &b)| a == b || nan(a) && nan(b));
                let Format { name, .. } = format;
                assert!(
                    equal,
                    "{name} {sampler:?} {at:?} lod {lod} value {value}, {k}: {got:x?}, {want:x?}"
                );
            }
        }
    }
}

/// The addresses of a launch are found as on the CPU; there the tables have the same form for kernels.
#[test]
fn tables_of_addresses_have_room_for_all_regions() {
    let residents: Vec<Resident<'_>> = (0..70_000u64)
        .map(|k| Resident {
            address: (k + 1) << 32,
            base: std::ptr::null_mut(),
            bytes: 16,
            writable: true,
            owner: &Nameless,
        })
        .collect();
    let known = Known { residents: &residents, textures: &[], starts: vec![0; 3], expected: &[] };
    let regions = vec![Region::default(); 3 + residents.len()];
    let mut tables = Tables::default();
    tables.addresses(&known, &regions, &[]);
    let count = tables.fields(0).find(|field| field.0 == super::super::emit::layout::FAR_COUNT);
    // One number is for pointers that are in no resident.
    assert_eq!(count.map(|field| field.1), Some(0xfffe));
}
