#include <metal_stdlib>
using namespace metal;

kernel void histogram(device atomic_uint *bins [[buffer(0)]], device const uint *in [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(&bins[in[i] >> 24], 1, memory_order_relaxed);
}
