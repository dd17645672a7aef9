// Pitfalls from real kernels.
#include <metal_stdlib>
#include <metal_simdgroup>
#pragma METAL internals : enable
using namespace metal;

typedef float4 type4;
typedef matrix<bfloat, 4, 4> bfloat_matrix;
static inline __attribute__((always_inline)) float squared(float x) { return x * x; }

kernel void matrices_of_bfloats(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    bfloat_matrix m;
    for (int c = 0; c < 4; ++c) m[c] = vec<bfloat, 4>(bfloat(float(c + 1)));
    out[i] = float(m[i % 4][1]) + float(m[3].x) * 10;
}

namespace library { namespace v2 {
kernel void nested(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = squared(i); }
} }

// A block of quantised weights: a scale and sixteen bytes of two nibbles, 18 bytes without padding.
#define QK 32
typedef struct {
    half d;
    uint8_t qs[QK / 2];
} block_q4;
static_assert(sizeof(block_q4) == sizeof(half) + QK / 2, "wrong size of a block");
kernel void dequantises(device float* out [[buffer(0)]], device const void* src [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device const block_q4* blocks = (device const block_q4*)src;
    device const block_q4& b = blocks[i / QK];
    const int j = i % QK;
    const int q = j < QK / 2 ? b.qs[j] & 0x0F : b.qs[j - QK / 2] >> 4;
    out[i] = (q - 8) * b.d;
}

// Bytes read as words through a pointer cast, as quantised dot products do.
kernel void dot_of_bytes(device float* out [[buffer(0)]], device const char* x [[buffer(1)]], device const char* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    device const char4* a = (device const char4*)(x + 16 * i);
    device const char4* b = (device const char4*)(y + 16 * i);
    int sum = 0;
#pragma unroll
    for (short k = 0; k < 4; ++k) {
        int4 p = int4(a[k]) * int4(b[k]);
        sum += p.x + p.y + p.z + p.w;
    }
    out[i] = sum;
}

kernel void softmax(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], constant int64_t& n [[buffer(2)]], threadgroup float* buf [[threadgroup(0)]], uint row [[threadgroup_position_in_grid]], uint t [[thread_position_in_threadgroup]], uint sg [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]], uint size [[threads_per_threadgroup]]) {
    device const float* in = x + row * n;
    float most = -INFINITY;
    for (int64_t k = t; k < n; k += size) most = max(most, in[k]);
    most = simd_max(most);
    if (size > 32) {
        if (sg == 0) buf[lane] = -INFINITY;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (lane == 0) buf[sg] = most;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        most = simd_max(buf[lane]);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    float sum = 0.0f;
    for (int64_t k = t; k < n; k += size) sum += exp(in[k] - most);
    sum = simd_sum(sum);
    if (size > 32) {
        if (sg == 0) buf[lane] = 0.0f;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (lane == 0) buf[sg] = sum;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        sum = simd_sum(buf[lane]);
    }
    for (int64_t k = t; k < n; k += size) out[row * n + k] = exp(in[k] - most) / sum;
}

// Carries between 32-bit limbs, as big-number arithmetic does.
struct U128 { uint limbs[4]; };
static U128 plus(U128 a, U128 b) {
    U128 r;
    ulong carry = 0;
    for (int k = 0; k < 4; ++k) {
        carry += ulong(a.limbs[k]) + b.limbs[k];
        r.limbs[k] = uint(carry);
        carry >>= 32;
    }
    return r;
}
kernel void big_sums(device U128* out [[buffer(0)]], device const U128* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = plus(x[i], x[i + 1]);
}
kernel void gelu_of_large(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float v = x[i];
    out[i] = 0.5f * v * (1.0f + precise::tanh(0.79788456f * (v + 0.044715f * v * v * v)));
}
vertex float4 passes(uint i [[vertex_id]]) { return float4(i); }
fragment half4 paints(float4 p [[position]]) { return half4(p); }
