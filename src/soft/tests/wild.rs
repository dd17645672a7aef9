//! Random kernels with accesses anywhere, in and out of bounds: they always stay inside of their memory, and all ways to
//! run them agree whether there is a fault.

use super::guarded::{Buffers, kernel};
use crate::soft::cpu::Way;
use crate::soft::kernel::Fault;
use crate::test_random::Random;

const GRID: u32 = 96;
/// The rows of a grid whose threadgroups have several.
const ROWS: u32 = 5;

/// A random index of thread `i` of row `y`, in iteration `j` of a loop. It never depends on memory that the kernel writes.
fn index(random: &mut Random) -> String {
    let near: &[&str] = &[
        "i",
        "i",
        "i + j",
        "j",
        "i * 3u + j",
        "95u - i",
        "j * 8u + (i & 7u)",
        "idx[i & 63u]",
        "idx[i & 63u] + j",
        "(idx[i & 63u] & 31u)",
        "i + c[1]",
        "w / 4u * 9u + w % 4u + j",
        "i / 32u * 32u + (w ^ 1u)",
        "w * 2u + c[1]",
        "y * 96u + i",
        "y * 32u + (i & 15u) + j",
        "ulong(i) + ulong(idx[j & 63u])",
    ];
    let far: &[&str] = &[
        "int(i) - 5",
        "int(idx[i & 63u]) - 3",
        "(ulong(idx[i & 63u]) << 33) + i",
        "i + 4294967290u",
        "i * 50u",
        "w * 77u + j",
        "w / 8u * 3u - 2u",
    ];
    let list = if random.chance(93) { near } else { far };
    random.pick(list).to_owned()
}

/// An index of a small array, nearly always inside of it.
fn small(random: &mut Random, mask: u32) -> String {
    let at = index(random);
    if random.chance(85) { format!("({at}) & {mask}") } else { at }
}

/// A random access.
fn access(random: &mut Random) -> String {
    let at = index(random);
    let scalar = random.pick(&["uchar", "ushort", "half", "uint", "ulong"]);
    let narrow =
        random.pick(&["char4", "uchar2", "packed_uchar3", "short4", "half2", "packed_half3"]);
    match random.below(15) {
        0 | 1 => format!("s += src[{at}];"),
        2 => format!("s += uint(((device const {scalar} *)src)[{at}]);"),
        3 => format!("s += ((device const uint4 *)src)[{at}].y;"),
        4 => format!("dst[{at}] = s;"),
        5 => format!("((device {scalar} *)dst)[{at}] = {scalar}(s);"),
        6 => format!("((device packed_uint3 *)dst)[{at}] = packed_uint3(s, i, j);"),
        7 => format!("s += atomic_fetch_add_explicit(&sums[{at}], s, memory_order_relaxed);"),
        8 => format!("t[{}] = s; s ^= t[{}];", small(random, 7), small(random, 7)),
        9 => format!("g[{}] = s; s ^= g[{}];", small(random, 63), small(random, 63)),
        10 => format!(
            "{{ device const uint *p = (idx[(i + j) & 63u] & 1u) != 0u ? src : (device const uint *)dst; s += p[{at}]; }}"
        ),
        11 => format!(
            "{{ {narrow} v = {narrow}(((device const {narrow} *)src)[{at}]); s += uint(v.x) + uint(v.y) * 3u; }}"
        ),
        12 => format!("((device {narrow} *)dst)[{at}] = {narrow}(s & 127u);"),
        13 => format!("h[{}] = ushort(s); s ^= h[{}];", small(random, 63), small(random, 63)),
        _ => format!("s += c[{}];", small(random, 7)),
    }
}

/// The body of a random kernel, of which a third have barriers.
fn body(random: &mut Random) -> String {
    let mut text = String::new();
    let has_barriers = random.below(3) == 0;
    for number in 0..1 + random.below(6) {
        if has_barriers && (number == 1 || random.chance(40)) {
            text += random.pick(&[
                "threadgroup_barrier(mem_flags::mem_threadgroup);\n",
                "threadgroup_barrier(mem_flags::mem_device);\n",
            ]);
        }
        let one = access(random);
        let few: Vec<String> = (0..1 + random.below(3)).map(|_| access(random)).collect();
        let few = few.concat();
        let count = random.pick(&["c[2]", "5u", "(idx[i & 63u] & 15u)"]);
        text += &match random.below(6) {
            0 => format!("if ((idx[i & 63u] & 2u) != 0u) {{ {few} }} else {{ {one} }}\n"),
            1 if random.chance(30) => {
                format!("for (uint j = w / 2u; j < {count}; j += 4u) {{ {few} }}\n")
            }
            1 => format!("for (j = 0; j < {count}; j++) {{ {few} }}\n"),
            2 => format!("for (j = {count}; j > 0; j--) {{ if (j == (i & 7u)) continue; {few} }}\n"),
            3 => format!("if (i < c[3]) {{ {one} }}\n"),
            4 => "{ simdgroup_float8x8 m; simdgroup_load(m, (device const float *)src + c[4], c[5]); \
                  simdgroup_store(m, (device float *)dst + c[6], c[5]); }\n"
                .to_owned(),
            _ => format!("{one}\n"),
        };
    }
    text
}

fn check(seed: u64) -> bool {
    let random = &mut Random::new(seed);
    let text = format!(
        "#include <metal_stdlib>\nusing namespace metal;\nkernel void k(device const uint *src [[buffer(0)]], \
         device uint *dst [[buffer(1)]], device atomic_uint *sums [[buffer(2)]], constant uint *c [[buffer(3)]], \
         device const uint *idx [[buffer(4)]], uint2 at [[thread_position_in_grid]], \
         uint w [[thread_index_in_simdgroup]]) {{\n\
         threadgroup uint g[64]; threadgroup ushort h[64]; uint t[8] = {{}}; uint i = at.x, y = at.y, s = i, j = 0;\n{}dst[i] = s; }}",
        body(random)
    );
    let module = kernel(&text, &seed.to_string());
    let lengths: [usize; 5] = std::array::from_fn(|number| match number {
        3 => 8 * 4,
        4 => 64 * 4,
        _ => random.pick(&[
            384,
            388,
            1000,
            4096,
            1 << 13,
            1 << 13,
            1 << 13,
            1 << 13,
            1 << 13,
            1 << 13,
        ]),
    });
    let c: [u32; 8] = std::array::from_fn(|_| random.pick(&[0, 1, 3, 7, 8, 20, 64]));
    let garbage = random.below(6) == 0;
    let idx: [u32; 64] = std::array::from_fn(|_| match random.below(40) {
        0 if garbage => random.pick(&[1 << 20, 1 << 30, u32::MAX, 1 << 31, 97]),
        _ => random.below(64) as u32,
    });
    let ends = random.chance(50);
    let group = random.pick(&[
        [32, 1, 1],
        [32, 1, 1],
        [96, 1, 1],
        [16, 1, 1],
        [5, 1, 1],
        [32, 2, 1],
        [16, 2, 1],
        [8, 4, 1],
        [3, 7, 1],
    ]);
    let grid = [GRID, if group[1] == 1 { 1 } else { ROWS }, 1];
    let mut first: Option<Result<(), Fault>> = None;
    for way in Way::all() {
        let mut buffers = Buffers::new(lengths, ends);
        buffers.write(3, &c);
        buffers.write(4, &idx);
        let name = format!("{seed}, {}: {lengths:?}, {c:?}, {group:?}\n{text}", way.name());
        let found = buffers.launch(&module, way, [grid, group], &name);
        for number in 0..lengths.len() {
            let untouched = buffers.is_untouched_beside(number);
            assert!(untouched, "bytes beside buffer {number} have changed: {name}");
        }
        let untouched = buffers.is_untouched(0);
        assert!(untouched, "the buffer that is only read has changed: {name}");
        match &first {
            None => first = Some(found),
            Some(want) => {
                let same = match (want, &found) {
                    (Ok(()), Ok(())) => true,
                    // Shorter strips may report another thread.
                    (Err(_), Err(_))
                        if way.isa().name() != "avx512" || !group[0].is_multiple_of(32) =>
                    {
                        true
                    }
                    (Err(a), Err(b)) => {
                        (a.position, &a.kind, a.span) == (b.position, &b.kind, b.span)
                    }
                    _ => false,
                };
                assert!(same, "{found:?} instead of {want:?}: {name}");
            }
        }
    }
    first.is_some_and(|result| result.is_err())
}

#[test]
fn random_accesses_stay_in_bounds() {
    let first: u64 =
        std::env::var("ARUMINIUM_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count = crate::test_scale::scaled(120) as u64;
    let faults = (first..first + count).filter(|&seed| check(seed)).count() as u64;
    // Both happen often, or the programs show little.
    assert!(count < 100 || (count / 8..count * 7 / 8).contains(&faults), "{faults} of {count}");
}
