// Blocks of small integers with a scale, in the manner of quantised weights.
#include <metal_stdlib>
using namespace metal;

#define BLOCK 32
typedef struct {
    half scale;
    uchar nibbles[BLOCK / 2];
} block4;

struct block8 {
    half scale;
    char values[BLOCK];
    float dot(thread const float* x) const device {
        float sum = 0;
        for (int i = 0; i < BLOCK; ++i) sum += x[i] * values[i];
        return sum * scale;
    }
};
static_assert(sizeof(block4) == 18, "block4 is packed");
static_assert(sizeof(block8) == 34, "block8 is packed");

constant float table[16] = {-1.0f, -0.7f, -0.5f, -0.4f, -0.3f, -0.2f, -0.1f, 0, 0.1f, 0.15f, 0.25f, 0.35f, 0.45f, 0.55f, 0.75f, 1};

static inline float2 unpack(uchar q) { return float2(int(q & 15) - 8, (q >> 4) - 8); }

kernel void dequantise(device const block4* in [[buffer(0)]], device float* out [[buffer(1)]],
                       uint i [[thread_position_in_grid]]) {
    device const block4& b = in[i / (BLOCK / 2)];
    const uint k = i % (BLOCK / 2);
    const float2 v = unpack(b.nibbles[k]) * float(b.scale);
    out[i * 2] = v.x;
    out[i * 2 + 1] = v.y;
}

kernel void by_table(device const uint* in, device packed_float4* out, uint i [[thread_position_in_grid]]) {
    const uchar4 q = as_type<uchar4>(in[i]);
    float4 v;
#pragma unroll
    for (short k = 0; k < 4; ++k) v[k] = table[q[k] & 0xF];
    out[i] = v;
}

kernel void rows(device const block8* w, device const float* x, device float* y, constant uint2& shape,
                 uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {
    float sum = 0;
    float part[BLOCK];
    for (uint b = lane; b < shape.x; b += 32) {
        for (int k = 0; k < BLOCK; k += 4) {
            const float4 v = *(device const float4*)(x + b * BLOCK + k);
            part[k] = v.x; part[k + 1] = v.y; part[k + 2] = v.z; part[k + 3] = v.w;
        }
        sum += w[row * shape.x + b].dot(part);
    }
    sum = simd_sum(sum);
    if (lane == 0) y[row] = sum;
}
