// Entry points: attributes, implicit indices, function constants, stages that are not kernels.
#include <metal_stdlib>
using namespace metal;

constant int mode [[function_constant(0)]];
constant bool extra [[function_constant(1)]];
constant bool has_extra = is_function_constant_defined(extra) && extra;
constant int steps = is_function_constant_defined(mode) ? mode : 3;

struct Arguments { uint count; packed_float3 origin; float scale; };

namespace inner {
[[kernel, max_total_threads_per_threadgroup(128)]]
void scale(device float* data [[buffer(2)]], constant Arguments& arguments, device const int* offsets,
           uint3 where [[thread_position_in_grid]], uint3 group [[threadgroup_position_in_grid]],
           uint3 inside [[thread_position_in_threadgroup]], ushort3 size [[threads_per_threadgroup]],
           uint lane [[thread_index_in_simdgroup]], uint simd [[simdgroup_index_in_threadgroup]],
           uint width [[threads_per_simdgroup]]) {
    const uint i = where.x + where.y * size.x + (group.z * inside.z) * (simd * width + lane);
    if (i >= arguments.count) return;
    data[i + offsets[0]] *= arguments.scale + arguments.origin.y + float3(arguments.origin).z;
}
}

kernel void specialised(device float* a [[buffer(0)]], device float* b [[buffer(1), function_constant(has_extra)]],
                        uint i [[thread_position_in_grid]]) {
    for (int k = 0; k < steps; ++k) a[i] += k;
    if (has_extra) b[i] = a[i];
}

struct Vertex { float4 position [[position]]; float2 uv; };

vertex Vertex corner(uint id [[vertex_id]], device const float2* points [[buffer(0)]]) {
    Vertex v;
    v.position = float4(points[id], 0, 1);
    v.uv = points[id];
    return v;
}

fragment float4 colour(Vertex v [[stage_in]], texture2d<float> image [[texture(0)]], sampler s [[sampler(0)]]) {
    return image.sample(s, v.uv);
}

kernel void copy_texture(texture2d<float, access::read> from [[texture(0)]], device float4* to [[buffer(0)]],
                         uint2 p [[thread_position_in_grid]]) {
    to[p.x] = from.read(p);
}
