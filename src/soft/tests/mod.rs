//! Tests across modules: kernels from MSL text to results, random programs, and fuzzing.

mod apart;
mod calls;
mod corpus;
mod fuzz;
mod guarded;
mod large;
mod listings;
mod loops;
mod machine;
mod native;
mod phases;
mod random;
mod scaling;
mod subnormals;
mod switch;
mod watchdog;
mod wild;

use crate::soft::cpu::by_index::{Binding, Launch};
use crate::soft::cpu::{Program, Workers};
use crate::soft::msl::{self, ConstantValues, Options};

/// Runs kernel `k` over `n` threads in groups of 32; buffer 0 is `out`, the others follow.
pub(super) fn run_with(text: &str, threads: u32, buffers: &mut [Vec<u32>]) -> Result<(), String> {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{text}");
    let library = msl::compile(&source, &Options::default()).map_err(|error| error.0)?;
    let (module, reflection) =
        library.kernel("k", &ConstantValues::default()).map_err(|error| error.0)?;
    let program = Program::new(&module).map_err(|error| format!("{error}\n{module}"))?;
    let bindings: Vec<Binding> = buffers
        .iter_mut()
        .enumerate()
        .map(|(index, buffer)| Binding {
            index: index as u32,
            base: buffer.as_mut_ptr().cast(),
            bytes: buffer.len() as u64 * 4,
        })
        .collect();
    let wanted = reflection
        .arguments
        .iter()
        .filter(|argument| argument.kind == msl::check::entry::ArgumentKind::Buffer)
        .count();
    assert!(wanted <= bindings.len(), "{text}");
    let launch = Launch {
        threadgroup_memory: &[(0, 1024)],
        ..Launch::of([threads, 1, 1], [threads.clamp(1, 64), 1, 1], &bindings)
    };
    let workers = Workers::new(1);
    // SAFETY: the bindings are the vectors above, which outlive the launch and nothing else uses.
    unsafe { program.launch_by_index(&launch, &workers) }.map_err(|fault| format!("{fault:?}"))
}

/// The first words that a kernel body writes to `out`, on one thread.
#[track_caller]
fn expect(declarations: &str, body: &str, expected: &[i32]) {
    let text = format!("{declarations}\nkernel void k(device int* out [[buffer(0)]]) {{ {body} }}");
    let mut buffers = [vec![0xdead_beef; expected.len().max(1)]];
    if let Err(error) = run_with(&text, 1, &mut buffers) {
        panic!("{text}\n{error}");
    }
    let found: Vec<i32> = buffers[0].iter().map(|&word| word as i32).collect();
    assert_eq!(found, expected, "{text}");
}

/// As [`expect`], for floats.
#[track_caller]
fn expect_floats(declarations: &str, body: &str, expected: &[f32]) {
    let text =
        format!("{declarations}\nkernel void k(device float* out [[buffer(0)]]) {{ {body} }}");
    let mut buffers = [vec![0xdead_beef; expected.len().max(1)]];
    if let Err(error) = run_with(&text, 1, &mut buffers) {
        panic!("{text}\n{error}");
    }
    let found: Vec<f32> = buffers[0].iter().map(|&word| f32::from_bits(word)).collect();
    let close = |a: f32, b: f32| {
        a == b || (a - b).abs() <= 1e-6 * b.abs().max(1.0) || a.is_nan() && b.is_nan()
    };
    assert!(
        found.iter().zip(expected).all(|(&a, &b)| close(a, b)),
        "{text}\n{found:?}\n{expected:?}"
    );
}

/// The content of `out` after a kernel ran on all threads, with `i` as the thread index.
#[track_caller]
fn expect_each(body: &str, threads: u32, expected: impl Fn(u32) -> i32) {
    let text = format!(
        "kernel void k(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]], \
         uint lane [[thread_index_in_simdgroup]], uint t [[thread_index_in_threadgroup]]) {{ {body} }}"
    );
    let mut buffers = [vec![0xdead_beef; threads as usize]];
    if let Err(error) = run_with(&text, threads, &mut buffers) {
        panic!("{text}\n{error}");
    }
    let found: Vec<i32> = buffers[0].iter().map(|&word| word as i32).collect();
    let expected: Vec<i32> = (0..threads).map(expected).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn integers() {
    expect(
        "",
        "out[0] = 7 / 2; out[1] = -7 / 2; out[2] = -7 % 3; out[3] = 1 << 4 | 3;",
        &[3, -3, -1, 19],
    );
    expect(
        "",
        "uint a = 0xffffffffu; out[0] = a + 2; out[1] = a >> 28; out[2] = int(a) >> 28; out[3] = a > 1;",
        &[1, 15, -1, 1],
    );
    expect(
        "",
        "uchar a = 250; a += 10; char b = 127; b++; short s = 40000; out[0] = a; out[1] = b; out[2] = s; out[3] = ~a;",
        &[4, -128, -25536, -5],
    );
    expect(
        "",
        "ulong a = 1ul << 40; out[0] = a >> 38; out[1] = (a + 5) % 7; long b = -a; out[2] = b >> 38; out[3] = sizeof(a);",
        &[
            4,
            ((1u64 << 40) + 5) as i32 % 7 + (((1u64 << 40) + 5) % 7) as i32
                - ((1u64 << 40) + 5) as i32 % 7,
            -4,
            8,
        ],
    );
    expect(
        "",
        "int a = 5; out[0] = a++ + ++a; out[1] = a-- - --a; out[2] = a; a <<= 2; a ^= 3; out[3] = a;",
        &[12, 2, 5, 23],
    );
    expect(
        "",
        "bool t = true; out[0] = t + t; out[1] = !t; out[2] = t && 0; out[3] = 3 || t; bool z = 5; out[4] = z;",
        &[2, 0, 0, 1, 1],
    );
    expect(
        "",
        "out[0] = abs(-5); out[1] = clz(1u); out[2] = popcount(0xffu); out[3] = max(-3, 2); out[4] = clamp(9, 0, 4); out[5] = mulhi(0x80000000u, 6u); out[6] = reverse_bits(1u) >> 31; out[7] = rotate(0x80000001u, 1u);",
        &[5, 31, 8, 2, 4, 3, 1, 3],
    );
    expect(
        "",
        "out[0] = extract_bits(0xabcdu, 4u, 8u); out[1] = insert_bits(0u, 0xffu, 4u, 4u); out[2] = addsat(char(100), char(100)); out[3] = absdiff(3, -4); out[4] = hadd(7, 4); out[5] = median3(5, 1, 3); out[6] = ctz(8); out[7] = extract_bits(-1, 3u, 5u);",
        &[0xbc, 0xf0, 127, 7, 5, 3, 3, -1],
    );
    expect(
        "",
        "out[0] = 'a'; out[1] = 0x10 + 010 + 0b11; out[2] = 1'000; out[3] = INT_MAX; out[4] = sizeof(float3) + alignof(half4);",
        &[97, 27, 1000, i32::MAX, 24],
    );
}

#[test]
fn floats() {
    expect_floats(
        "",
        "out[0] = 1.5f * 2 + 1; out[1] = 7 / 2.0; out[2] = float(7 / 2); out[3] = 1e3f; out[4] = -0x1p-2f;",
        &[4.0, 3.5, 3.0, 1000.0, -0.25],
    );
    expect_floats(
        "",
        "half h = 0.1h; out[0] = h; bfloat b = bfloat(0.1f); out[1] = b; out[2] = h * 2; out[3] = half(65519.0f); out[4] = float(b + b);",
        &[0.099975586, 0.100097656, 0.19995117, 65504.0, 0.20019531],
    );
    expect_floats(
        "",
        "out[0] = sqrt(2.0f); out[1] = fma(2.0f, 3.0f, 4.0f); out[2] = pow(2.0f, 10); out[3] = exp2(3.0f); out[4] = fabs(-2.5f); out[5] = precise::exp(1.0f); out[6] = fast::log2(8.0f);",
        &[2f32.sqrt(), 10.0, 1024.0, 8.0, 2.5, std::f32::consts::E, 3.0],
    );
    expect_floats(
        "",
        "out[0] = floor(-1.5f); out[1] = round(2.5f); out[2] = rint(2.5f); out[3] = trunc(-1.5f); out[4] = fract(1.25f); out[5] = fmod(7.5f, 2.0f); out[6] = sign(-3.0f); out[7] = step(1.0f, 0.5f);",
        &[-2.0, 3.0, 2.0, -1.0, 0.25, 1.5, -1.0, 0.0],
    );
    expect_floats(
        "",
        "out[0] = clamp(5.0f, 0.0f, 1.0f); out[1] = mix(1.0f, 3.0f, 0.5f); out[2] = smoothstep(0.0f, 1.0f, 0.5f); out[3] = saturate(-2.0f); int e; out[4] = frexp(12.0f, e); out[5] = e; float c; out[6] = sincos(0.0f, c); out[7] = c; out[8] = ldexp(1.5f, 3);",
        &[1.0, 2.0, 0.5, 0.0, 0.75, 4.0, 0.0, 1.0, 12.0],
    );
    expect_floats(
        "",
        "out[0] = INFINITY; out[1] = NAN; out[2] = isnan(NAN) ? 1 : 0; out[3] = isinf(1.0f / 0.0f); out[4] = isfinite(1.0f); out[5] = M_PI_F; out[6] = HALF_MAX; out[7] = numeric_limits<float>::max();",
        &[f32::INFINITY, f32::NAN, 1.0, 1.0, 1.0, std::f32::consts::PI, 65504.0, f32::MAX],
    );
    expect(
        "",
        "out[0] = int(-1.9f); out[1] = int(3e9f); out[2] = uint(NAN); out[3] = as_type<int>(1.0f); out[4] = as_type<ushort>(half(1)); out[5] = 1.0f == 1; out[6] = (int)2.7f;",
        &[-1, i32::MAX, 0, 0x3f80_0000, 0x3c00, 1, 2],
    );
}

#[test]
fn vectors() {
    expect(
        "",
        "int4 v = int4(1, int2(2, 3), 4); v.xw = v.wx; out[0] = v.x; out[1] = v.zyx.y; v[1] = 9; out[2] = v.y; int i = 2; v[i] += 5; out[3] = v[i]; out[4] = v.a;",
        &[4, 2, 9, 8, 1],
    );
    expect_floats(
        "",
        "float3 a = float3(1, 2, 3); float3 b(4, 5, 6); out[0] = dot(a, b); float3 c = cross(a, b); out[1] = c.x; out[2] = c.y; out[3] = c.z; out[4] = length(float2(3, 4)); out[5] = normalize(float2(3, 4)).y; out[6] = distance(a, b); out[7] = (a * 2 + b).z;",
        &[32.0, -3.0, 6.0, -3.0, 5.0, 0.8, 27f32.sqrt(), 12.0],
    );
    expect(
        "",
        "float4 a = float4(1, 2, 3, 4); bool4 m = a > 2.5f; out[0] = any(m); out[1] = all(m); out[2] = m.z; float4 s = select(a, float4(0), m); out[3] = int(s.x + s.y + s.z + s.w); int4 t = m ? int4(1) : int4(2); out[4] = t.x * 10 + t.w; out[5] = all(a == a);",
        &[1, 0, 1, 3, 21, 1],
    );
    expect(
        "",
        "packed_float3 p = packed_float3(1, 2, 3); out[0] = sizeof(p); float3 q = p; out[1] = int(q.z); p.y = 7; out[2] = int(p[1]); float3 r = float3(p) * 2; out[3] = int(r.y); uchar4 u = as_type<uchar4>(0x04030201u); out[4] = u.w; vec<int, 2> w = {5, 6}; out[5] = w.y;",
        &[12, 3, 7, 14, 4, 6],
    );
    expect_floats(
        "",
        "float2x2 m = float2x2(1, 2, 3, 4); float2 v = m * float2(1, 1); out[0] = v.x; out[1] = v.y; float2 w = float2(1, 1) * m; out[2] = w.x; out[3] = w.y; float2x2 n = m * m; out[4] = n[0][0]; out[5] = n[1].y; out[6] = determinant(m); out[7] = transpose(m)[0][1]; m[1] = float2(9); out[8] = m[1][0]; out[9] = float3x3(2.0f)[2][2]; n += m; out[10] = n[1][1]; out[11] = (m * 2.0f)[0][1];",
        &[4.0, 6.0, 3.0, 7.0, 7.0, 22.0, -2.0, 3.0, 9.0, 2.0, 31.0, 4.0],
    );
    expect(
        "",
        "out[0] = pack_float_to_unorm4x8(float4(0, 1, 0.5f, 1)); float4 u = unpack_unorm4x8_to_float(0xff0000ffu); out[1] = int(u.x + u.w); half4 h = half4(1, 2, 3, 4); h *= 2; out[2] = int(h.w); out[3] = int((h.xy + h.zw).x); out[4] = simd_vote(3ul).any();",
        &[0xff80_ff00u32 as i32, 2, 8, 8, 1],
    );
}

#[test]
fn control_flow() {
    expect(
        "",
        "int s = 0; for (int i = 0; i < 10; ++i) { if (i == 3) continue; if (i == 6) break; s += i; } out[0] = s; int n = 0; while (n < 5) n++; out[1] = n; do { n--; } while (n > 2); out[2] = n;",
        &[12, 5, 2],
    );
    expect(
        "int f(int x) { switch (x) { case 0: return 10; case 1: x += 5; case 2: x += 1; break; default: x = 100; case 7: x++; } return x; }",
        "for (int i = 0; i < 5; i++) out[i] = f(i == 4 ? 7 : i);",
        &[10, 7, 3, 101, 8],
    );
    expect(
        "",
        "int s = 0; for (int i = 0; i < 6; i++) { switch (i & 1) { case 0: continue; case 1: if (i == 5) break; s += i; } s += 100; } out[0] = s;",
        &[304],
    );
    expect(
        "",
        "int a = 1; int b = a > 0 ? a < 2 ? 5 : 6 : 7; out[0] = b; if (int c = b - 5) out[1] = c; else out[1] = -1; out[2] = (a++, a); { int a = 50; out[3] = a; } out[4] = a; if constexpr (sizeof(int) == 4) out[5] = 1; else out[5] = 2;",
        &[5, -1, 2, 50, 2, 1],
    );
    expect(
        "int g(thread int& n, int r) { n++; return r; }",
        "int n = 0; if (g(n, 0) && g(n, 1)) {} out[0] = n; if (g(n, 1) || g(n, 1)) {} out[1] = n; int r = g(n, 0) ? g(n, 5) : 3; out[2] = n; out[3] = r;",
        &[1, 2, 3, 3],
    );
    expect(
        "",
        "int a[] = {1, 2, 3}; int s = 0; for (int x : a) s += x; for (thread int& x : a) x *= 2; out[0] = s; out[1] = a[2]; int m[2][3] = {{1, 2, 3}, {4}}; out[2] = m[1][0] + m[1][2] + m[0][2]; int z[40] = {7}; out[3] = z[0] + z[39]; out[4] = sizeof(m) / sizeof(m[0]);",
        &[6, 6, 7, 7, 2],
    );
    expect_each(
        "int s = 0; for (uint j = 0; j <= i; j++) { if (j % 3 == 1) continue; s += j; if (s > 40) break; } out[i] = s;",
        96,
        |i| {
            let mut s = 0;
            for j in 0..=i as i32 {
                if j % 3 == 1 {
                    continue;
                }
                s += j;
                if s > 40 {
                    break;
                }
            }
            s
        },
    );
}

#[test]
fn functions_and_references() {
    expect(
        "int f(int a, int b = 3) { return a * b; } int f(float a) { return int(a) + 1000; } float g(thread float* p) { *p += 1; return *p; } auto h(int x) { return x + 0.5f; }",
        "out[0] = f(2); out[1] = f(2, 5); out[2] = f(1.5f); float x = 1; out[3] = int(g(&x) * 10 + x); out[4] = int(h(1) * 2);",
        &[6, 10, 1001, 22, 3],
    );
    expect(
        "void swap(thread int& a, thread int& b) { int t = a; a = b; b = t; } thread int& pick(thread int* a, int i) { return a[i]; }",
        "int a = 1, b = 2; swap(a, b); out[0] = a * 10 + b; int v[3] = {1, 2, 3}; pick(v, 1) = 9; out[1] = v[1]; thread int& r = v[2]; r++; out[2] = v[2]; const thread int* p = v; out[3] = *(p + 1) + p[2]; out[4] = int(&v[2] - &v[0]); out[5] = p == &v[0];",
        &[21, 9, 4, 13, 2, 1],
    );
    expect(
        "int f(device int* p) { return 1; } int f(constant int* p) { return 2; } int f(threadgroup int* p) { return 3; } int f(thread int* p) { return 4; } constant int c = 5; constant int T[3] = {7, 8, 9};",
        "threadgroup int s[4]; int l = 0; out[0] = f(out); out[1] = f(&c); out[2] = f(s); out[3] = f(&l); int i = 2; out[4] = T[i] + c;",
        &[1, 2, 3, 4, 14],
    );
    expect(
        "namespace a { constant int kk = 4; namespace b { int f() { return kk; } } int over(int) { return 1; } } using namespace a; namespace ab = a::b; int over(float) { return 2; } typedef int (I); using F = float;",
        "out[0] = ab::f(); out[1] = a::b::f() + kk; out[2] = over(1); out[3] = over(F(1)); I z = 3; out[4] = ::over(1.0f) + z;",
        &[4, 8, 1, 2, 5],
    );
    expect(
        "#define SQ(x) ((x) * (x))\n#define CAT(a, b) a##b\n#define F(n, ...) int CAT(fn_, n)() { return SQ(n) __VA_OPT__(+) __VA_ARGS__; }\nF(3) F(4, 100)\nconstexpr int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); } constexpr constant int N = 5 * 2; static_assert(N == 10, \"n\");",
        "out[0] = fn_3(); out[1] = fn_4(); int a[N]; out[2] = sizeof(a); constexpr int M = N + 1; out[3] = M; int b[M > 3 ? 2 : 1]; out[4] = sizeof(b);",
        &[9, 116, 40, 11, 8],
    );
}

#[test]
fn a_kernel_that_is_too_large_is_refused_with_a_reason() {
    let mut text = String::from("int f0(int x) { return x * x + 1; }\n");
    for level in 1..=20 {
        let before = level - 1;
        text += &format!("int f{level}(int x) {{ return f{before}(f{before}(x)); }}\n");
    }
    let kernel = "kernel void k(device int* out) { out[0] = f20(f3(1)); }";
    let error = run_with(&(text + kernel), 1, &mut [vec![0]]).unwrap_err();
    let parts = [
        "instructions after its calls are inlined; the limit is 1048576",
        "calls of 'f20' contribute",
        "split it into several kernels",
    ];
    for part in parts {
        assert!(error.starts_with("it has ") && error.contains(part), "{error:.300}");
    }
    // Branches inside each other, 200 in each function.
    let mut text = String::from("int f0(int x) { return x + 1; }\n");
    for level in 1..=30 {
        let (open, close) = (format!("if (x > {level}) {{ ").repeat(200), " }".repeat(200));
        text += &format!(
            "int f{level}(int x) {{ {open} return f{}(x * 3); {close} return 1; }}\n",
            level - 1
        );
    }
    let kernel = |level: u32| {
        format!("{text}kernel void k(device int* out) {{ out[0] = f{level}(out[0]); }}")
    };
    run_with(&kernel(15), 1, &mut [vec![0]]).unwrap();
    let error = run_with(&kernel(30), 1, &mut [vec![0]]).unwrap_err();
    let wanted = "statements inside each other after its calls are inlined; the limit is 4096";
    assert!(error.contains(wanted), "{error:.300}");
    // Functions that call each other nest nothing by that.
    let mut text = String::from("int f0(int x) { return x + 1; }\n");
    for level in 1..=3000 {
        text += &format!("int f{level}(int x) {{ return f{}(x) ^ {level}; }}\n", level - 1);
    }
    text += "kernel void k(device int* out) { out[0] = f3000(out[0]); }";
    run_with(&text, 1, &mut [vec![0]]).unwrap();
    let mut text = String::from("template <int n> int f(int x) { return x + n; }\n");
    text += "kernel void k(device int* out) { int x = 0;\n";
    (0..10_002).for_each(|n| text += &format!("x += f<{n}>(x);\n"));
    let error = run_with(&(text + "out[0] = x; }"), 1, &mut [vec![0]]).unwrap_err();
    let wanted =
        "program_source:4:13: error: kernel 'k' calls 10003 functions or more; the limit is 10000";
    assert!(error.starts_with(wanted), "{error:.300}");
}

#[test]
fn switches_with_labels_in_nested_statements() {
    let duff = "int i = 0; int n = 11; switch (n % 4) { case 0: do { out[i++] = n; case 3: out[i++] = n - 1; case 2: out[i++] = n - 2; case 1: out[i++] = n - 3; } while (i < n); }";
    expect("", duff, &[10, 9, 8, 11, 10, 9, 8, 11, 10, 9, 8, 0xdead_beef_u32 as i32]);
    let branches = "int f(int x, bool c) { int r = 0; switch (x) { case 5: r += 1; if (c) { r += 10; case 0: r += 100; if (x == 5) break; } else { r += 1000; default: r += 10000; } r += 100000; { case 7: r += 1000000; } } return r; }";
    expect(
        branches,
        "out[0] = f(5, true); out[1] = f(5, false); out[2] = f(0, false); out[3] = f(9, true); out[4] = f(7, true);",
        &[111, 1111001, 1100100, 1110000, 1000000],
    );
    expect_each(
        "int r = 0; for (int k = 0; k < 3; k++) { switch (int(i) % 4) { case 0: for (r += 1; r < 10; r += 2) { r += 100; case 1: r += 3; if (i > 20) continue; case 3: r += 5; switch (k) { case 1: break; default: r += 7; } } } if (r > 1000) break; } out[i] = r;",
        40,
        |i| {
            let (mut r, i) = (0, i as i32);
            for k in 0..3 {
                // The loop is entered before its start, at `case 1` or at `case 3`.
                let mut at = match i % 4 {
                    2 => break,
                    label => label,
                };
                if at == 0 {
                    r += 1;
                }
                loop {
                    if at == 0 {
                        if r >= 10 {
                            break;
                        }
                        r += 100;
                    }
                    let skips = at != 3 && {
                        r += 3;
                        i > 20
                    };
                    if !skips {
                        r += 5;
                        r += if k == 1 { 0 } else { 7 };
                    }
                    at = 0;
                    r += 2;
                }
                if r > 1000 {
                    break;
                }
            }
            r
        },
    );
}

#[test]
fn trailing_return_types_may_name_parameters() {
    expect(
        "template <typename A, typename B> auto add(A a, B b) -> decltype(a + b) { return a + b; }
         template <typename T> auto size(thread const T& t) -> decltype(t.size()) { return t.size(); }
         template <typename T> auto size(T t) -> decltype(t + 1) { return 100; }
         template <typename T> auto of(T t) -> decltype(t.x) { return t.x; }
         template <typename T> auto of(T t) -> decltype(t.y) { return t.y + 0.5f; }
         template <typename... T> auto sum(T... t) -> decltype((t + ...)) { return (t + ...); }
         struct X { int x; }; struct V { int y; int size() const { return 7; } auto m(int a) -> decltype(a * 1.5f) { return a * 1.5f; } };
         auto g(int a, float b) -> decltype(add(a, b)) { return sizeof(a) + b; }
         auto array(thread int* a) -> thread int (&)[sizeof(a[0])];",
        "out[0] = add(1, 2.5f) * 2; V v = {3}; out[1] = size(v); out[2] = size(3); out[3] = of(v) * 2; X x = {9}; out[4] = of(x); out[5] = sum(1, 2, 0.5f) * 2; out[6] = v.m(3) * 2; out[7] = g(1, 0.5f) * 2;",
        &[7, 7, 100, 6, 9, 7, 9, 9],
    );
}

#[test]
fn alignments() {
    expect(
        "struct A { alignas(16) int x; int y; alignas(8) int z; }; struct B { int a; alignas(16) alignas(8) int x; int y __attribute__((aligned(32))); }; struct alignas(float4) C { char x; }; struct alignas(8192) D { char x; }; struct E { struct alignas(4) { char a; }; alignas(0) char b; };",
        "out[0] = sizeof(A); out[1] = alignof(A); out[2] = sizeof(B); out[3] = alignof(B); out[4] = sizeof(C); out[5] = sizeof(D); out[6] = sizeof(E); alignas(32) int l = 3; out[7] = l; A a; a.z = 5; out[8] = ((thread int*)&a)[2]; out[9] = int((thread char*)&a.z - (thread char*)&a);",
        &[16, 16, 64, 32, 16, 8192, 8, 3, 5, 8],
    );
}

#[test]
fn arithmetic_on_bools_and_enums() {
    expect(
        "",
        "bool3 v = bool3(true, false, out[0] != 0); bool3 n = -v, p = +v; out[0] = n.x + 2 * n.y + 4 * n.z; out[1] = all(n == p); out[2] = -true;",
        &[5, 1, -1],
    );
    expect(
        "enum E { A, B, C }; enum F : short { X = -1, Y = 1 };",
        "bool b = false; out[0] = b++; out[1] = b; out[2] = b++ + ++b; out[3] = b; bool2 v = false; v++; out[4] = v.x + v.y; E e = C; out[5] = -e + ~e;",
        &[0, 1, 2, 1, 2, -5],
    );
    expect(
        "enum E { A, B, C }; enum F : short { X = -1, Y = 1 };",
        "bool b = true; E e = C; F f = X; device int* p = out + b; *p = 1; p = e + out; *p = 2; p += b; *p = 3; p -= b; p = p + e + b + f; *p = 4; p[b] = 5; out[0] = *(p - e); (b + p)[f] += 10;",
        &[2, 1, 2, 3, 14, 5],
    );
}

#[test]
fn references_in_parentheses() {
    expect(
        "using R = thread int&;",
        "int x = 1; thread int& r(x); r = 5; out[0] = x; R(x) = 6; out[1] = x; const thread float& c(x); out[2] = c + 0.5f; int y(R(x)); out[3] = y;",
        &[5, 6, 6, 6],
    );
}

#[test]
fn local_classes() {
    expect(
        "template <typename T> struct Twice { T of; int get() { return 2 * of.get(); } };",
        "constexpr int n = 3; const int k = 4; int x = 5; struct S { int a[n]; decltype(x) b = sizeof(x) + k; int get() { return n + k + b; } int of(int x) { return x; } }; S s; out[0] = s.get(); out[1] = sizeof(S); out[2] = s.of(x); Twice<S> t; out[3] = t.get();",
        &[15, 16, 5, 30],
    );
    expect(
        "constant auto N = 4; constexpr constant auto M = 2.5f;",
        "int f(int); out[0] = f(1); auto x = N + M; out[1] = int(2 * x); } int f(int x) { return x + 1;",
        &[2, 13],
    );
}

/// Elements that a list does not mention have the initialisers of their class, however many they are.
#[test]
fn elements_without_an_initialiser() {
    expect(
        "struct S { int x; S() : x(7) {} }; struct D { int a = 3, b; }; constant D T[70000] = {{1}}; constexpr int f(int i) { D d[40] = {{5, 6}}; return d[0].a + d[i].a + d[39].b; }",
        "S s[100]; int sum = 0; for (int i = 0; i < 100; i++) sum += s[i].x; out[0] = sum; D d[20] = {{1, 2}, {4}}; out[1] = d[0].a * 100 + d[1].a * 10 + d[19].a; out[2] = T[0].a + 10 * T[69999].a; constexpr int v = f(20); out[3] = v; D g[5] = {[3] = {9}}; out[4] = g[2].a * 10 + g[3].a; out[5] = g[4].a; S m[20][3]; sum = 0; for (int i = 0; i < 60; i++) sum += m[i / 3][i % 3].x; out[6] = sum;",
        &[700, 143, 31, 8, 39, 3, 420],
    );
}

#[test]
fn structs() {
    expect(
        "struct P { int x; float y; int sum() const { return x + int(y); } void add(int d) { x += d; } }; struct Q { P p[2]; int n = 7; };",
        "P p = {1, 2.5f}; out[0] = p.sum(); p.add(4); out[1] = p.x; P q = p; q.x = 0; out[2] = p.x; Q z = {}; out[3] = z.n + z.p[1].x; z.p[1] = p; out[4] = z.p[1].sum(); thread P* r = &z.p[1]; r->add(1); out[5] = z.p[1].x; out[6] = sizeof(Q); P d{.y = 3}; out[7] = d.sum();",
        &[3, 5, 5, 7, 7, 6, 20, 3],
    );
    expect(
        "struct V { int a, b; V(int x = 1) : a(x), b(x * 2) {} V(int x, int y) : a(x), b(y) {} V operator+(V o) const { return V(a + o.a, b + o.b); } thread V& operator+=(int k) thread { a += k; return *this; } int operator[](int i) const { return i ? b : a; } int operator()(int k) const { return a * k; } operator int() const { return a * 100 + b; } bool operator==(V o) const { return a == o.a; } }; V operator*(int k, V v) { return V(k * v.a, k * v.b); }",
        "V v; out[0] = v; V w(3, 4); out[1] = v + w; v += 5; out[2] = v[0]; out[3] = w[1]; out[4] = w(7); out[5] = 2 * w; out[6] = v == w; V u = w; (u += 1) += 1; out[7] = u.a; out[8] = V(5).b; const V c = {6, 7}; out[9] = c[1];",
        &[102, 406, 6, 4, 21, 608, 0, 5, 10, 7],
    );
    expect(
        "union U { float f; uint u; uchar b[4]; }; struct T { int k; union { int i; float f; }; }; enum E { A, B = 5, C }; enum class S : uchar { X = 3, Y }; struct W { enum { N = 4 }; typedef int I; static constant constexpr int Z = 6; };",
        "U u; u.f = 1.0f; out[0] = u.u; out[1] = u.b[3]; T t; t.k = 1; t.f = 2.0f; out[2] = t.i; E e = C; out[3] = e + A; S s = S::Y; out[4] = int(s) + sizeof(S); out[5] = W::N + W::Z; W::I q = 2; out[6] = q; out[7] = s == S::Y;",
        &[0x3f80_0000, 0x3f, 0x4000_0000, 6, 5, 10, 2, 1],
    );
    expect(
        "struct B { int v; int get() const device { return v; } int get() const thread { return v + 1000; } int any() const { return v + 1; } };",
        "device B* b = (device B*)out; b->v = 5; int x = b->get(); int y = b->any(); B l = *b; out[1] = l.get(); out[2] = x; out[3] = y; b[4].v = 8; out[0] = b[4].any();",
        &[9, 1005, 5, 6, 8],
    );
    expect(
        "struct A { int a = 8; }; struct B : A { A in; int c; }; struct C { C() : d(4) {} int d; }; struct D { C c; B b; }; template <typename T> struct E { T of; };",
        "D d; out[0] = d.c.d; out[1] = d.b.a; out[2] = d.b.in.a; E<D> e; out[3] = e.of.c.d + e.of.b.in.a; union U { float f; int i = 6; }; U u; out[4] = u.i;",
        &[4, 8, 8, 12, 6],
    );
    expect(
        "struct Big { int a[20]; }; Big make(int k) { Big b; for (int i = 0; i < 20; i++) b.a[i] = i * k; return b; } int total(Big b) { int s = 0; for (int i = 0; i < 20; i++) { s += b.a[i]; b.a[i] = 0; } return s; }",
        "Big b = make(2); out[0] = total(b); out[1] = total(b); b = make(b.a[1]); out[2] = b.a[3]; Big c = b.a[0] ? b : make(3); out[3] = c.a[19]; out[4] = make(5).a[2];",
        &[380, 380, 6, 57, 10],
    );
}

#[test]
fn groups_of_threads() {
    expect_each("out[i] = simd_sum(int(lane)) + simd_shuffle_xor(int(lane), 1);", 64, |i| {
        496 + ((i as i32 % 32) ^ 1)
    });
    expect_each(
        "out[i] = simd_max(lane) + simd_broadcast(int(i), 3) + (simd_is_first() ? 1000 : 0) + simd_prefix_exclusive_sum(1);",
        64,
        |i| {
            let lane = i as i32 % 32;
            31 + (i as i32 / 32 * 32 + 3) + if lane == 0 { 1000 } else { 0 } + lane
        },
    );
    expect_each(
        "threadgroup int s[64]; s[t] = int(t) * 2; threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device); out[i] = s[63 - t];",
        128,
        |i| (63 - i as i32 % 64) * 2,
    );
    expect_each(
        "threadgroup atomic_int n; if (t == 0) atomic_store_explicit(&n, 0, memory_order_relaxed); threadgroup_barrier(mem_flags::mem_threadgroup); atomic_fetch_add_explicit(&n, int(t), memory_order_relaxed); threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = atomic_load_explicit(&n, memory_order_relaxed);",
        64,
        |_| 2016,
    );
    expect_each(
        "out[i] = int((ulong)simd_ballot(lane % 2 == 0)) + (simd_all(lane < 40) ? 1 : 0) + quad_sum(1);",
        32,
        |_| 0x5555_5555 + 5,
    );
    let text = "kernel void k(device atomic_uint* out, constant uint& n, device float* f, threadgroup float* s [[threadgroup(0)]], uint3 g [[thread_position_in_grid]], ushort t [[thread_index_in_threadgroup]]) { uint e = 5; if (g.x < n) { atomic_fetch_max_explicit(&out[0], g.x, memory_order_relaxed); if (t == 0) out[1 + g.x / 64] = out[1 + g.x / 64]; s[t] = f[g.x]; f[g.x] = s[t] + 1; } if (g.x == 0) { bool ok = atomic_compare_exchange_weak_explicit(&out[2], &e, 9u, memory_order_relaxed, memory_order_relaxed); f[1] = ok ? 1 : -float(e); } }"
        .replace("if (t == 0) out[1 + g.x / 64] = out[1 + g.x / 64]; ", "");
    let mut buffers = [vec![0, 0, 7], vec![100], (0..128).map(|v| (v as f32).to_bits()).collect()];
    run_with(&text, 128, &mut buffers).unwrap();
    assert_eq!(buffers[0], [99, 0, 7]);
    assert_eq!(f32::from_bits(buffers[2][1]), -7.0);
    assert_eq!(f32::from_bits(buffers[2][99]), 100.0);
    assert_eq!(f32::from_bits(buffers[2][100]), 100.0);
}

#[test]
fn function_constants() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\nconstant int n [[function_constant(0)]]; constant bool flag [[function_constant(3)]];\n\
        constant bool on = is_function_constant_defined(flag) && flag; constant int m = is_function_constant_defined(n) ? n : 5;\n\
        kernel void k(device int* out [[buffer(0)]], device int* extra [[buffer(1), function_constant(on)]]) { out[0] = m; if (on) extra[0] = n; else out[1] = -1; }";
    let library = msl::compile(text, &Options::default()).unwrap();
    assert_eq!(library.function_constants.len(), 2);
    let mut values = ConstantValues::default();
    let (module, _) = library.kernel("k", &values).unwrap();
    assert_eq!(module.allocations.len(), 1, "{module}");
    values.by_index.insert(0, 42i32.to_le_bytes().to_vec());
    values.by_name.insert("flag".into(), vec![1]);
    let (module, _) = library.kernel("k", &values).unwrap();
    assert_eq!(module.allocations.len(), 2, "{module}");
    assert!(module.to_string().contains("42"), "{module}");
}

#[test]
fn function_constants_by_component_and_in_aggregates() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\nconstant float4 quad [[function_constant(0)]];\n\
        constant bool2 flags [[function_constant(1)]]; constant int n [[function_constant(2)]];\n\
        struct Pair { int a; int b; }; constant float second = quad.y; constant Pair pair = {n, 2}; constant bool both = flags.x && flags.y;\n\
        kernel void k(device float* out [[buffer(0)]], device float* extra [[buffer(1), function_constant(both)]]) { out[0] = second + pair.a * 10 + pair.b; }";
    let library = msl::compile(text, &Options::default()).unwrap();
    for (flags, arguments) in [([1, 0], 1), ([1, 1], 2)] {
        let mut values = ConstantValues::default();
        let quad = [1.0f32, 0.5, 3.0, 4.0].map(f32::to_le_bytes).concat();
        values.by_index.insert(0, quad);
        values.by_index.insert(1, flags.to_vec());
        values.by_index.insert(2, 7i32.to_le_bytes().to_vec());
        let (module, _) = library.kernel("k", &values).unwrap();
        // The aggregate is a table.
        assert_eq!(module.allocations.len(), arguments + 1, "{module}");
        let program = Program::new(&module).unwrap();
        let mut out = [0f32; 2];
        let bindings: Vec<Binding> = (0..arguments)
            .map(|at| Binding { index: at as u32, base: (&raw mut out[at]).cast(), bytes: 4 })
            .collect();
        let launch = Launch::of([1, 1, 1], [1, 1, 1], &bindings);
        // SAFETY: the bindings are the array above, which outlives the launch and nothing else uses.
        unsafe { program.launch_by_index(&launch, &Workers::new(1)) }.unwrap();
        assert_eq!(out[0], 0.5 + 70.0 + 2.0);
    }
    let mut values = ConstantValues::default();
    values.by_index.insert(0, [0; 16].to_vec());
    values.by_index.insert(1, vec![1, 1]);
    let error = library.kernel("k", &values).map(drop).unwrap_err().to_string();
    assert!(error.contains("function constant 'n' is needed and has no value"), "{error}");
}

#[test]
fn a_fault_names_its_line() {
    let kernel = |body: &str| {
        format!(
            "#include <metal_stdlib>\nusing namespace metal;\nint at(device int* p, int i) {{\n    return p[i];\n}}\n\
             kernel void k(device int* out [[buffer(0)]]) {{\n    int i = 7;\n    simdgroup_float8x8 m(1);\n\
             {body}\n}}\n"
        )
    };
    for (body, line) in [
        ("\nout[i] = 1;", 10),
        ("\n\nout[0] = at(out, i);", 4),
        (
            "\nsimdgroup_load(m, (device float*)out, 8);\nsimdgroup_store(m, (device float*)out, 8);",
            10,
        ),
        ("\n\nsimdgroup_store(m, (device float*)out, 8);", 11),
        (
            "\nout[0] = atomic_fetch_add_explicit((device atomic_int*)out + i, 1, memory_order_relaxed);",
            10,
        ),
        ("\nwhile (true) ;", 10),
        ("\n\nfor (;;) {}", 11),
        ("\ndo {} while (i);", 10),
        ("\nfor (int k = 0; k < 8; k &= 3)\n    ;", 10),
    ] {
        let library = msl::compile(&kernel(body), &Options::default()).unwrap();
        let (module, _) = library.kernel("k", &ConstantValues::default()).unwrap();
        let program = Program::new(&module).unwrap();
        let mut word = 0u32;
        let bindings = [Binding { index: 0, base: (&raw mut word).cast(), bytes: 4 }];
        let launch = Launch {
            watchdog: Some(std::time::Duration::from_millis(20)),
            ..Launch::of([32, 1, 1], [32, 1, 1], &bindings)
        };
        // SAFETY: the binding is the word above, which outlives the launch and nothing else uses.
        let fault = unsafe { program.launch_by_index(&launch, &Workers::new(1)) }.unwrap_err();
        let place = library.position(fault.span).unwrap_or_default();
        assert_eq!((place.0.as_str(), place.1), ("program_source", line), "{body}: {fault:?}");
    }
}

#[test]
fn templates_of_functions() {
    expect(
        "template <typename T> T twice(T x) { return x + x; } template <typename T, int N = 3> int count(T) { return N; } template <typename T> int which(T) { return 1; } int which(float) { return 2; } template <> int which<int>(int) { return 3; }",
        "out[0] = twice(4); out[1] = int(twice(1.5f) * 10); out[2] = twice<uchar>(200); out[3] = count(1) + count<float, 7>(2); out[4] = which(1.0f); out[5] = which(1); out[6] = which(1u);",
        &[8, 30, 144, 10, 2, 3, 1],
    );
    expect(
        "template <typename T> T sum(device const T* p, int n) { T s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; } template <typename T, int N> int size(thread T (&a)[N]) { return N * int(sizeof(T)); } template <typename T, int N> T first(vec<T, N> v) { return v[0] + N; } template <typename F> int apply(F f, int x) { return f(x); } struct Add { int k; int operator()(int x) const { return x + k; } };",
        "out[0] = 1; out[1] = 2; out[2] = 3; out[3] = sum(out, 3); int a[5]; out[4] = size(a); out[5] = first(int3(7)); out[6] = apply(Add{5}, 2);",
        &[1, 2, 3, 6, 20, 10, 7],
    );
    expect(
        "template <int N> int fact() { return N * fact<N - 1>(); } template <> int fact<0>() { return 1; } template <bool B> int pick(int x) { if constexpr (B) return x; else return -x; } template <typename T> constexpr constant T limit = T(9); template <typename A, typename B> using Second = B;",
        "out[0] = fact<5>(); out[1] = pick<true>(3) + pick<(1 > 2)>(10); out[2] = limit<int> + int(limit<float>); Second<float, int> s = 7; out[3] = s / 2;",
        &[120, -7, 18, 3],
    );
}

#[test]
fn templates_of_classes() {
    expect(
        "template <typename T, int N> struct Stack { T items[N]; int top = 0; void push(T x) { items[top++] = x; } T pop() { return items[--top]; } static constant constexpr int capacity = N; typedef T value; template <typename U> U as(int i) const { return U(items[i]); } };",
        "Stack<int, 4> s; s.push(3); s.push(5); out[0] = s.pop() * 10 + s.pop(); out[1] = Stack<float, 7>::capacity; Stack<int, 2>::value v = 6; out[2] = v; s.push(9); out[3] = int(s.as<float>(0) * 2); out[4] = sizeof(Stack<uchar, 4>);",
        &[53, 7, 6, 18, 8],
    );
    expect(
        "template <typename T> struct Kind { enum { value = 0 }; }; template <> struct Kind<float> { enum { value = 1 }; }; template <typename T> struct Kind<device T*> { enum { value = 2 + Kind<T>::value * 10 }; }; template <typename A, typename B> struct Same { static constant constexpr bool value = false; }; template <typename A> struct Same<A, A> { static constant constexpr bool value = true; };",
        "out[0] = Kind<int>::value; out[1] = Kind<float>::value; out[2] = Kind<device float*>::value; out[3] = Same<int, int>::value; out[4] = Same<int, uint>::value;",
        &[0, 1, 12, 1, 0],
    );
    expect(
        "template <typename T> struct Max { T operator()(T a, T b) const { return a > b ? a : b; } }; template <typename Op, typename T> T fold(thread T* a, int n, Op op) { T r = a[0]; for (int i = 1; i < n; i++) r = op(r, a[i]); return r; } template <typename T> struct Pair { T a, b; Pair(T x, T y) : a(x), b(y) {} Pair<T> swapped() const { return Pair<T>(b, a); } }; template <typename T> Pair<T> make(T a, T b) { return Pair<T>(a, b); }",
        "int a[4] = {3, 9, 2, 5}; out[0] = fold(a, 4, Max<int>()); out[1] = make(1, 2).swapped().a;",
        &[9, 2],
    );
}

#[test]
fn the_librarys_own_templates() {
    expect(
        "template <typename T, enable_if_t<is_floating_point_v<T>, bool> = true> int f(T) { return 1; } template <typename T, enable_if_t<is_integral<T>::value, bool> = true> int f(T) { return 2; } template <typename T> typename enable_if<sizeof(T) == 1, int>::type g(T) { return 8; } template <typename T> typename enable_if<sizeof(T) != 1, int>::type g(T) { return 0; }",
        "out[0] = f(1.0h) * 10 + f(1u); out[1] = g(uchar(1)) + g(1); conditional_t<is_same_v<int, int>, int, float> x = 7; out[2] = x / 2; out[3] = is_signed_v<short> && !is_same<int, uint>::value; out[4] = integral_constant<int, 5>::value; make_unsigned_t<int> u = -1; out[5] = u > 0; array<int, 3> a = {1, 2, 3}; a[1] += a[2]; out[6] = a[1] + int(a.size()); out[7] = true_type::value;",
        &[12, 8, 3, 1, 5, 1, 8, 1],
    );
}

#[test]
fn explicit_instantiations_are_kernels() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        template <typename T, int K> [[kernel]] void scale(device T* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = T(out[i] * K); }\n\
        template [[host_name(\"scale_\" \"f\")]] [[kernel]] void scale<float, 2>(device float*, uint);\n\
        typedef decltype(scale<float, 2>) scale_t;\n\
        template [[host_name(\"scale_i\")]] kernel scale_t scale<int, 3>;\n\
        template [[host_name(\"scale_u\")]] [[kernel]] decltype(scale<uint, 4>) scale<uint, 4>;\n";
    let library = msl::compile(text, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = library.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["scale_f", "scale_i", "scale_u"]);
    for (name, factor) in [("scale_f", ", 2.0f32"), ("scale_i", "3i32"), ("scale_u", "4u32")] {
        let (module, _) = library
            .kernel(name, &ConstantValues::default())
            .unwrap_or_else(|error| panic!("{error}"));
        super::ir::verify(&module).unwrap();
        assert_eq!(module.name, name);
        assert!(module.to_string().contains(factor), "{module}");
    }
}

#[test]
fn a_kernel_that_depends_on_deferred_errors_reports_them() {
    let text =
        "template <typename F, typename... Ts> auto call(F f, Ts... all) { return f(allall...); }
        struct Fma { float operator()(float a, float b, float c) const { return a * b + c; }
            };
        kernel void k(device int* o [[buffer(0)]]) { o[0] = call(Fma(), 1.0f, 2.0f, 3.0f); }
        kernel void other(device int* o [[buffer(0)]]) { o[0] = call(Fma(), 1.0f, 2.0f, 3.0f); }";
    let errors: Vec<String> = match msl::compile(text, &Options::default()) {
        Err(error) => vec![error.0],
        Ok(library) => ["k", "other"]
            .iter()
            .filter_map(|name| library.kernel(name, &ConstantValues::default()).err())
            .map(|error| error.0)
            .collect(),
    };
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.contains("error: ") && !error.contains("internal compiler error"), "{error}");
    }
}

#[test]
fn operators_have_a_type() {
    let text = "struct S { operator[](int k) const { return k; } };
        kernel void k(device int* o [[buffer(0)]]) { S s; o[0] = s[1]; }";
    let error = msl::compile(text, &Options::default()).map(drop).expect_err("no type");
    assert!(error.0.contains("a type specifier is required for all declarations"), "{}", error.0);
}
