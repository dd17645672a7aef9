// Common and geometric functions (MSL 6.2, 6.8).
#include <metal_stdlib>
using namespace metal;

kernel void clamps(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[4 * i] = clamp(x[i], -1.0f, 2.0f);
    out[4 * i + 1] = saturate(x[i]);
    out[4 * i + 2] = sign(x[i]);
    out[4 * i + 3] = step(0.5f, x[i]);
}
kernel void mixes(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = mix(10.0f, 20.0f, x[i]);
    out[2 * i + 1] = smoothstep(-1.0f, 3.0f, x[i]);
}
kernel void of_vectors(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float3 v = float3(x[i], x[i + 1], x[i + 2]);
    float3 a = mix(v, float3(1, 2, 3), 0.25f), b = mix(v, float3(4), float3(0, 0.5f, 1));
    float3 c = clamp(v, 0.0f, 1.0f) + sign(v) + step(float3(0, 1, 2), v) + saturate(v * 0.5f);
    out[3 * i] = a.x + a.y + a.z;
    out[3 * i + 1] = b.x + b.y + b.z;
    out[3 * i + 2] = c.x + 2 * c.y + 4 * c.z;
}
kernel void of_halves(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    half h = half(x[i]);
    half2 v = clamp(half2(h, -h), -1.0h, 1.0h);
    out[i] = saturate(h) + sign(h) * 2 + v.x * 4 + v.y * 8 + step(0.25h, h);
}

#define VECTORS device float* out [[buffer(0)]], device const packed_float3* x [[buffer(1)]], uint i [[thread_position_in_grid]]
kernel void products(VECTORS) {
    float3 a = x[i], b = x[i + 1];
    float3 c = cross(a, b);
    out[4 * i] = dot(a, b);
    out[4 * i + 1] = c.x;
    out[4 * i + 2] = c.y;
    out[4 * i + 3] = c.z;
}
kernel void lengths(VECTORS) {
    float3 a = x[i], b = x[i + 1];
    out[4 * i] = length(a);
    out[4 * i + 1] = distance(a, b);
    out[4 * i + 2] = length_squared(a) + distance_squared(a, b);
    out[4 * i + 3] = length(float2(a.xy)) + length(float4(a, 2));
}
kernel void units(VECTORS) {
    float3 n = normalize(float3(x[i]));
    out[3 * i] = n.x;
    out[3 * i + 1] = n.y;
    out[3 * i + 2] = n.z;
}
kernel void reflections(VECTORS) {
    float3 a = x[i], n = float3(0.6f, 0, 0.8f);
    float3 r = reflect(a, n), f = faceforward(a, n, float3(x[i + 1]));
    out[6 * i] = r.x; out[6 * i + 1] = r.y; out[6 * i + 2] = r.z;
    out[6 * i + 3] = f.x; out[6 * i + 4] = f.y; out[6 * i + 5] = f.z;
}
kernel void refractions(device float* out [[buffer(0)]], device const float* angle [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float2 in = float2(precise::sin(angle[i]), -precise::cos(angle[i]));
    float2 r = refract(in, float2(0, 1), 1.5f);
    out[2 * i] = r.x;
    out[2 * i + 1] = r.y;
}
