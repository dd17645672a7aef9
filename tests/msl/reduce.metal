// Reductions: by SIMD-group, by threadgroup tree, and by atomics.
#include <metal_stdlib>
using namespace metal;

#define GROUP 256

kernel void sum_tree(device const float* in [[buffer(0)]],
                     device float* out [[buffer(1)]],
                     constant uint& n [[buffer(2)]],
                     uint i [[thread_position_in_grid]],
                     uint t [[thread_index_in_threadgroup]],
                     uint g [[threadgroup_position_in_grid]]) {
    threadgroup float partial[GROUP];
    partial[t] = i < n ? in[i] : 0.0f;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half_size = GROUP / 2; half_size > 0; half_size >>= 1) {
        if (t < half_size) partial[t] += partial[t + half_size];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (t == 0) out[g] = partial[0];
}

kernel void max_simd(device const half4* in, device atomic_int* out, constant uint& n,
                     uint i [[thread_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
    half best = -HALF_MAX;
    if (i < n) {
        const half4 v = in[i];
        best = max(max(v.x, v.y), max(v.z, v.w));
    }
    best = simd_max(best);
    if (lane == 0) atomic_fetch_max_explicit(out, int(best * 16), memory_order_relaxed);
}

kernel void softmax_rows(device const float* in, device float* out, constant int& width,
                         threadgroup float* shared [[threadgroup(0)]],
                         uint row [[threadgroup_position_in_grid]],
                         uint t [[thread_position_in_threadgroup]],
                         uint threads [[threads_per_threadgroup]]) {
    device const float* x = in + row * width;
    device float* y = out + row * width;
    float top = -INFINITY;
    for (int k = t; k < width; k += threads) top = fmax(top, x[k]);
    top = simd_max(top);
    float total = 0;
    for (int k = t; k < width; k += threads) {
        y[k] = exp(x[k] - top);
        total += y[k];
    }
    shared[t] = simd_sum(total);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const float scale = 1.0f / shared[0];
    for (int k = t; k < width; k += threads) y[k] *= scale;
}

kernel void histogram(device const uchar* in, device atomic_uint* bins, uint i [[thread_position_in_grid]]) {
    threadgroup atomic_uint local[16];
    if (i < 16) atomic_store_explicit(&local[i], 0, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    atomic_fetch_add_explicit(&local[in[i] >> 4], 1u, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (i < 16) atomic_fetch_add_explicit(bins + i, atomic_load_explicit(&local[i], memory_order_relaxed), memory_order_relaxed);
}
