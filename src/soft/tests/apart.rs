//! Accesses whose lanes are at distances that the compiler knows, at the ends of memory: they fault where a model that only adds
//! up offsets says so, and all ways to run them agree about every byte.

use super::guarded::{Buffers, kernel};
use crate::soft::cpu::Way;
use crate::test_random::Random;

/// The parts of an index in a thread: its number in the threadgroup, and a uniform number that is not known.
#[derive(Clone, Copy)]
struct Thread {
    t: i64,
    u: u32,
}

impl Thread {
    /// The lane, also as an unsigned number.
    fn w(self) -> i64 {
        self.t % 32
    }

    fn lane(self) -> u32 {
        self.t as u32 % 32
    }

    /// The SIMD-group.
    fn sg(self) -> i64 {
        self.t / 32
    }
}

type Index = (&'static str, fn(Thread) -> i64);

/// Indices in groups of 64 threads.
const INDICES: &[Index] = &[
    ("31 - w", |t| 31 - t.w()),
    ("w / 4 * 9 + w % 4", |t| t.w() / 4 * 9 + t.w() % 4),
    ("w % 4 * 9 + w / 4", |t| t.w() % 4 * 9 + t.w() / 4),
    ("w / 8 * 5 + w % 8 / 4 + sg * 3", |t| t.w() / 8 * 5 + t.w() % 8 / 4 + t.sg() * 3),
    ("w / 4 * 17 + w % 4 * 4", |t| t.w() / 4 * 17 + t.w() % 4 * 4),
    ("(w ^ 1) * 2", |t| (t.w() ^ 1) * 2),
    ("w * 7 % 32", |t| t.w() * 7 % 32),
    ("w / 2", |t| t.w() / 2),
    ("w / 16", |t| t.w() / 16),
    ("w / 4 * 40 + w % 4 * 16 / 3", |t| t.w() / 4 * 40 + t.w() % 4 * 16 / 3),
    ("w % 2 * 16 + w / 2", |t| t.w() % 2 * 16 + t.w() / 2),
    ("w % 16 + w / 16 * 40", |t| t.w() % 16 + t.w() / 16 * 40),
    ("w % 8 + w / 8 * 9", |t| t.w() % 8 + t.w() / 8 * 9),
    ("q * 5 + w / 4", |t| t.w() % 4 * 5 + t.w() / 4),
    ("t % 64 / 4 * 5 + t % 4", |t| t.t % 64 / 4 * 5 + t.t % 4),
    ("t * 6 % 128 + w / 8", |t| t.t * 6 % 128 + t.w() / 8),
    ("u + w / 4 * 9", |t| t.u.wrapping_add(t.lane() / 4 * 9).into()),
    ("u - w / 4 * 3", |t| t.u.wrapping_sub(t.lane() / 4 * 3).into()),
    ("int(u) + int(w / 4 * 9)", |t| (t.u as i32).wrapping_add(t.lane() as i32 / 4 * 9).into()),
    ("int(u) - int(w / 4 * 9)", |t| (t.u as i32).wrapping_sub(t.lane() as i32 / 4 * 9).into()),
    ("uchar(int(sg) * 4 + int(w) - 10)", |t| (t.sg() * 4 + t.w() - 10) & 255),
    ("uchar(sg + 10 - w)", |t| (t.sg() + 10 - t.w()) & 255),
    ("(int(sg) * 32 + int(w) - 16) / 4", |t| (t.sg() * 32 + t.w() - 16) / 4),
    ("(int(sg) * 32 + 32 - int(w)) / 4", |t| (t.sg() * 32 + 32 - t.w()) / 4),
];

/// Indices that are far apart, or whose numbers do not fit in groups of 1024 threads.
const LARGE: &[Index] = &[
    ("(u + w / 4) << 17", |t| (t.u.wrapping_add(t.lane() / 4) << 17).into()),
    ("short(t * 40)", |t| i64::from((t.t * 40) as i16)),
    ("uchar((int(sg) << 27) / (1 << 27) * 4 + int(w))", |t| {
        (i64::from(((t.sg() << 27) as i32) / (1 << 27)) * 4 + t.w()) & 255
    }),
];

/// A type, its bytes, and a number of a value.
const TYPES: &[(&str, i64, &str)] = &[
    ("uchar", 1, "x"),
    ("char", 1, "x"),
    ("bool", 1, "x"),
    ("ushort", 2, "x"),
    ("short", 2, "x"),
    ("half", 2, "as_type<ushort>(x)"),
    ("uint", 4, "x"),
    ("ulong", 8, "uint(x) ^ uint(x >> 32) * 3"),
    ("uchar2", 2, "x.x + x.y * 3"),
    ("uchar4", 4, "x.x + x.y * 3 + x.z * 5 + x.w * 7"),
    ("packed_short3", 6, "x.x + x.y * 3 + x.z * 5"),
    ("short4", 8, "x.x + x.y * 3 + x.z * 5 + x.w * 7"),
    ("uint2", 8, "x.x + x.y * 3"),
    ("packed_uint3", 12, "x.x + x.y * 3 + x.z * 5"),
    ("uint4", 16, "x.x + x.y * 3 + x.z * 5 + x.w * 7"),
];

/// Which lanes access memory.
type Mask = (&'static str, fn(i64) -> bool);

const MASKS: &[Mask] = &[
    ("true", |_| true),
    ("w < 8", |w| w < 8),
    ("w % 16 < 8", |w| w % 16 < 8),
    ("w > 3", |w| w > 3),
    ("w % 5 != 3", |w| w % 5 != 3),
];

/// Runs one form of access where its first byte is near the start of memory, and where its last one is near the end.
fn check(
    random: &mut Random,
    threads: i64,
    index: Index,
    ty: (&str, i64, &str),
    mask: usize,
    store: bool,
) {
    let ((index, number), (ty, bytes, value)) = (index, ty);
    let (mask, active) = MASKS[mask];
    let access = match store {
        true => format!("p[{index}] = {ty}(t * 7 + 3);"),
        false => format!("{ty} x = p[{index}]; out[t] = uint({value});"),
    };
    let text = format!(
        "#include <metal_stdlib>\nusing namespace metal;\nkernel void k(device uchar *data [[buffer(0)]], \
         device uint *out [[buffer(1)]], constant long *c [[buffer(2)]], uint t [[thread_index_in_threadgroup]], \
         uint sg [[simdgroup_index_in_threadgroup]], uint w [[thread_index_in_simdgroup]], \
         uint q [[thread_index_in_quadgroup]]) {{ device {ty} *p = (device {ty} *)(data + c[0]); uint u = uint(c[1]); \
         out[t] = 77; if ({mask}) {{ {access} }} }}"
    );
    let module = kernel(&text, index);
    let programs: Vec<_> =
        Way::all().into_iter().map(|way| (way, way.program(&module).unwrap())).collect();
    for u in [5, 300, u32::MAX - 20, i32::MAX as u32 - 20] {
        let of = |t| number(Thread { t, u }) * bytes;
        let offsets: Vec<i64> = (0..threads).filter(|t| active(t % 32)).map(of).collect();
        // Lanes whose indices wrapped are far from the others, which the ends are near to. There is also memory where they were
        // without wrapping.
        let here: Vec<i64> =
            offsets.iter().copied().filter(|at| at.abs_diff(offsets[0]) < 1 << 30).collect();
        let low = *here.iter().min().unwrap();
        let high = here.iter().max().unwrap() + bytes;
        let more = if here.len() < offsets.len() { 128 * bytes } else { 0 };
        let length = more
            + match random.below(3) {
                0 => high - low,
                _ => high - low + 16 + random.below(16) as i64,
            };
        let near = random.below(33) as i64 - 16;
        let first = [-1, 0, near].map(|start| (start - low, true));
        let last = [1, 0, near].map(|past| (length + past - high, false));
        for (offset, begins) in first.into_iter().chain(last) {
            let faults = offsets.iter().any(|at| at + offset < 0 || at + offset + bytes > length);
            let mut want = None;
            for (way, program) in &programs {
                let name = format!(
                    "{}, u = {u}, {length} bytes, {offset} before the pointer\n{text}",
                    way.name()
                );
                let mut buffers = Buffers::new([length as usize, 4096, 16], begins);
                let c = [offset as u64, u.into()].map(|c| [c as u32, (c >> 32) as u32]);
                buffers.write(2, c.as_flattened());
                let size = [threads as u32, 1, 1];
                let found = buffers.run(program, [size, size]);
                assert_eq!(found.is_err(), faults, "{found:?}: {name}");
                assert!(
                    buffers.is_untouched_beside(0),
                    "bytes beside the memory have changed: {name}"
                );
                let results = (buffers.bytes(0).to_vec(), buffers.bytes(1).to_vec());
                if !faults && *want.get_or_insert_with(|| results.clone()) != results {
                    panic!("not what {} does: {name}", programs[0].0.name());
                }
            }
        }
        // Other numbers make no difference to the other indices.
        if !index.contains('u') || index.contains("uchar") {
            break;
        }
    }
}

#[test]
fn lanes_at_known_distances_stay_in_bounds() {
    let small = std::env::var("ARUMINIUM_TEST_SCALE").is_ok_and(|scale| scale == "small");
    for seed in 0..crate::test_scale::scaled(1) as u64 {
        let random = &mut Random::new(seed);
        for &index in INDICES {
            for &ty in TYPES {
                // Whole vectors of words are stored in their own way, if the lanes do not overlap.
                let last = if ty.0 == "uint4" { MASKS.len() } else { 0 };
                for mask in 0..=last {
                    let (mask, store) = match mask.checked_sub(1) {
                        Some(mask) => (mask, true),
                        None if random.chance(50) => (0, random.chance(50)),
                        None => (random.below(MASKS.len()), random.chance(50)),
                    };
                    if !small || random.chance(5) {
                        check(random, 64, index, ty, mask, store);
                    }
                }
            }
        }
        for &index in LARGE {
            check(random, 1024, index, TYPES[0], 0, seed % 2 == 1);
        }
    }
}
