// The library: mathematics, integers, relations, packing, SIMD-groups, in several types.
#include <metal_stdlib>
using namespace metal;

kernel void mathematics(device float* out, device half* h, device bfloat* b, uint i [[thread_position_in_grid]]) {
    const float x = out[i];
    float c, whole;
    int e;
    float s = sincos(x, c) + modf(x, whole) + frexp(x, e) + ldexp(x, 3) + ilogb(x) + copysign(x, -1.0f);
    s += sin(x) + cos(x) + tan(x) + asin(x) + acos(x) + atan(x) + atan2(x, c) + sinh(x) + cosh(x) + tanh(x);
    s += exp(x) + exp2(x) + exp10(x) + log(x) + log2(x) + log10(x) + pow(x, 2) + powr(x, 2.0f) + sqrt(x) + rsqrt(x);
    s += precise::exp(x) + fast::exp(x) + metal::precise::sqrt(x) + precise::divide(x, c) + fdim(x, c) + fmod(x, 2.0f);
    s += floor(x) + ceil(x) + rint(x) + round(x) + trunc(x) + fract(x) + fabs(x) + abs(x) + nextafter(x, c);
    s += asinh(x) + acosh(x) + atanh(x) + sinpi(x) + cospi(x) + tanpi(x) + max3(x, c, s) + fmin3(x, c, s) + median3(x, c, s);
    out[i] = s + whole + e + clamp(x, 0.0f, 1.0f) + mix(x, c, 0.5f) + saturate(x) + sign(x) + smoothstep(0.0f, 1.0f, x) + step(0.5f, x);
    h[i] = exp(h[i]) + max(h[i], 0.5h) * rsqrt(h[i]) + fma(h[i], h[i], h[i]);
    b[i] = bfloat(tanh(float(b[i]))) + b[i] * b[i];
}

kernel void geometry(device float3* v, device half2* h, uint i [[thread_position_in_grid]]) {
    const float3 a = v[i], n = normalize(v[i + 1]);
    v[i] = cross(a, n) + reflect(a, n) + refract(a, n, 1.5f) + faceforward(n, a, n) * distance(a, n);
    h[i] = half2(length(h[i]), dot(h[i], h[i])) * length_squared(a) * half(distance_squared(a, n));
}

kernel void integers(device int4* v, device ulong* l, device uchar* c, uint i [[thread_position_in_grid]]) {
    int4 a = v[i];
    a = abs(a) + max(a, 3) - min(a, int4(1)) + clamp(a, -1, 1) + addsat(a, a) - subsat(a, a) + mulhi(a, a);
    a ^= int4(popcount(a)) << clz(a) | ctz(a) & ~reverse_bits(a) % 7;
    v[i] = rotate(a, int4(3)) + hadd(a, a) + rhadd(a, a) + madsat(a, a, a) + mad24(a, a, a) + mul24(a, a) + madhi(a, a, a);
    l[i] = mulhi(l[i], l[i]) + extract_bits(l[i], 3, 5) + insert_bits(l[i], 1ul, 4, 2) + absdiff(l[i], 5ul);
    c[i] = addsat(c[i], uchar(200)) + popcount(c[i]) + select(c[i], uchar(1), c[i] > 3);
}

kernel void relations(device float4* v, device bool* r, uint i [[thread_position_in_grid]]) {
    const bool4 m = isnan(v[i]) | isinf(v[i]) | !isfinite(v[i]) | isnormal(v[i]) | signbit(v[i]);
    r[i] = any(m) && !all(not(m)) || isordered(v[i].x, v[i].y) != isunordered(v[i].z, v[i].w);
    v[i] = select(v[i], -v[i], m) + (m ? float4(1) : v[i]);
}

kernel void packing(device uint* u, device float4* f, device half2* h, uint i [[thread_position_in_grid]]) {
    u[i] = pack_float_to_unorm4x8(f[i]) ^ pack_float_to_snorm4x8(f[i]) ^ pack_half_to_unorm2x16(h[i]) ^ pack_float_to_unorm10a2(f[i]);
    f[i] = unpack_unorm4x8_to_float(u[i]) + unpack_snorm4x8_to_float(u[i]) + float4(unpack_unorm2x16_to_float(u[i]), unpack_snorm2x16_to_float(u[i]));
    h[i] = as_type<half2>(u[i]) + unpack_unorm2x16_to_half(u[i]);
}

kernel void lanes(device float* f, device uint* u, ushort lane [[thread_index_in_simdgroup]], uint i [[thread_position_in_grid]]) {
    float x = f[i];
    x = simd_sum(x) + simd_product(x) + simd_min(x) + simd_max(x) + simd_broadcast(x, 3) + simd_broadcast_first(x);
    x += simd_shuffle(x, lane ^ 1) + simd_shuffle_xor(x, 2) + simd_shuffle_up(x, 1) + simd_shuffle_down(x, 1) + simd_shuffle_rotate_down(x, 4);
    x += simd_shuffle_and_fill_up(x, f[0], 1) + simd_shuffle_and_fill_down(x, f[0], 1, 8) + simd_prefix_inclusive_sum(x) + quad_sum(x) + quad_broadcast(x, 1);
    u[i] = simd_and(u[i]) | simd_or(u[i]) ^ simd_xor(u[i]) | uint(ulong(simd_ballot(x > 0))) | (simd_any(x > 1) ? 1 : 0) | (simd_is_first() && simd_all(true));
    f[i] = x;
    simdgroup_barrier(mem_flags::mem_none);
}

kernel void atomics(device atomic_uint* a, device atomic_float* f, threadgroup atomic_int* t [[threadgroup(0)]], uint i [[thread_position_in_grid]]) {
    atomic_store_explicit(t, 0, memory_order_relaxed);
    uint old = atomic_fetch_add_explicit(a, 1u, memory_order_relaxed) + atomic_fetch_sub_explicit(a, 1, memory_order_relaxed);
    old |= atomic_fetch_and_explicit(a, 7u, memory_order_relaxed) | atomic_fetch_or_explicit(a, 8u, memory_order_relaxed) | atomic_fetch_xor_explicit(a, 1u, memory_order_relaxed);
    old += atomic_fetch_min_explicit(t, -3, memory_order_relaxed) + atomic_exchange_explicit(a, old, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(a, &old, old + i, memory_order_relaxed, memory_order_relaxed)) {}
    atomic_fetch_add_explicit(f, 1.5f, memory_order_relaxed);
}
