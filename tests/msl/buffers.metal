// Buffers (MSL 5.2.1): explicit and automatic indices, constant and device, references, structs, small types.
#include <metal_stdlib>
using namespace metal;

kernel void indices_found(device int* out, device const int* a, constant int& b, uint i [[thread_position_in_grid]], constant int* c) {
    out[i] = a[i] + b * 100 + c[1] * 1000;
}

// A buffer without an index gets the lowest free one.
kernel void indices_mixed(device const int* b [[buffer(1)]], device int* out, device const int* c, device const int* d [[buffer(3)]], uint i [[thread_position_in_grid]]) {
    out[i] = b[i] + c[i] * 10 + d[i] * 100;
}

kernel void indices_turned(constant int& b [[buffer(2)]], constant int& a [[buffer(1)]], device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = a * 10 + b;
}

constant int first_index = 1;
#define BUFFER(n) [[buffer(n)]]
kernel void indices_by_expression(device int* out BUFFER(0), constant int& a BUFFER(0 + 1), constant int& b [[buffer(first_index + 1)]]) { out[0] = a * 10 + b; }

struct Parameters {
    uint count;
    float scale;
    ushort4 steps;
    packed_half3 offset;
    bool flipped;
};
kernel void parameters(device float* out [[buffer(0)]], constant Parameters& p [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    if (i >= p.count) return;
    float v = i * p.scale + p.steps[i % 4] + float(p.offset[i % 3]);
    out[i] = p.flipped ? -v : v;
}

kernel void bytes(device uchar* out [[buffer(0)]], device const char* in [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = in[i] >> 1; }
kernel void shorts(device short* out [[buffer(0)]], device const ushort* in [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = in[i] - 40000; }
kernel void longs(device ulong* out [[buffer(0)]], device const ulong* in [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = in[i] * 3; }
kernel void bools(device bool* out [[buffer(0)]], device const bool* in [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = !in[i]; }
kernel void strided(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], constant uint2& stride [[buffer(2)]], uint2 g [[thread_position_in_grid]]) {
    out[g.y * 8 + g.x] = in[g.x * stride.x + g.y * stride.y];
}
kernel void gathers(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], device const ushort* at [[buffer(2)]], uint i [[thread_position_in_grid]]) { out[i] = in[at[i]]; }
kernel void scatters(device int* out [[buffer(0)]], device const ushort* at [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[at[i]] = i; }
kernel void in_place(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    if (i & 1) out[i] += 10;
    else out[i] *= out[i];
}
kernel void whole_vectors(device float4* out [[buffer(0)]], device const float2* in [[buffer(1)]], device const uchar3* small [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[i] = float4(in[i], in[i + 1]) + float4(float3(small[i]), 0);
}
kernel void qualified(const device int* a [[buffer(1)]], device int* __restrict out [[buffer(0)]], int device const* const b [[buffer(2)]], uint i [[thread_position_in_grid]]) { out[i] = a[i] - b[i]; }
kernel void volatiles(volatile device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = i; out[i] = out[i] + 1; }

// A missing argument: a load whose value is never used is removed.
constant bool wanted [[function_constant(0)]];
constant bool present = is_function_constant_defined(wanted) && wanted;
struct Weights { float alpha, beta; };
struct Blend {
    const float alpha;
    const float beta;
    Blend(const float a, const float b) : alpha(a), beta(b) {}
    float apply(float x, float y) const { return x * alpha + y * beta; }
};
kernel void absent(device float* out [[buffer(0)]], const constant Weights* weights [[buffer(1), function_constant(present)]],
    uint i [[thread_position_in_grid]]) {
    const Blend blend(weights->alpha, weights->beta);
    out[i] = i;
    if (present) out[i] = blend.apply(i, 1);
}
