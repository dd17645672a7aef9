//! Kernels with undefined arithmetic, and the same without. The line of the fault ends in `// <-`.

use aruminium::ReportKind;

/// A statement, and what corrects it. `i` is the number of the thread, `n` an `int` that is equal, and `x` a `float`.
const fn case(
    kind: ReportKind,
    statement: &'static str,
    corrected: &'static str,
) -> (ReportKind, &'static str, &'static str) {
    (kind, statement, corrected)
}

pub(super) const UNDEFINED: &[(ReportKind, &str, &str)] = &[
    case(ReportKind::Shift, "out = 1 << i;", "out = 1 << (i & 31);"),
    case(ReportKind::Shift, "out = 1u >> (n - 1);", "out = 1u >> n % 32;"),
    case(ReportKind::Shift, "out = int(1ul << i);", "out = int(1ul << (i & 63));"),
    case(ReportKind::Shift, "out = uchar(i) << i;", "out = uchar(i) << (i & 31);"),
    case(
        ReportKind::Shift,
        "out = (int2(1) << int2(0, n)).y;",
        "out = (int2(1) << int2(0, n & 31)).y;",
    ),
    case(ReportKind::DivisionByZero, "out = 100 / n;", "out = n == 0 ? 0 : 100 / n;"),
    case(ReportKind::DivisionByZero, "out = 100u % i;", "out = 100u % (i + 1);"),
    case(
        ReportKind::DivisionByZero,
        "out = (int4(7) / int4(1, n, 2, 3)).x;",
        "out = (int4(7) / int4(1, n + 1, 2, 3)).x;",
    ),
    case(
        ReportKind::DivisionByZero,
        "out = uchar(7) / uchar(n);",
        "out = uchar(7) / uchar(n + 1);",
    ),
    case(
        ReportKind::DivisionOverflow,
        "out = INT_MIN / (n - 2);",
        "out = n == 2 ? 0 : INT_MAX / (n - 2);",
    ),
    case(
        ReportKind::DivisionOverflow,
        "out = int(LONG_MIN % (n == 0 ? 1 : -n));",
        "out = int(LONG_MAX % (n == 0 ? 1 : -n));",
    ),
    case(
        ReportKind::FloatToInteger,
        "out = int(x * 1e9f);",
        "out = int(clamp(x * 1e9f, -1e9f, 1e9f));",
    ),
    case(ReportKind::FloatToInteger, "out = int(0.0f / x);", "out = x == 0 ? 0 : int(0.0f / x);"),
    case(ReportKind::FloatToInteger, "out = uint(-1 - x);", "out = uint(max(-0.5f - x, -0.5f));"),
    case(ReportKind::FloatToInteger, "out = char(x + 100);", "out = char(x);"),
    case(
        ReportKind::FloatToInteger,
        "out = short(half(1000) * half(x));",
        "out = short(half(10) * half(x));",
    ),
    case(ReportKind::SignedOverflow, "out = INT_MAX + n;", "out = INT_MAX - n;"),
    case(ReportKind::SignedOverflow, "out = n * 100000000;", "out = n * 10000000;"),
    case(ReportKind::SignedOverflow, "out = INT_MIN - n;", "out = int(uint(INT_MIN) - i);"),
    case(ReportKind::SignedOverflow, "out = -(INT_MIN + n);", "out = -(INT_MAX - n);"),
    case(ReportKind::SignedOverflow, "out = int(LONG_MAX + n);", "out = int(LONG_MIN + n);"),
    case(ReportKind::SignedOverflow, "out = int(LONG_MIN - n);", "out = int(LONG_MAX - n);"),
    case(
        ReportKind::SignedOverflow,
        "out = int(-n - LONG_MAX - 1 - n);",
        "out = int(long(n) - LONG_MAX - 1);",
    ),
    case(
        ReportKind::SignedOverflow,
        "out = int(-long(n) * 0x200000000000000l);",
        "out = int(-long(n) * 0x40000000000000l);",
    ),
    case(ReportKind::SignedOverflow, "out = int(-(LONG_MIN + n));", "out = int(-(LONG_MAX - n));"),
    case(
        ReportKind::SignedOverflow,
        "out = int((long2(1, LONG_MAX) + long2(n)).y);",
        "out = int((long2(1, LONG_MAX) - long2(n)).y);",
    ),
    case(
        ReportKind::MisalignedAccess,
        "out = int(((device float4 *)(data + 512 + n % 4))->x);",
        "out = int(((device packed_float4 *)(data + 512 + n % 4))->x);",
    ),
    case(
        ReportKind::MisalignedAccess,
        "((device short *)((device char *)(data + 512) + n % 7))[2] = 0;",
        "((device char *)(data + 512) + n % 7)[4] = 0;",
    ),
    case(
        ReportKind::MisalignedAccess,
        "out = ((device int2 *)data)[256].x + (*(device uint3 *)(data + 513)).y;",
        "out = ((device int2 *)data)[256].x + (*(device uint3 *)(data + 516)).y;",
    ),
    case(
        ReportKind::UnionMember,
        "union { float f; int i; } u; u.f = x; out = u.i;",
        "union { float f; int i; } u; u.f = x; out = as_type<int>(u.f);",
    ),
    case(
        ReportKind::UnionMember,
        "struct { int a; union { float2 f; int i[2]; }; } s; s.i[1] = n; if (n == 3) s.f = x; out = s.i[1];",
        "struct { int a; union { float2 f; int i[2]; }; } s; s.i[1] = n; if (n == 3) s.f = x; out = n == 3 ? 1 : s.i[1];",
    ),
    case(
        ReportKind::UnionMember,
        "union U { float f; short2 s; }; for (int k = 0; k < 2; k++) { U u = { 1 }; if (k == 1) u.s.x += 1; out += u.f; }",
        "union U { float f; short2 s; }; for (int k = 0; k < 2; k++) { U u = { 1 }; if (k == 1) u.s = 1; out += k == 1 ? u.s.x : u.f; }",
    ),
    // Members beside a union are written.
    case(
        ReportKind::UnionMember,
        "struct { int a[2]; float2 v; union { float f; int i; }; } s; s.f = x; s.a[n & 1] = 3; s.v.x = x; out = s.i;",
        "struct { int a[2]; float2 v; union { float f; int i; }; } s; s.i = n; s.a[n & 1] = 3; s.v.x = x; out = s.i;",
    ),
    case(
        ReportKind::UnionMember,
        "union { struct { int a; float b; } s; struct { int a; int c; } t; } u; u.s.a = n; u.s.b = x; out = u.t.c;",
        "union { struct { int a; float b; } s; struct { int a; int c; } t; } u; u.s.a = n; u.s.b = x; out = u.t.a;",
    ),
];

/// Functions of the library whose results are defined for every argument.
pub(super) const DEFINED: &[&str] = &[
    "out = rotate(i, 0u) ^ rotate(n, n) ^ int(rotate(uchar(i), uchar(n)));",
    "out = addsat(INT_MAX, n) ^ int(subsat(0u, i)) ^ madsat(n, INT_MAX, n);",
    "out = absdiff(INT_MIN, n) ^ hadd(INT_MAX, n) ^ rhadd(INT_MAX, n) ^ mulhi(n, INT_MAX);",
    "out = extract_bits(n, 0u, 32u) + insert_bits(n, 5, 3u, 0u) + int(extract_bits(i, 31u, 1u));",
    "out = clz(i) + ctz(i) + popcount(n) + int(reverse_bits(i)) + abs(n - 64);",
    "out = int(pack_float_to_unorm4x8(float4(x, -x, x * 1e9f, 0)) + pack_float_to_snorm2x16(float2(x, -1e9f)));",
    "out = int(fmod(x, 3.0f)) + int(exp(-x)) + int(sin(x * 100)) + int(pow(x, 0.3f)) + int(cos(half(x)));",
    "out = n > 0 && 100 / n > 3 ? 1 : 2;",
    "out = n == 0 ? 1 : n == 1 ? 3 / n : 100 / n;",
    "out = int(i * 0x9e3779b9u) >> 31;",
    "out = int(addsat(LONG_MAX, long(n)) ^ subsat(LONG_MIN, long(n)) ^ mulhi(long(n), LONG_MAX));",
    "out = int(hadd(LONG_MAX, long(n)) ^ rhadd(LONG_MAX, long(n)) ^ abs(long(n) - 64) ^ rotate(long(n), long(n)));",
    "out = int(long(absdiff(long(LONG_MIN), long(n))) ^ long(x * 1e9f));",
    "union { uint u; uchar b[4]; } u; u.u = i; out = u.b[0] + u.b[3];",
    "union { struct { int a; float b; } s; struct { int a; int c; } t; int k; } u; u.s.a = n; out = u.t.a;",
    "union U { float f; int i; } u, v; u.i = n; v = u; out = v.i; thread int &r = v.i; r = n; out += v.i;",
    "union { float f; int i; } u[2]; u[i & 1].f = x; out = u[i & 1].i;",
    "struct A { int a; }; struct B { int b; }; union { struct { A a; float f; } s; struct { B b; int c; } t; } u; u.s.a.a = n; out = u.t.b.b;",
    "switch (n & 1) { case 0: union { float f; int i; } u; u.f = x; break; case 1: u.i = n; out = u.i; }",
];
