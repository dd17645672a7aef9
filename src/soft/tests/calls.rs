//! Functions that stay functions: a tree of field operations, as in pairings, whose inlined code would have hundreds of
//! thousands of instructions.

use super::*;
#[cfg(target_os = "linux")]
use crate::memory_use::{measure, most_resident};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// The prime of BLS12-381, in words, and minus its inverse modulo 2^32.
const P: [u32; 12] = [
    0xffff_aaab,
    0xb9fe_ffff,
    0xb153_ffff,
    0x1eab_fffe,
    0xf624_1ed2,
    0x6730_d2a0,
    0xf385_12bf,
    0x6477_4b84,
    0x434b_acd7,
    0x4b1b_a7b6,
    0x397f_e69a,
    0x1a01_11ea,
];
const P_INVERSE: u32 = 0xfffc_fffd;

/// A tower of fields of degree 12, with products in Montgomery form.
const TOWER: &str = "
    struct Fp { uint w[12]; };
    struct Fp2 { Fp a, b; };
    struct Fp6 { Fp2 a, b, c; };
    struct Fp12 { Fp6 a, b; };
    Fp reduced(Fp x, uint over) {
        Fp y; uint borrow = 0;
        for (uint i = 0; i < 12; i++) {
            ulong d = ulong(x.w[i]) - P[i] - borrow; y.w[i] = uint(d); borrow = uint(d >> 63);
        }
        if (over >= borrow) return y;
        return x;
    }
    Fp add(Fp x, Fp y) {
        ulong c = 0;
        for (uint i = 0; i < 12; i++) { c += ulong(x.w[i]) + y.w[i]; x.w[i] = uint(c); c >>= 32; }
        return reduced(x, uint(c));
    }
    Fp sub(Fp x, Fp y) {
        uint borrow = 0;
        for (uint i = 0; i < 12; i++) {
            ulong d = ulong(x.w[i]) - y.w[i] - borrow; x.w[i] = uint(d); borrow = uint(d >> 63);
        }
        if (borrow) {
            ulong c = 0;
            for (uint i = 0; i < 12; i++) { c += ulong(x.w[i]) + P[i]; x.w[i] = uint(c); c >>= 32; }
        }
        return x;
    }
    Fp mul(Fp x, Fp y) {
        uint t[13] = {};
        for (uint i = 0; i < 12; i++) {
            ulong c = 0;
            for (uint j = 0; j < 12; j++) { c += ulong(x.w[j]) * y.w[i] + t[j]; t[j] = uint(c); c >>= 32; }
            c += t[12];
            uint m = t[0] * INVERSE;
            ulong r = (ulong(m) * P[0] + t[0]) >> 32;
            for (uint j = 1; j < 12; j++) { r += ulong(m) * P[j] + t[j]; t[j - 1] = uint(r); r >>= 32; }
            r += c; t[11] = uint(r); t[12] = uint(r >> 32);
        }
        Fp z;
        for (uint i = 0; i < 12; i++) z.w[i] = t[i];
        return reduced(z, t[12]);
    }
    Fp2 add(Fp2 x, Fp2 y) { return {add(x.a, y.a), add(x.b, y.b)}; }
    Fp2 sub(Fp2 x, Fp2 y) { return {sub(x.a, y.a), sub(x.b, y.b)}; }
    Fp2 turned(Fp2 x) { return {sub(x.a, x.b), add(x.a, x.b)}; }
    Fp2 mul(Fp2 x, Fp2 y) {
        Fp t = mul(x.a, y.a), u = mul(x.b, y.b), v = mul(add(x.a, x.b), add(y.a, y.b));
        return {sub(t, u), sub(sub(v, t), u)};
    }
    Fp6 add(Fp6 x, Fp6 y) { return {add(x.a, y.a), add(x.b, y.b), add(x.c, y.c)}; }
    Fp6 sub(Fp6 x, Fp6 y) { return {sub(x.a, y.a), sub(x.b, y.b), sub(x.c, y.c)}; }
    Fp6 turned(Fp6 x) { return {turned(x.c), x.a, x.b}; }
    Fp6 mul(Fp6 x, Fp6 y) {
        Fp2 t = mul(x.a, y.a), u = mul(x.b, y.b), v = mul(x.c, y.c);
        return {add(t, turned(sub(sub(mul(add(x.b, x.c), add(y.b, y.c)), u), v))),
                add(sub(sub(mul(add(x.a, x.b), add(y.a, y.b)), t), u), turned(v)),
                add(sub(sub(mul(add(x.a, x.c), add(y.a, y.c)), t), v), u)};
    }
    Fp12 mul(Fp12 x, Fp12 y) {
        Fp6 t = mul(x.a, y.a), u = mul(x.b, y.b);
        return {add(t, turned(u)), sub(sub(mul(add(x.a, x.b), add(y.a, y.b)), t), u)};
    }";

type Fp = [u32; 12];

fn reduced(x: Fp, over: u32) -> Fp {
    let (mut y, mut borrow) = (x, 0u64);
    for (y, p) in y.iter_mut().zip(P) {
        let d = u64::from(*y).wrapping_sub(p.into()).wrapping_sub(borrow);
        (*y, borrow) = (d as u32, d >> 63);
    }
    if u64::from(over) >= borrow { y } else { x }
}

fn add(mut x: Fp, y: Fp) -> Fp {
    let mut carry = 0;
    for (x, y) in x.iter_mut().zip(y) {
        carry += u64::from(*x) + u64::from(y);
        *x = carry as u32;
        carry >>= 32;
    }
    reduced(x, carry as u32)
}

fn sub(x: Fp, y: Fp) -> Fp {
    let mut minus = P;
    let mut borrow = 0u64;
    for (minus, y) in minus.iter_mut().zip(y) {
        let d = u64::from(*minus).wrapping_sub(y.into()).wrapping_sub(borrow);
        (*minus, borrow) = (d as u32, d >> 63);
    }
    add(x, minus)
}

/// `x y / 2^384` by schoolbook: the product, and a multiple of the prime that makes its lower half zero.
fn mul(x: Fp, y: Fp) -> Fp {
    let mut t = [0u32; 25];
    let row = |from: usize, factor: u32, by: &Fp, t: &mut [u32; 25]| {
        let mut carry = 0;
        for (j, word) in by.iter().copied().chain(std::iter::repeat(0)).take(25 - from).enumerate()
        {
            carry += u64::from(word) * u64::from(factor) + u64::from(t[from + j]);
            t[from + j] = carry as u32;
            carry >>= 32;
        }
    };
    (0..12).for_each(|i| row(i, y[i], &x, &mut t));
    (0..12).for_each(|i| row(i, t[i].wrapping_mul(P_INVERSE), &P, &mut t));
    reduced(std::array::from_fn(|i| t[12 + i]), t[24])
}

/// An element of the tower: its 12 coefficients over the base, as they are in memory.
type Fp12 = [Fp; 12];

/// Elements of degree 2, 6 and 12 as slices of coefficients. The product of (a, b) by (c, d), or of three, is by the
/// definition, without the tricks that save multiplications.
fn product(x: &[Fp], y: &[Fp]) -> Vec<Fp> {
    let plus = |x: Vec<Fp>, y: Vec<Fp>| -> Vec<Fp> {
        x.into_iter().zip(y).map(|(x, y)| add(x, y)).collect()
    };
    let two = |x: &[Fp]| vec![sub(x[0], x[1]), add(x[0], x[1])];
    match x.len() {
        1 => vec![mul(x[0], y[0])],
        2 => vec![sub(mul(x[0], y[0]), mul(x[1], y[1])), add(mul(x[0], y[1]), mul(x[1], y[0]))],
        6 => {
            let at = |x: &[Fp], i: usize| x[2 * i..2 * i + 2].to_vec();
            let of = |i: usize, j: usize| product(&at(x, i), &at(y, j));
            let low = plus(of(0, 0), two(&plus(of(1, 2), of(2, 1))));
            let middle = plus(plus(of(0, 1), of(1, 0)), two(&of(2, 2)));
            let high = plus(plus(of(0, 2), of(2, 0)), of(1, 1));
            [low, middle, high].concat()
        }
        _ => {
            let of = |i: usize, j: usize| product(&x[6 * i..6 * i + 6], &y[6 * j..6 * j + 6]);
            let square = of(1, 1);
            let turned = [two(&square[4..]), square[..4].to_vec()].concat();
            [plus(of(0, 0), turned), plus(of(0, 1), of(1, 0))].concat()
        }
    }
}

/// The source: the tower, and a kernel with `steps` products, of which it does those that the bits of `which` select.
fn source(steps: u32) -> String {
    let words = P.map(|word| word.to_string()).join("u, ");
    let mut text =
        format!("constant uint P[12] = {{{words}u}};\n#define INVERSE {P_INVERSE}u\n{TOWER}");
    text += "\nkernel void power(device Fp12 *x [[buffer(0)]], constant ulong &which [[buffer(1)]],
        uint i [[thread_position_in_grid]]) {
        Fp12 f = x[i], g = f;\n";
    for step in 0..steps {
        let from = if step % 2 == 0 { "g" } else { "f" };
        _ = writeln!(text, "if (which >> {step} & 1 + i) f = mul(f, {from});");
    }
    text + "x[i] = f; }"
}

#[test]
fn a_tree_of_field_operations_is_compiled_once_for_each_function() {
    const STEPS: u32 = 40;
    let library = msl::compile(&source(STEPS), &msl::Options::default()).expect("it compiles");
    let start = Instant::now();
    let (module, _) = library.kernel("power", &Default::default()).expect("it is lowered");
    let program = crate::soft::cpu::Program::new(&module).expect("it is small enough");
    let took = start.elapsed();
    // Inlined, it would have hundreds of thousands.
    assert!(program.instructions() < 60_000, "{}", program.instructions());
    let limit = if cfg!(debug_assertions) { 60 } else { 2 };
    assert!(took < Duration::from_secs(limit), "{took:?}");

    // Lanes take different ways: which products a thread does depends on its number.
    let which = 1u64 | 1 << 7 | 1 << 39;
    let element = |seed: u32| -> Fp12 {
        std::array::from_fn(|k| {
            std::array::from_fn(|w| {
                (seed * 144 + k as u32 * 12 + w as u32).wrapping_mul(0x9e37_79b9) >> 4
            })
        })
        .map(|words| reduced(words, 0))
    };
    let mut memory: Vec<Fp12> = (0..3).map(element).collect();
    let expected: Vec<Fp12> = memory
        .iter()
        .zip(0u32..)
        .map(|(&x, i)| {
            let (mut f, g) = (x, x);
            for step in 0..STEPS {
                if which >> step & u64::from(1 + i) != 0 {
                    let from = if step % 2 == 0 { g } else { f };
                    f = product(&f, &from).try_into().unwrap();
                }
            }
            f
        })
        .collect();
    let bytes = (memory.len() * size_of::<Fp12>()) as u64;
    let bindings = [
        Binding { index: 0, base: memory.as_mut_ptr().cast(), bytes },
        Binding { index: 1, base: (&raw const which).cast_mut().cast(), bytes: 8 },
    ];
    let launch = Launch::of([3, 1, 1], [3, 1, 1], &bindings);
    // SAFETY: the bindings are the vector and the number above, which outlive the launch and nothing else uses.
    unsafe { program.launch_by_index(&launch, &Workers::new(1)) }.unwrap();
    assert!(memory == expected);
}

/// The most memory while such a kernel is compiled, and interpreted code and machine code of it are made, counts from the process's start.
#[cfg(target_os = "linux")]
#[test]
fn a_tree_of_field_operations_takes_little_memory_to_compile() {
    let test = "soft::tests::calls::a_tree_of_field_operations_takes_little_memory_to_compile";
    measure(test, || {
        let library = msl::compile(&source(40), &msl::Options::default()).expect("it compiles");
        let (module, _) = library.kernel("power", &Default::default()).expect("it is lowered");
        let program = crate::soft::cpu::Program::new(&module).expect("it is small enough");
        let most = most_resident() >> 20;
        println!("{} instructions, {most} MiB", program.instructions());
        let limit = if cfg!(debug_assertions) { 400 } else { 100 };
        assert!(most <= limit, "{most} MiB");
    });
}

/// A function with everything that control flow has, called so often that it stays a function: 300 times in 64 threads.
fn mixing() -> String {
    let mut text = String::from(
        "void mix(thread uint *s, device uint *log, threadgroup uint *shared, uint n, bool odd, uint i) {
            threadgroup_barrier(mem_flags::mem_threadgroup);
            shared[i] = s[0];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            s[1] += shared[i ^ 1];\n",
    );
    for k in 0..30 {
        _ = writeln!(text, "s[{}] = s[{}] * {}u + (n ^ {k}u);", k % 4, (k + 1) % 4, 2 * k + 1);
    }
    text += "if (odd) { if ((s[2] & 3) == 0) return; s[0] ^= n; }
            uint own[3] = {s[0], s[1], n};
            for (uint k = 0; k < 8; k++) {
                if ((s[3] >> k & 5) == 5) break;
                if (k == i % 4) continue;
                own[k % 3] += s[k % 4];
            }
            s[0] += own[0] ^ own[2];
            log[i] += own[1];
        }
        kernel void k(device uint *out [[buffer(0)]], device uint *log [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
            threadgroup uint shared[64];
            uint s[4] = {i, i * 7, 3, i ^ 11};\n";
    for call in 0..300 {
        _ = writeln!(text, "mix(s, log, shared, {call} + i % 3, ((i + {call}) & 1) != 0, i);");
    }
    text + "for (uint k = 0; k < 4; k++) out[4 * i + k] = s[k]; }"
}

#[test]
fn calls_keep_lanes_apart() {
    let mut buffers = [vec![0u32; 256], vec![0; 64]];
    run_with(&mixing(), 64, &mut buffers).unwrap();
    let mut states: Vec<[u32; 4]> = (0..64u32).map(|i| [i, i * 7, 3, i ^ 11]).collect();
    let mut log = vec![0u32; 64];
    for call in 0..300 {
        let shared: Vec<u32> = states.iter().map(|s| s[0]).collect();
        for (i, s) in (0u32..).zip(&mut states) {
            let n = call + i % 3;
            s[1] = s[1].wrapping_add(shared[(i ^ 1) as usize]);
            for k in 0..30 {
                let from = s[(k as usize + 1) % 4];
                s[k as usize % 4] = from.wrapping_mul(2 * k + 1).wrapping_add(n ^ k);
            }
            if (i + call) & 1 != 0 {
                if s[2] & 3 == 0 {
                    continue;
                }
                s[0] ^= n;
            }
            let mut own = [s[0], s[1], n];
            for k in 0..8u32 {
                if s[3] >> k & 5 == 5 {
                    break;
                }
                if k == i % 4 {
                    continue;
                }
                own[k as usize % 3] = own[k as usize % 3].wrapping_add(s[k as usize % 4]);
            }
            s[0] = s[0].wrapping_add(own[0] ^ own[2]);
            log[i as usize] = log[i as usize].wrapping_add(own[1]);
        }
    }
    assert_eq!(buffers[0], states.concat());
    assert_eq!(buffers[1], log);
    // A fault in the function is one of the thread that calls it, and names the argument and the line.
    let mut small = [vec![0u32; 256], vec![0; 63]];
    let fault = run_with(&mixing(), 64, &mut small).unwrap_err();
    assert!(fault.contains("\"log\"") && fault.contains("offset: 252"), "{fault}");
    assert!(fault.contains("[63, 0, 0]"), "{fault}");
}

/// A position that is otherwise only the index of a row, which accesses compute themselves, is computed for a call.
#[test]
fn an_argument_may_be_the_index_of_a_row() {
    let mut text = String::from("void add(thread uint *s, uint i) {\n");
    for k in 0..80 {
        _ = writeln!(text, "s[0] = s[0] * {}u + (i ^ {k}u);", 2 * k + 1);
    }
    text += "}\nkernel void k(device uint *out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        uint s[1] = {5};\n";
    text += &"add(s, i);\n".repeat(200);
    text += "out[i] = s[0]; }";
    let mut buffers = [vec![0u32; 64]];
    run_with(&text, 64, &mut buffers).unwrap();
    let expected = |i: u32| {
        let step = |s: u32, k: u32| s.wrapping_mul(2 * (k % 80) + 1).wrapping_add(i ^ (k % 80));
        (0..80 * 200).fold(5, step)
    };
    assert_eq!(buffers[0], (0..64).map(expected).collect::<Vec<u32>>());
}

/// The functions that stay, by the size of the kernel.
#[test]
fn only_large_kernels_have_calls() {
    let compiled = |source: &str| {
        let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{source}");
        let library = msl::compile(&source, &msl::Options::default()).unwrap();
        let (module, _) = library.kernel("k", &Default::default()).unwrap();
        Program::new(&module).unwrap()
    };
    let large = mixing();
    assert!(compiled(&large).has_calls());
    let few = |line: &&str| !line.starts_with("mix(s") || line.contains("shared, 29");
    let shorter: Vec<&str> = large.lines().filter(few).collect();
    assert!(!compiled(&shorter.join("\n")).has_calls());
}
