#include <metal_stdlib>
using namespace metal;

kernel void sum(device uint *partial [[buffer(0)]], device const uint *in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint lane [[thread_position_in_threadgroup]],
                uint group [[threadgroup_position_in_grid]]) {
    threadgroup uint shared[256];
    shared[lane] = in[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half_size = 128; half_size > 0; half_size /= 2) {
        if (lane < half_size) shared[lane] += shared[lane + half_size];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (lane == 0) partial[group] = shared[0];
}
