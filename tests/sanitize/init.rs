//! Kernels that use what nothing wrote, and the same without. The line of the use ends in `// <-`.

use aruminium::ReportKind::{
    self, UninitialisedAddress as Address, UninitialisedBranch as Branch,
    UninitialisedStore as Store,
};

/// Kinds, declarations before the kernel, its statements, and what to replace by what to correct it.
type Row = (ReportKind, &'static str, &'static str, (&'static str, &'static str));

/// `i` is the number of the thread in the grid, `t` that in the threadgroup, `data` an argument in device memory.
pub(super) const INIT: &[Row] = &[
    (
        Store,
        "struct Bits { uint a : 4; uint b : 28; };",
        "Bits v; uint other;
        if (t > 3) other = 1;
        v.a = other;
        data[i] = v.a; // <-",
        ("uint other;", "uint other = 0;"),
    ),
    // Bits that are replaced by hand leave the others as they were.
    (
        Store,
        "",
        "threadgroup uint flags;
        if (t == 0) flags = (flags & 0xf0u) | 3u;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        data[i] = flags; // <-",
        ("flags = (flags & 0xf0u) | 3u", "flags = 3u"),
    ),
    (
        Store,
        "",
        "int x;
        if (t > 3) x = 1;
        data[i] = x; // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Branch,
        "",
        "int x;
        if (t > 3) x = 1;
        if (x > 0) // <-
            data[i] = 1;",
        ("int x;", "int x = 0;"),
    ),
    (
        Branch,
        "",
        "int n;
        if (t > 3) n = 2;
        int sum = 0;
        for (int k = 0; k < n; k++) // <-
            sum += k;
        data[i] = sum;",
        ("int n;", "int n = 1;"),
    ),
    (
        Address,
        "",
        "uint at;
        if (t > 3) at = i;
        data[at & 127] = 1; // <-",
        ("uint at;", "uint at = 0;"),
    ),
    (
        Store,
        "",
        "int x;
        if (t > 3) x = 1;
        int y = x * 3 + 1;
        int z = y;
        data[i] = z; // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Store,
        "",
        "int4 v;
        v.x = 1; v.z = 3;
        data[i] = v.y; // <-",
        ("v.y", "v.z"),
    ),
    (
        Store,
        "",
        "float3 v;
        v.xy = float2(t);
        data[i] = int(dot(v, v)); // <-",
        ("dot(v, v)", "dot(v.xy, v.xy)"),
    ),
    (
        Store,
        "",
        "int a[8];
        for (int k = 0; k < 7; k++) a[k] = k;
        data[i] = a[t % 8]; // <-",
        ("k < 7", "k < 8"),
    ),
    (
        Store,
        "",
        "int a[100];
        for (int k = 1; k < 100; k++) a[k] = k;
        int sum = 0;
        for (int k = 0; k < 100; k++) sum += a[k];
        data[i] = sum; // <-",
        ("int k = 1", "int k = 0"),
    ),
    (
        Store,
        "struct Pair { int a; int b; };",
        "Pair p;
        p.a = 1;
        Pair q = p;
        data[i] = q.b; // <-",
        ("q.b", "q.a"),
    ),
    (
        Store,
        "struct Padded { char a; int b; };",
        "Padded p;
        p.a = 1;
        if (t > 3) p.b = 2;
        data[i] = p.a + p.b; // <-",
        ("if (t > 3)", ""),
    ),
    (
        Store,
        "void set(thread int &x, uint t) { if (t > 3) x = 1; }",
        "int x;
        set(x, t);
        data[i] = x; // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Store,
        "int pick(uint t) { int x; if (t > 3) x = 1; return x; }",
        "int y = pick(t);
        data[i] = y; // <-",
        ("pick(t)", "pick(4)"),
    ),
    (
        Store,
        "",
        "int x;
        switch (t) { case 0: x = 1; break; case 1: x = 2; break; }
        data[i] = x; // <-",
        ("case 1:", "default:"),
    ),
    (
        Store,
        "",
        "threadgroup int tile[64];
        if (t > 3) tile[t] = 1;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        data[i] = tile[63 - t]; // <-",
        ("if (t > 3)", ""),
    ),
    (
        Store,
        "",
        "threadgroup atomic_uint count;
        atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        data[i] = atomic_load_explicit(&count, memory_order_relaxed); // <-",
        (
            "atomic_fetch_add_explicit(&count, 1, memory_order_relaxed)",
            "if (t == 0) atomic_store_explicit(&count, 1, memory_order_relaxed)",
        ),
    ),
    (
        Branch,
        "",
        "threadgroup int limit;
        if (t == 0 && i > 0) limit = 7;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (int(t) < limit) // <-
            data[i] = 1;",
        ("&& i > 0", ""),
    ),
    (
        Store,
        "",
        "threadgroup int tile[64];
        int x;
        if (t > 3) x = 1;
        tile[t] = x;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        data[i] = tile[63 - t]; // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Store,
        "",
        "threadgroup uchar bytes[256];
        bytes[2 * t] = 1;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        data[i] = *(threadgroup ushort *)&bytes[2 * t]; // <-",
        ("bytes[2 * t] = 1", "bytes[2 * t] = 1; bytes[2 * t + 1] = 2"),
    ),
    (
        Store,
        "",
        "int x;
        if (t > 3) x = 1;
        data[i] = simd_sum(x); // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Store,
        "",
        "int x;
        if (t % 32 != 30) x = 1;
        data[i] = simd_prefix_exclusive_product(x); // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Store,
        "",
        "int x;
        if (t % 32 != 5) x = 1;
        data[i] = simd_shuffle_down(x, 1); // <-",
        ("int x;", "int x = 0;"),
    ),
    (
        Store,
        "",
        "half2 h;
        h.x = 1;
        data[i] = as_type<int>(h); // <-",
        ("h.x = 1", "h = half2(1)"),
    ),
    // A struct leaves by members, of which one has no value; the byte of padding before `b` is none.
    (
        Store,
        "struct Pair { uchar a; ushort b; int c; };",
        "Pair v; v.a = 1; v.c = 2;
        if (t > 3) v.b = 3;
        ((device Pair *)data)[i] = v; // <-",
        ("Pair v;", "Pair v; v.b = 0;"),
    ),
    (
        Store,
        "struct Pair { uchar a; int b; };",
        "threadgroup Pair tile[64];
        Pair v; v.b = 2;
        tile[t] = v;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        data[i] = tile[63 - t].a; // <-",
        ("v.b = 2;", "v.a = 1; v.b = 2;"),
    ),
    (
        Store,
        "struct Inner { float3x2 m; bool flags[20]; packed_float3 p; }; struct Outer { Inner all[2]; half h; };",
        "Outer v; v.h = 1;
        for (int k = 0; k < 2; k++) {
            v.all[k].m = float3x2(1.0f);
            for (int n = 0; n < 20; n++) v.all[k].flags[n] = n & 1;
            if (k == 0) v.all[k].p = packed_float3(0.0f);
        }
        ((device Outer *)data)[i & 7] = v; // <-",
        ("if (k == 0) ", ""),
    ),
    (
        Branch,
        "struct Pair { uchar a; int b; };",
        "threadgroup Pair tile[2];
        if (t == 0) { tile[0].b = 1; tile[1].a = 1; tile[1].b = 1; }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        Pair v = tile[t & 1];
        if (v.a) // <-
            data[i] = 1;",
        ("tile[0].b = 1;", "tile[0].a = 1; tile[0].b = 1;"),
    ),
    (
        Store,
        "",
        "int x; int y = 1;
        thread int *p = nullptr;
        if (t > 3) p = &x; else p = &y;
        data[i] = *p; // <-",
        ("int x;", "int x = 0;"),
    ),
];

/// Statements that only copy what is not initialised, or do not use it.
pub(super) const SILENT: &[&str] = &[
    "int x; if (t % 32 < 9) x = 1; int sum = simd_prefix_inclusive_sum(x); if (t % 32 < 9) data[i] = sum;",
    "int x; if (t % 32 < 9) x = 1; int sum = simd_prefix_exclusive_product(x); if (t % 32 < 10) data[i] = sum;",
    "struct Pair { uchar a; int b; }; Pair v; v.a = 1; v.b = 2; ((device Pair *)data)[i] = v;",
    "struct Pair { uchar a; int b; }; threadgroup Pair tile[64]; Pair v; v.b = 2; tile[t] = v; Pair w = tile[t]; data[i] = w.b;",
    "struct Bits { uint a : 4; uint b : 28; bool c : 1; }; Bits v; v.a = 1; v.b = 2; v.c = true; ((device Bits *)data)[i] = v;",
    "struct Either { union { int a; float b; }; int c; }; Either v; v.b = 1; v.c = 2; ((device Either *)data)[i] = v;",
    "struct Bits { uint a : 4; uint b : 28; }; Bits v; v.a = 1; v.b = 2; data[i] = v.a;",
    "struct Bits { uint a : 4; uint b : 28; }; threadgroup Bits v[64]; v[t].a = 1; v[t].b = 2; data[i] = v[t].b;",
    "int x; int y = x; (void)y; data[i] = 1;",
    "int a[4]; int b[4]; for (int k = 0; k < 4; k++) b[k] = a[k]; data[i] = 2;",
    "int x; if (t > 3) x = 1; data[i] = t > 3 ? x : 0;",
    "int x; if (t > 3) x = 1; if (t > 3 && x > 0) data[i] = 3;",
    "threadgroup int tile[64]; if (t < 32) tile[t] = 1; threadgroup_barrier(mem_flags::mem_threadgroup); if (t < 32) data[i] = tile[31 - t];",
    "int4 v; v.xy = int2(1, 2); data[i] = v.x + v.y;",
    "float whole; float x = modf(float(t) + 0.5f, whole); data[i] = int(x + whole);",
    "simdgroup_float8x8 m(1.0f); simdgroup_float8x8 n; simdgroup_multiply(n, m, m); data[i] = int(n.thread_elements()[0]);",
    "struct Holder { thread int *at; }; int a = 1; int b = 2; Holder h; h.at = &a; thread int *p = &b; if (t > 3) p = h.at; data[i] = *p;",
    "int a = 1; int b = 2; thread int *all[2] = {&a, &b}; thread int *p = all[t & 1]; *p = 3; data[i] = *p + a + b;",
    "int a; int b; thread int *all[2] = {&a, &a}; thread int *p = &b; if (t > 3) p = all[t & 1]; *p = 3; if (t <= 3) data[i] = b; else data[i] = a;",
    "int a; int b = 1; thread int *kept = &a; thread int *thread *place = &kept; thread int *p = t > 3 ? *place : &b; *p = 5; data[i] = *p + b;",
    "float whole; thread float *kept[1] = {&whole}; float x = modf(float(t) + 0.5f, whole); data[i] = int(x + *kept[0]);",
    "int a; thread int *p = nullptr; if (t > 3) p = &a; if (p) *p = 4; data[i] = t > 3 ? a : 0;",
];
