//! Kernels that machine code could get wrong, by each way to run them: the results are those of the plain interpreter.

use crate::child::in_child;
use crate::soft::cpu::{Pages, Way, Workers, by_index::*};
use crate::soft::msl::{self, ConstantValues, Options};

/// A kernel's body and the size of its threadgroups. The grid is 64 by 8 threads: buffer 0 is `out`, with as many
/// words; buffer 1 is `a`, 4,096 numbers; `n` is 64; `m` has 16 numbers in constant memory.
const CASES: &[(&str, [u32; 3], &str)] = &[
    (
        "a uniform pointer with an offset",
        [32, 1, 1],
        "device const uint *p = n > 3 ? a + 4 : a + 9; out[at] = p[at] + p[a[at] & 31];",
    ),
    (
        "a uniform pointer that moves",
        [32, 1, 1],
        "device const uint *p = a; uint s = 0; for (uint k = 0; k < (a[0] & 7) + 3; k++) { s += p[g.x]; p += 32; } \
         out[at] = s;",
    ),
    (
        "a truth value of rows across a barrier",
        [32, 4, 1],
        "bool ok = g.y < 3; t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); \
         uint v = 1; if (ok) { v = t[l ^ 1] * 3 + 1; v ^= v >> 3; v += a[v & 63]; v *= 5; } out[at] = v + 7;",
    ),
    (
        "the same in short rows",
        [16, 4, 1],
        "bool ok = (g.y & 1) == 0; t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); \
         uint v = 1; if (ok) { v = t[l ^ 1] * 3 + 1; v ^= v >> 3; v += a[v & 63]; v *= 5; } out[at] = v + 7;",
    ),
    (
        "wide indices that rows have in common",
        [32, 2, 1],
        "ulong r = g.y; ulong s = 3ul * (r + 2ul) - 5ul; out[at] = a[s] + a[r * 7ul + ulong(g.x)] + a[20ul - r];",
    ),
    (
        "values that only active lanes have",
        [8, 8, 1],
        "uint v = 0; if (l % 8 > 0) { half h = half(a[g.y]); v = a[int(float(h)) % 64 + 3] * 5 + a[int(float(h)) % 32]; \
         v ^= a[at & 63]; v += 9; } out[at] = v;",
    ),
    (
        "a vector from before an atomic",
        [32, 1, 1],
        "uint4 v = ((device const uint4 *)a)[at & 255]; atomic_fetch_add_explicit(&c[0], 1, memory_order_relaxed); \
         out[at] = v.x * 3 + v.y * 5 + v.z * 7 + v.w; c2[at & 7] = 0; out[at] ^= v.y; out[at] += a[v.x & 15];",
    ),
    (
        "values in every register across an atomic and a barrier",
        [64, 1, 1],
        "uint w0 = a[at * 3 & 511] + 1, w1 = a[at * 5 & 511] + 1, w2 = a[at * 7 & 511] + 1, w3 = a[w0 & 511] + 1, w4 = a[w1 & 511] + 1, \
         w5 = a[w2 & 511] + 1, w6 = a[w3 & 511] + 1, w7 = a[w4 & 511] + 1; \
         bool many = atomic_exchange_explicit(&c[l & 7], l, memory_order_relaxed) > 100000; \
         threadgroup_barrier(mem_flags::mem_threadgroup); \
         out[at] = many ? 1 : w0 ^ w1 * 3 ^ w2 * 5 ^ w3 * 7 ^ w4 * 9 ^ w5 * 11 ^ w6 * 13 ^ w7 * 15;",
    ),
    (
        "pairs that some lanes load, across a barrier",
        [64, 1, 1],
        "if (g.x < n) { uint2 v = ((device const uint2 *)a)[at]; ulong w = ((device const ulong *)a)[at]; t[l] = l; \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = v.x + 1000 * v.y + uint(w >> 7) + 0 * t[63 - l]; }",
    ),
    (
        "an index of a variable that changes before the access",
        [32, 1, 1],
        "uint i = g.x + 1; uint s = 0; for (uint k = 0; k < (a[0] & 3) + 2; k++) { ulong w = ulong(i) - 1ul; i = i * 2 + 1; \
         s = s * 31 + a[w & 1023ul]; } out[at] = s;",
    ),
    (
        "a store of all lanes to one place",
        [32, 1, 1],
        "out[at] = 1; if (g.x < 32 && g.y == 0) { *(device uint2 *)(out + 256) = uint2(5, l); }",
    ),
    (
        "vectors that overlap",
        [32, 1, 1],
        "out[at] = 0; if (g.y == 0 && g.x < 32) { *(device packed_uint2 *)(out + g.x) = packed_uint2(g.x, g.x + 100); }",
    ),
    (
        "vectors that overlap, in a loop and in a run with many accesses",
        [32, 1, 1],
        "out[at] = 0; if (g.y < 2 && g.x < 32) { for (uint k = 0; k < 3; k++) { \
         *(device packed_uint2 *)(out + g.x + k * 64 + g.y * 256) = packed_uint2(g.x, g.x + 100); } } \
         if (g.y == 3 && g.x < 32) { device uint *to = out + 192 + g.x; *(device packed_uint2 *)to = packed_uint2(1, l); \
         out[at] += a[g.x] + a[g.x + 1] * 3 + a[g.x + 2] * 5 + a[g.x + 3] * 7 + a[g.x + 4] * 9 + a[g.x + 5] * 11; }",
    ),
    (
        "vectors that overlap at uneven addresses",
        [32, 1, 1],
        "if (g.x < 32) { device uint *to = out + g.y * 64; uint v = g.x ^ 1; \
         if (g.y == 0) { *(device packed_uint2 *)(to + v) = packed_uint2(l, l + 100); } \
         if (g.y == 1) { *(device ulong *)(to + v) = ulong(l) << 32 | (l + 100); } \
         if (g.y == 2) { *(device packed_uint3 *)(to + (a[l] & 31)) = packed_uint3(l, l + 100, l + 200); } \
         if (g.y == 3) { *(device uchar4 *)((device uchar *)to + (a[l] & 127)) = uchar4(l, l + 50, l + 100, l + 150); } \
         if (g.y == 4) { *(device packed_half3 *)((device half *)to + v * 2) = packed_half3(l, l + 100, l + 200); } \
         if (g.y == 5) { *(device uint4 *)(to + 4 * (a[l] & 7) + (l > 20 ? 4 : 0)) = uint4(l, l + 1, l + 2, l + 3); } }",
    ),
    (
        "vectors that overlap at known distances",
        [32, 1, 1],
        "if (g.x < 32) { device uint *to = out + g.y * 64; \
         if (g.y == 0) { *(device packed_uint2 *)(to + (sl ^ 1)) = packed_uint2(l, l + 100); } \
         if (g.y == 1) { *(device ulong *)(to + (31 - sl)) = ulong(l) << 32 | (l + 100); } \
         if (g.y == 2) { *(device packed_uint4 *)(to + (sl ^ 2)) = packed_uint4(l, l + 100, l + 200, l + 300); } \
         if (g.y == 3) { *(device uchar4 *)((device uchar *)to + sl * 7 % 32) = uchar4(l, l + 50, l + 100, l + 150); } \
         if (g.y == 4) { *(device packed_uint2 *)(to + (sl ^ 1) / 2 * 2) = packed_uint2(l, l + 100); } } \
         t[l] = 0; threadgroup_barrier(mem_flags::mem_threadgroup); *(threadgroup packed_uint2 *)(t + (31 - sl)) = packed_uint2(l, g.x); \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (g.x >= 32 || g.y > 4) { out[at] = t[l] + t[l + 1] * 3; }",
    ),
    (
        "wide numbers of rows, in a loop",
        [32, 1, 1],
        "ulong s = 0; for (uint k = 0; k < 5; k++) { s = s * 3ul + ((device const ulong *)a)[g.x + k * 64]; \
         ((device ulong *)c2)[0] = 1ul; } out[at] = uint(s) ^ uint(s >> 32);",
    ),
    (
        "half of a wide variable that changes afterwards",
        [32, 1, 1],
        "long3 v = long3(1); for (uint k = 0; k < (g.x & 3); k++) { v = long3(1 + k); } int w = v.z; \
         v.yz = long2(int(n) - 64); out[at] = uint(w) + uint(v.y) * 8;",
    ),
    (
        "a narrow variable widened before it changes",
        [32, 1, 1],
        "ushort v = 3; for (uint k = 0; k < (g.x & 3); k++) { v = ushort(k + 7); } ulong w = v++; out[at] = uint(w) + v * 64;",
    ),
    (
        "halves that all lanes share, across lanes",
        [32, 1, 1],
        "bfloat x = bfloat(float(n) / -85.0f); half y = half(float(n) / 999.0f); \
         out[at] = as_type<ushort>(simd_product(x)) | uint(as_type<ushort>(simd_sum(y))) << 16;",
    ),
    (
        "an index that is doubled many times",
        [32, 1, 1],
        "ulong w = g.x; for (int k = 0; k < 40; k++) { w = w + w; } out[at] = a[w & 1023ul] + a[w >> 40];",
    ),
    (
        "a uniform variable of a run in two versions",
        [32, 1, 1],
        "uint s = 0, u = 1; for (uint k = 0; k < (a[0] & 3) + 2; k++) { u = u * 3 + a[k]; s += a[at] + a[at + 64] * 3 \
         + a[at + 128] * 5 + a[at + 192] * 7 + a[at + 256] * 9 + a[at + 320] * 11 + a[at + 384] * 13; t[l] = s; \
         threadgroup_barrier(mem_flags::mem_threadgroup); s += t[l ^ 1] + u; \
         threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = s;",
    ),
    (
        "variables of lanes that left a loop, and one that is private to it",
        [16, 2, 1],
        "uint s = 0, r = 0; for (uint j = 0; j < 3; j++) { uint x = l + j; for (uint k = 0; k < 50; k++) { x = x * 5 + 1; \
         s += x & 7; r = r * 3 + k; if (x % 13 == l % 13) { break; } } s ^= r; } out[at] = s;",
    ),
    (
        "lanes that leave a loop one by one, and continue",
        [32, 2, 1],
        "uint s = 0; for (uint k = 0; k < 40; k++) { if ((a[k] + l) % 5 == 0) { continue; } s += a[(k + l) & 255]; \
         if (s % 11 == l % 11) { break; } } out[at] = s;",
    ),
    (
        "a vector that was loaded before the first thread, stored as it is",
        [32, 1, 1],
        "out[at] = 0; *(device packed_uint2 *)(out + at / 2 * 2) = *(constant packed_uint2 *)m;",
    ),
    (
        "a structure that is copied from constant memory",
        [32, 2, 1],
        "struct C { ushort w[10]; }; if (at < 100) { ((device C *)out)[at] = *(constant C *)(m + 3); }",
    ),
    (
        "accesses that only active lanes have in bounds",
        [32, 1, 1],
        "threadgroup uint s[8]; threadgroup half h[5]; threadgroup uint2 p[3]; threadgroup uint4 q[2]; threadgroup uchar b[7]; \
         if (l < 8) s[l] = a[at]; if (l < 5) h[l] = half(a[at] & 63); if (l < 3) p[l] = uint2(a[at], at); \
         if (l < 2) q[l] = uint4(a[at], at, 5, l); if (l > 1 && l < 7) b[l] = uchar(a[at]); \
         threadgroup_barrier(mem_flags::mem_threadgroup); uint v = l < 8 ? s[l] : 3; if (l < 5) v += uint(h[l]) * 3; \
         if (l > 0 && l < 3) v += p[l].x * 5 + p[l].y; if (l < 2) v ^= q[l].x + q[l].y * 7 + q[l].w; \
         if (l > 1 && l < 7) v += b[l]; if (l < 6) v += a[4090 + l]; if (l > 4) v += a[l - 5] * 9; \
         if (l >= 20 && l < 24) v ^= a[(l - 20) * 4 + 4083]; out[at] = v;",
    ),
    (
        "four words of some lanes",
        [32, 1, 1],
        "device const uint4 *w = (device const uint4 *)a; uint v = 0; if (l % 3 == 1) { uint4 x = w[a[at] & 1023]; \
         v = x.x + x.y * 3 + x.z * 5 + x.w * 7; } device const uchar *b = (device const uchar *)a; uint j = a[at + 64] & 8191; \
         if (l > 20) { for (uint k = 0; k < 16; k++) v = v * 31 + b[2 * j + k]; } \
         for (uint k = 0; k < 16; k++) v += b[16 * l + k] * k; out[at] = v;",
    ),
    (
        "broadcasts from a lane known at run time",
        [32, 1, 1],
        "uint s = 0; for (uint k = 0; k < (a[0] & 7) + 3; k++) { uint x = simd_shuffle(a[at], ushort(k)); \
         if (x % 3 == 0) continue; s = s * 5 + x + simd_shuffle(l, ushort(31 - k)); } out[at] = s;",
    ),
    (
        "quotients and conversions of numbers that are not multiples, or too large",
        [64, 2, 1],
        "uint s = a[(l + 1) / 4 + 3] + a[(l + n) / 8 % 5] * 3 + a[(sg * 8 + sl) / 16] * 5 + a[(l * 3 + 2) % 8] * 7; \
         short h = short(sl * 3000 + sg * 8); s = s * 3 + a[uint(h) & 1023]; char b = char(sl * 9 + sg); \
         s = s * 3 + a[int(b) + 200]; ushort q = ushort(l / 2 * 20 + l % 2 * 8); s = s * 3 + a[q]; \
         int e = int(sl) - 40; s = s * 3 + a[e / 4 + 50] + a[(e & 7) + 9] + a[(e >> 2) + 77]; out[at] = s;",
    ),
    (
        "indices that wrap in inactive lanes, at known distances",
        [32, 1, 1],
        "uint base = n - 73u; uint v = 0; if (sl > 3) { v = a[base + sl / 4 * 9]; v += a[base + sl / 4 * 9 + sl % 4] * 3; } \
         int k = int(n) - 73; if (sl > 3) { v ^= a[k + int(sl / 4 * 9)] * 5; } out[at] = v;",
    ),
    (
        "shifts of short numbers, by more bits than they have",
        [64, 2, 1],
        "ushort2 z = ushort2(ushort(sg)) << ushort2(16); uchar2 y = uchar2(uchar(sg)) << uchar2(9); \
         ushort2 r = ushort2(ushort(n | 0xffffu)) >> ushort2(17); short h = short(l + r.x); \
         out[at] = simd_sum(l) + a[(l + uint(z.x)) / 4] + a[(l + uint(y.x)) / 4] * 3 + a[int(h) / 64 + 600] * 5;",
    ),
    (
        "numbers with a sign that all lanes step by the same",
        [32, 1, 1],
        "int s = 0; for (int k = int(l) - 20; k < 40; k += 7) { s = s * 5 + k + int(a[k + 30]); } \
         for (int k = 30 - int(l); k > -9; k -= int(n) / 16) { s = s * 3 + k + int(a[40 - k] + a[k + 9] * 3); } \
         int j = 2147483600 + int(l); for (uint q = 0; q < 9; q++) { s ^= j; j += 5; if (j < 0) s += int(a[uint(j) & 1023]); } \
         for (int k = int(l) * 3 - 50; k < int(a[1] & 31); k += int(n) / 4) { if (k < 0) continue; s = s * 7 + int(a[k]); } \
         out[at] = uint(s);",
    ),
    (
        "numbers and pointers that start anew in each iteration of an outer loop",
        [32, 1, 1],
        "uint s = 0; for (uint r = 0; r < (a[2] & 3) + 2; r++) { uint k = l * 3 + r; for (uint q = 0; q < 4; q++) { \
         s = s * 31 + a[k]; k += 32; } s ^= k; device const uint *p = a + l * 2 + r * 64; \
         for (uint q = 0; q < 3 + r; q++) { s += *p; p += n; } s = s * 3 + *p; \
         int i = int(l) - int(r * 9); for (uint q = 0; q < (a[at] & 3); q++) { i -= 5; s = s * 5 + a[i + 90]; } s += uint(i); \
         for (int q = int(l) + int(r); q < 70; q += 16) { for (int o = q - 40; o < 3; o += 9) { s = s * 3 + a[o + q + 50]; } } } \
         int o = int(l); for (uint r = 0; r < 5; r++) { for (uint q = 0; q < 3; q++) { s = s * 3 + a[o]; o += 40; } o -= 97; } \
         out[at] = s + uint(o);",
    ),
    (
        "differences of lanes that are the same for all",
        [32, 1, 1],
        "uint w = sl; simdgroup_float8x8 x; simdgroup_load(x, (device const float *)a + ((w + 1u) - w) * 64u, 8); \
         simdgroup_store(x, (threadgroup float *)t, 8); simdgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l] + t[l + 32] * 3 \
         + a[ulong(w - w) + ulong((w + 1u) - w) + ulong((w + 2u) - w) + ulong((w + 3u) - w) + l] * 5;",
    ),
];

/// The same, with many values that live across barriers at which strips wait for each other, as a thread may return before; and
/// narrow numbers of which some are stored.
const LIVE: &[(&str, [u32; 3], &str)] = &[
    (
        "values of every kind across barriers after a return",
        [64, 2, 1],
        "if (a[at] == 77) { return; } uint x = a[at + 1], y = a[at + 2] * 3, z = a[at + 3] ^ l, w = a[at + 4] + at; \
         float f = float(a[at] & 255), g2 = float(a[at + 5] & 255) * 0.5f; bool b = (x & 1) != 0, c3 = (y & 2) != 0; \
         ulong q = ulong(x) << 7 | y; half h = half(l); threadgroup_barrier(mem_flags::mem_threadgroup); \
         for (uint k = 0; k < n / 16; k++) { t[l] = x + y * 3 + k; threadgroup_barrier(mem_flags::mem_threadgroup); \
         if (t[l ^ 1] & 1) { f = f * 0.5f + g2; b = !b; q = q * 3ul + z; h += 1.0h; } x = x * 5 + (c3 ? w : k); y ^= t[l ^ 2]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); } t[l] = x; threadgroup_barrier(mem_flags::mem_threadgroup); \
         out[at] = x ^ y * 3 ^ z * 5 ^ w * 7 ^ uint(f * 8.0f) ^ uint(g2) ^ uint(b) ^ uint(c3) * 2 ^ uint(q) ^ uint(q >> 32) * 3 ^ \
         uint(h) ^ t[l ^ 3];",
    ),
    (
        "narrow rows of some lanes",
        [32, 1, 1],
        "device ushort *h = (device ushort *)(out + 256); device uchar *b = (device uchar *)(out + 384); \
         if (at < 256 && l % 3 == 1) { h[at] = ushort(a[at]); } if (l % 5 != 2) { b[at] = uchar(a[at] >> 3); } \
         if (at < 256) { out[at] = a[at]; }",
    ),
];

/// The same; of numbers of 64 bits, both halves are moved.
const WIDE: &[(&str, [u32; 3], &str)] = &[
    (
        "shuffles of wide numbers",
        [32, 1, 1],
        "ulong w = (ulong(a[at]) << 32 | a[at + 7]) * 0x9e3779b97f4a7c15ul; ushort by = a[at] & 31; \
         ulong v = simd_shuffle(w, by) ^ simd_shuffle_xor(w, ushort(5)) * 3; v = v * 5 + simd_shuffle_down(w, ushort(n / 9)); \
         v = v * 5 + simd_shuffle_up(w, ushort(20)); v = v * 5 + simd_shuffle_rotate_down(w, ushort(by & 7)); \
         v = v * 5 + quad_shuffle(w, ushort(l & 3)) + quad_shuffle_xor(w, ushort(2)); out[at] = uint(v) ^ uint(v >> 32) * 7;",
    ),
    (
        "wide numbers of one lane",
        [32, 1, 1],
        "long w = (long(a[at]) << 40) - long(a[at + 7]); long v = simd_broadcast(w, ushort(21)) * 3; \
         v ^= simd_broadcast(w, ushort(n / 5)) + quad_broadcast(w, ushort(2)) * 7; if (l > 4) { v += simd_broadcast_first(w); } \
         v += quad_broadcast_first(w); out[at] = uint(v) ^ uint(v >> 32) * 7;",
    ),
];

/// The same, with barriers. They read what threads wrote that groups of another size do not have.
pub(super) const BARRIERS: &[(&str, [u32; 3], &str)] = &[
    (
        "a tree of sums",
        [64, 4, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); for (uint s = 128; s > 0; s /= 2) { if (l < s) t[l] += \
         t[l + s]; threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = l == 0 ? t[0] : l;",
    ),
    (
        "a tree of sums as high as the launch says",
        [64, 2, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); for (uint s = n; s > 0; s >>= 1) { if (l < s) { t[l] \
         += t[l + s]; } threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = t[l & 3];",
    ),
    (
        "the first threads of each of several rows",
        [64, 4, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); if (g.x < 20) { t[l] += 5; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (g.x == 0) { t[l] += 9; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (l <= n) { t[l] *= 3; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l ^ 1];",
    ),
    (
        "a branch on a bound that each thread has for itself",
        [64, 2, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); if (l < (a[at] & 127)) { t[l] += 5; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l ^ 1];",
    ),
    (
        "a branch on a bound that is computed for each thread",
        [64, 2, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); if (l < (l ^ 32u)) { t[l] += 5; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l ^ 1];",
    ),
    (
        "a variable that some threads assign between barriers",
        [64, 2, 1],
        "uint s = a[at] * 3; t[l] = s; threadgroup_barrier(mem_flags::mem_threadgroup); \
         if (a[at] & 2) { s = l + 7; out[at] = s; } threadgroup_barrier(mem_flags::mem_threadgroup); \
         out[at] += s * 5 + t[l ^ 1];",
    ),
    (
        "values beside a branch of the first threads",
        [64, 2, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); uint v = l * 3 ^ n; if (l < 20) { t[l] += v; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l ^ 1] + v;",
    ),
    (
        "wide indices that rows have in common, from before a barrier",
        [32, 2, 1],
        "ulong r = ulong(g.y) * 3ul + 1ul; t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); \
         out[at] = a[r] + a[r + ulong(g.x)] * 3 + t[l ^ 1];",
    ),
    (
        "a loop that ends by a condition from before a barrier",
        [32, 2, 1],
        "float f = float(a[at] & 255); bool stops = !(f < 99.0f); t[l] = a[at]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); uint s = 0; \
         for (uint k = 0; k < 9; k++) { s = s * 3 + t[l ^ k]; if (stops) break; s ^= k; } out[at] = s;",
    ),
    (
        "the number of the SIMD-group",
        [64, 2, 1],
        "uint v = sg * 3 + n; uint w = 0; for (uint k = 0; k < n / 16; k++) { w += sg + k; t[l] = w; \
         threadgroup_barrier(mem_flags::mem_threadgroup); v = v * 5 + t[l ^ 1]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = v + w;",
    ),
    (
        "the first threads of one row",
        [64, 1, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); if (g.x < 20) { t[l] += 5; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (l == 0) { t[63] += t[0]; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (g.x <= 40) { t[l] ^= 9; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[63 - l];",
    ),
    (
        "variables of every kind from one barrier to the next",
        [32, 4, 1],
        "float f = float(a[at] & 255); bool b = (a[at] & 1) != 0; ulong w = ulong(a[at]) << 7; half h = half(l); uint u = n; \
         int v = -int(l); threadgroup_barrier(mem_flags::mem_threadgroup); for (uint k = 0; k < n / 16; k++) { t[l] = a[(at + \
         k) & 511]; threadgroup_barrier(mem_flags::mem_threadgroup); if (t[l ^ 1] & 1) { f = f * 0.5f + 1.0f; b = !b; w = w * \
         3ul + 1ul; h += 1.0h; } v = v * 2 + (b ? 1 : int(k)); u = u * 5 + k; threadgroup_barrier(mem_flags::mem_threadgroup); \
         } out[at] = uint(f * 8.0f) ^ uint(b) ^ uint(w) ^ uint(w >> 32) * 3 ^ uint(h) ^ uint(v) ^ u;",
    ),
    (
        "a common variable that changes after threads read it",
        [32, 2, 1],
        "uint u = 1, s = 0; for (uint k = 0; k < n / 16; k++) { for (uint j = 0; j < (l & 3) + 1; j++) { s = s * 3 + u; } u = \
         u * 5 + k; if (l & 1) { s += u; } t[l] = s; threadgroup_barrier(mem_flags::mem_threadgroup); s ^= t[l ^ 3]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = s + u;",
    ),
    (
        "a common float that changes after it was read",
        [32, 2, 1],
        "float f = 1.0f; uint s = 0; for (uint k = 0; k < n / 8; k++) { float h = f; f = f * 1.5f + float(k); t[l] = uint(h * \
         8.0f) + l; threadgroup_barrier(mem_flags::mem_threadgroup); s = s * 3 + t[l ^ 1] + uint(f); \
         threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = s;",
    ),
    (
        "loops around barriers that end in the middle",
        [32, 2, 1],
        "uint s = a[at]; for (uint k = 0;; k++) { t[l] = s; threadgroup_barrier(mem_flags::mem_threadgroup); if (k == n / 16) \
         break; s = s * 3 + t[l ^ 1]; threadgroup_barrier(mem_flags::mem_threadgroup); if ((k & 1) == 0) continue; s += k; t[l \
         ^ 5] = s; threadgroup_barrier(mem_flags::mem_threadgroup); s ^= t[l]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = s;",
    ),
    (
        "branches around barriers",
        [32, 2, 1],
        "uint s = a[at]; t[l] = s; if (n > 3) { threadgroup_barrier(mem_flags::mem_threadgroup); s += t[l ^ 1]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); t[l] = s; threadgroup_barrier(mem_flags::mem_threadgroup); s += t[l \
         ^ 2]; } else { threadgroup_barrier(mem_flags::mem_threadgroup); s = 1; } if (n == 3) { \
         threadgroup_barrier(mem_flags::mem_threadgroup); s = t[0]; } else { s ^= 3; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = s;",
    ),
    (
        "vectors from before a barrier",
        [32, 2, 1],
        "uint4 v = ((device const uint4 *)a)[at]; float2 f = float2(v.xy & 255u); t[l] = v.x; \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = v.y + v.z * 3 + v.w * 5 + t[l ^ 1] + uint(f.x + f.y);",
    ),
    (
        "threadgroups at the edges of the grid",
        [24, 3, 1],
        "uint v = a[at]; t[l] = v; threadgroup_barrier(mem_flags::mem_threadgroup); uint s = 0; for (uint k = 0; k < 8; k++) { \
         s += t[k]; } threadgroup_barrier(mem_flags::mem_threadgroup); t[l] = s; \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (l < 5) { t[l] += 3; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = v + s * t[l & 7];",
    ),
    (
        "arrays of a thread from before a barrier",
        [32, 2, 1],
        "uint p[4] = {1, 2, 3, 4}; p[a[at] & 3] = l; t[l] = p[at & 3]; threadgroup_barrier(mem_flags::mem_threadgroup); p[t[l \
         ^ 1] & 3] += 7; threadgroup_barrier(mem_flags::mem_threadgroup); uint s = 0; for (uint k = 0; k < 4; k++) { s = s * 3 \
         + p[(k + l) & 3]; } out[at] = s;",
    ),
    (
        "operations across lanes and atomics between barriers",
        [64, 2, 1],
        "threadgroup atomic_uint q[4]; if (l < 4) { atomic_store_explicit(&q[l], l, memory_order_relaxed); } \
         threadgroup_barrier(mem_flags::mem_threadgroup); uint v = simd_sum(a[at] & 255); atomic_fetch_add_explicit(&q[l & 3], \
         v, memory_order_relaxed); threadgroup_barrier(mem_flags::mem_threadgroup); if (l % 32 == 0) { t[l / 32] = v; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); uint s = l < 4 ? t[l] : 0; s = simd_sum(s); \
         threadgroup_barrier(mem_flags::mem_threadgroup); if (l == 0) { t[0] = s; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[0] + atomic_load_explicit(&q[l & 3], \
         memory_order_relaxed) * 3;",
    ),
];

/// The same; some threadgroups return before a barrier, and some threads after the last one.
pub(super) const RETURNS: &[(&str, [u32; 3], &str)] = &[
    (
        "returns of threadgroups",
        [32, 2, 1],
        "if (tg.y & 1) { for (uint k = 0; k < 3; k++) { out[at] += k; } return; } t[l] = a[at]; \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l ^ 1]; if (n == 3) { return; } \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] += t[l ^ 3];",
    ),
    (
        "returns from a loop with barriers",
        [64, 1, 1],
        "uint s = a[at], u = 1; for (uint k = 0; k < 5; k++) { t[l] = s; u = u * 3 + k; \
         threadgroup_barrier(mem_flags::mem_threadgroup); s = s * 3 + t[l ^ 1]; if (k == 1 + (tg.y & 3)) { out[at] = s + u; \
         return; } threadgroup_barrier(mem_flags::mem_threadgroup); } out[at] = s ^ 9;",
    ),
    (
        "all threads return",
        [32, 2, 1],
        "t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l ^ 1]; return; \
         threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = 1;",
    ),
    (
        "threads return one by one after the last barrier",
        [32, 2, 1],
        "uint u = n; t[l] = a[at]; threadgroup_barrier(mem_flags::mem_threadgroup); if (l & 1) { out[at] = 3; return; } \
         for (uint k = 0; k < 3; k++) { u += k; if (k == (l & 7)) { return; } } out[at] = t[l ^ 1] + u; \
         u = n * 5; if (l == 6) { return; } out[at] += u; if (l < 32) { return; } out[at] ^= u;",
    ),
];

#[test]
fn machine_code_and_the_interpreter_agree() {
    for &(name, group, body) in CASES.iter().chain(LIVE).chain(WIDE).chain(BARRIERS).chain(RETURNS)
    {
        check(name, group, body);
    }
}

/// A comparison of a position with a constant may be the same in each strip of one length, and not in those of another.
#[test]
fn comparisons_at_and_beside_the_ends_of_strips_agree() {
    let wait = "threadgroup_barrier(mem_flags::mem_threadgroup);";
    let compare = |c: u32| {
        format!(
            "if (l < {c}) {{ t[l] = t[l] * 3 + l; }} {wait} if (l >= {c}) {{ t[l] ^= 5; }} if (int(l) <= {c}) {{ t[l] += 7; }} \
             if ({c} < tp.x) {{ t[l] += 11; }} {wait} if (tp.x < {c}) {{ t[l] *= 5; }} {wait} \
             out[at] = out[at] * 3 + (g.x < {c} ? t[l ^ 1] : 1); {wait} "
        )
    };
    let body: String =
        [0, 7, 8, 15, 16, 24, 31, 32, 33, 63, 64, 65].into_iter().map(compare).collect();
    for group in [[32, 1, 1], [64, 1, 1], [64, 4, 1], [16, 4, 1], [8, 8, 1], [16, 1, 1]] {
        check(&format!("ends of strips in {group:?}"), group, &body);
    }
    // Without reads of threads that groups at the edge of the grid do not have.
    check("ends of strips in rows of 40", [40, 2, 1], &body.replace("l ^ 1", "l"));
}

/// Indices of the lane in its SIMD-group, which the compiler knows in each lane: loads of what neighbouring lanes share, up to the
/// last byte of the buffer, and stores.
#[test]
fn accesses_at_known_distances_agree() {
    type Index = (&'static str, fn(u32) -> u32);
    const INDICES: &[Index] = &[
        ("sl", |w| w),
        ("31 - sl", |w| 31 - w),
        ("sl / 4 * 9 + sl % 4", |w| w / 4 * 9 + w % 4),
        ("sl % 4 * 9 + sl / 4", |w| w % 4 * 9 + w / 4),
        ("sl / 8 * 5 + sl % 8 / 4", |w| w / 8 * 5 + w % 8 / 4),
        ("sl / 4 * 17 + sl % 4 * 4", |w| w / 4 * 17 + w % 4 * 4),
        ("(sl ^ 1) * 2", |w| (w ^ 1) * 2),
        ("sl * 7 % 32", |w| w * 7 % 32),
        ("sl / 2", |w| w / 2),
        ("sl & 0", |_| 0),
    ];
    // A type, and a number of what was loaded.
    const TYPES: &[(&str, u32, &str)] = &[
        ("uchar", 1, "x"),
        ("char", 1, "uint(x)"),
        ("bool", 1, "uint(x)"),
        ("ushort", 2, "x"),
        ("short", 2, "uint(x)"),
        ("half", 2, "as_type<ushort>(x)"),
        ("uint", 4, "x"),
        ("ulong", 8, "uint(x) ^ uint(x >> 32) * 3"),
        ("uchar2", 2, "x.x + x.y * 3"),
        ("uchar4", 4, "x.x + x.y * 3 + x.z * 5 + x.w * 7"),
        ("packed_short3", 6, "uint(x.x + x.y * 3 + x.z * 5)"),
        ("short4", 8, "uint(x.x + x.y * 3 + x.z * 5 + x.w * 7)"),
        ("uint2", 8, "x.x + x.y * 3"),
        ("packed_uint3", 12, "x.x + x.y * 3 + x.z * 5"),
        ("uint4", 16, "x.x + x.y * 3 + x.z * 5 + x.w * 7"),
    ];
    for &(index, number) in INDICES {
        let most = (0..32).map(number).max().unwrap();
        let loads = TYPES.iter().map(|(ty, bytes, value)| {
            let last = 4096 * 4 / bytes - 1 - most;
            let load = |at: &str| format!("{{ {ty} x = p[{at}]; s = s * 31 + uint({value}); }}");
            format!(
                "{{ device const {ty} *p = (device const {ty} *)a; {} {} if (sl % 5 != 3) {} \
                 for (uint i = sl / 4; i < n / 4; i += 8) {} for (int i = l; i > 0; i -= 8) {} }}",
                load(&format!("({index}) + g.y * 3")),
                load(&format!("{last} + ({index})")),
                load(&format!("{last} + ({index})")),
                load("i * 9 + sl % 4 + g.y"),
                load(&format!("i + ({index})")),
            )
        });
        // Where lanes write the same word, the last one of them wins.
        const WAIT: &str = "threadgroup_barrier(mem_flags::mem_threadgroup);";
        let stores = [
            "if (l == 0) { for (uint k = 0; k < 1024; k++) { t[k] = 0; } }".to_owned(),
            format!("t[{index}] = a[at] + l; t[({index}) + 200] = s;"),
            format!("if (sl > 9) {{ t[({index}) * 3] = s; }}"),
            format!("threadgroup uchar *b = (threadgroup uchar *)(t + 512); b[{index}] = uchar(s);"),
            format!("((threadgroup uint4 *)(t + 640))[({index}) % 64] = uint4(s, l, s * 3, 7);"),
            "s += t[l] * 3 + t[l + 200] * 5 + t[l + 512] + t[l * 3] * 7 + t[640 + l * 4] + t[641 + l * 3] * 9;".to_owned(),
        ]
        .join(WAIT);
        let body = format!("uint s = 0; {} {stores} out[at] = s;", loads.collect::<String>());
        check(&format!("lanes {index}"), [32, 1, 1], &body);
    }
}

/// Memory of fewer bytes than lanes load together, up to its last byte and past it.
#[test]
fn accesses_at_known_distances_of_little_memory_agree() {
    const TYPES: &[(&str, usize, &str)] = &[
        ("uchar", 1, "x"),
        ("char", 1, "uint(x)"),
        ("ushort", 2, "x"),
        ("short", 2, "uint(x)"),
        ("uchar2", 2, "x.x + x.y * 3"),
        ("uint", 4, "x"),
        ("uchar4", 4, "x.x + x.y * 3 + x.z * 5 + x.w * 7"),
        ("packed_short3", 6, "uint(x.x + x.y * 3 + x.z * 5)"),
        ("uint2", 8, "x.x + x.y * 3"),
        ("packed_uint3", 12, "x.x + x.y * 3 + x.z * 5"),
    ];
    for bytes in [1, 2, 3, 4, 5, 7, 8, 12, 13, 15, 16, 17, 20] {
        let load = |(ty, size, value): &(&str, usize, &str), index: &str| {
            let count = (bytes / size).to_string();
            let index = index.replace('C', &count);
            format!(
                "{{ {ty} x = ((device const {ty} *)few)[{index}]; s = s * 31 + uint({value}); }}"
            )
        };
        let body = |loads: String| format!("uint s = 0; {loads} out[at] = s;");
        let fitting = || TYPES.iter().filter(|row| row.1 <= bytes);
        let loads = fitting().map(|row| {
            let indices = ["sl * C / 32", "C - 1 - sl * C / 32", "sl % C", "sl / 4 % C"];
            let some = format!("if (sl % 5 != 3) {}", load(row, "sl * C / 32"));
            indices.iter().map(|index| load(row, index)).chain([some]).collect::<String>()
        });
        let (name, within) = (format!("{bytes} bytes"), body(loads.collect()));
        for first in [true, false] {
            agree(&name, &results(&name, GRID, [32, 1, 1], &within, bytes, first));
        }
        for row in fitting() {
            let name = format!("{} in {bytes} bytes, and past them", row.0);
            let past = body(load(row, "sl * (C + 1) / 32"));
            let results = results(&name, GRID, [32, 1, 1], &past, bytes, false);
            let (_, want) = &results[0];
            assert!(want.as_ref().is_err_and(|fault| fault.contains("'few'")), "{name}: {want:?}");
            results.iter().for_each(|(way, found)| assert_eq!(found, want, "{name}, {way}"));
        }
    }
}

/// A strip of one vector has all threads of such groups, or just not. One worker runs the groups in order, and atomics order
/// the lanes of a group.
#[test]
fn groups_of_few_threads_agree() {
    const ATOMICS: &[(&str, &str)] = &[
        (
            "atomics of all lanes",
            "uint old = atomic_fetch_add_explicit(&c[0], l + 1, memory_order_relaxed); out[at] = old * 3 + a[at];",
        ),
        (
            "atomics of some lanes",
            "uint v = a[at]; if (v & 1) { v += atomic_fetch_max_explicit(&c[l & 7], v, memory_order_relaxed); } \
             atomic_store_explicit(&c[3], v, memory_order_relaxed); \
             out[at] = v ^ atomic_load_explicit(&c[3], memory_order_relaxed);",
        ),
        (
            "atomics in a loop that lanes leave one by one",
            "uint v = 0; for (uint k = 0; k <= (a[at] & 7); k++) { \
             v = v * 5 + atomic_fetch_xor_explicit(&c[k & 3], at + k, memory_order_relaxed); } out[at] = v;",
        ),
        (
            "atomics beside operations across lanes",
            "uint v = simd_sum(a[at] & 255); \
             out[at] = v + atomic_fetch_add_explicit(&c[0], 1, memory_order_relaxed) + simd_prefix_inclusive_sum(l);",
        ),
        (
            "atomics around a barrier",
            "uint v = atomic_fetch_add_explicit(&c[1], 1, memory_order_relaxed); t[l] = v; \
             threadgroup_barrier(mem_flags::mem_threadgroup); out[at] = t[l / 2] + v;",
        ),
    ];
    for width in [1, 7, 8, 9, 15, 16, 17] {
        for &(name, body) in ATOMICS {
            check(&format!("{name}, {width}"), [width, 1, 1], body);
        }
    }
    for (name, body) in ATOMICS {
        check(name, [4, 4, 1], body);
    }
    // Without those that read other lanes, which may not be there.
    for &(name, _, body) in CASES.iter().filter(|case| !case.2.contains("simd_shuffle")) {
        check(&format!("{name}, 16 threads"), [16, 1, 1], body);
    }
}

pub(super) fn check(name: &str, group: [u32; 3], body: &str) {
    agree(name, &results(name, GRID, group, body, 64, false));
}

/// The grid of all these kernels: `out` has as many words as it has threads.
pub(super) const GRID: [u32; 3] = [64, 8, 1];

/// A way, and what `out` has after it or the fault's text.
pub(super) type Found = (String, Result<Vec<u32>, String>);

/// By each way; `few` has `bytes` bytes, which follow a page that may not be accessed, or precede one.
pub(super) fn results(
    name: &str,
    grid: [u32; 3],
    group: [u32; 3],
    body: &str,
    bytes: usize,
    first: bool,
) -> Vec<Found> {
    let text = format!(
        "#include <metal_stdlib>\nusing namespace metal;\nkernel void k(device uint *out [[buffer(0)]], \
         device const uint *a [[buffer(1)]], constant uint &n [[buffer(2)]], device atomic_uint *c [[buffer(3)]], \
         device uint *c2 [[buffer(4)]], constant uint *m [[buffer(5)]], device uchar *few [[buffer(6)]], uint3 g [[thread_position_in_grid]], \
         uint l [[thread_index_in_threadgroup]], uint sg [[simdgroup_index_in_threadgroup]], \
         uint3 tp [[thread_position_in_threadgroup]], uint3 tg [[threadgroup_position_in_grid]], \
         ushort sl [[thread_index_in_simdgroup]]) {{ threadgroup uint t[1024]; t[l] = 0; \
         const uint at = g.y * n + g.x; {body} }}"
    );
    let library =
        msl::compile(&text, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (module, _) =
        library.kernel("k", &ConstantValues::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    Way::all()
        .into_iter()
        .map(|way| {
            let mut out = vec![7u32; 512];
            let mut a: Vec<u32> =
                (0..4096).map(|i: u32| i.wrapping_mul(2_654_435_761) >> 9).collect();
            let (mut n, mut c, mut c2) = ([64u32], [0u32; 8], [0u32; 8]);
            let mut m: Vec<u32> = (1..17).map(|i: u32| i.wrapping_mul(0x9e37_79b9)).collect();
            let mut e = Pages::new(bytes);
            let start = e.place(bytes, first);
            e[start..start + bytes]
                .iter_mut()
                .zip(0u32..)
                .for_each(|(e, i)| *e = (i * 89 + 131) as u8);
            let bindings = [
                Binding { index: 0, base: out.as_mut_ptr().cast(), bytes: 2048 },
                Binding { index: 1, base: a.as_mut_ptr().cast(), bytes: 4096 * 4 },
                Binding { index: 2, base: n.as_mut_ptr().cast(), bytes: 4 },
                Binding { index: 3, base: c.as_mut_ptr().cast(), bytes: 32 },
                Binding { index: 4, base: c2.as_mut_ptr().cast(), bytes: 32 },
                Binding { index: 5, base: m.as_mut_ptr().cast(), bytes: 64 },
                Binding { index: 6, base: e[start..].as_mut_ptr(), bytes: bytes as u64 },
            ];
            let launch = Launch::of(grid, group, &bindings);
            let program = way.program(&module).unwrap_or_else(|e| panic!("{name}: {e}"));
            // SAFETY: the bindings are the vectors above, which outlive the launch and nothing else uses.
            let done = unsafe { program.launch_by_index(&launch, &Workers::new(1)) };
            (way.name(), done.map(|()| out).map_err(|fault| fault.to_string()))
        })
        .collect()
}

pub(super) fn agree(name: &str, results: &[Found]) {
    let results: Vec<(&String, &Vec<u32>)> = results
        .iter()
        .map(|(way, found)| {
            let out = found.as_ref().unwrap_or_else(|fault| panic!("{name}, {way}: {fault}"));
            (way, out)
        })
        .collect();
    let (_, want) = results[0];
    for (way, found) in &results[1..] {
        let wrong = found.iter().zip(want).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "{name}, {way}: {found:?} instead of {want:?}");
    }
}

/// Otherwise each reduction in threadgroup memory would call a slow path.
#[test]
fn lanes_out_of_bounds_that_are_inactive_are_no_slow_path() {
    if !Way::all().into_iter().any(Way::is_native) {
        return;
    }
    let run = || {
        let (name, group, body) =
            CASES.iter().find(|case| case.0.contains("have in bounds")).unwrap();
        check(name, *group, body);
    };
    let module = module_path!().split_once("::").unwrap().1;
    let test = format!("{module}::lanes_out_of_bounds_that_are_inactive_are_no_slow_path");
    let Some(output) = in_child(&test, &[("ARUMINIUM_SOFT_JIT_DUMP", "k")], run) else { return };
    let listing = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{listing}");
    // One for each access that depends on the lane.
    let checks = listing.matches("JumpUnlessBelow").count();
    assert!(checks >= 10, "{checks} checks of active lanes:\n{listing}");
}
