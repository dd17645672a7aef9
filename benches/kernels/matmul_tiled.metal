#include <metal_stdlib>
using namespace metal;

kernel void matmul_tiled(device float *c [[buffer(0)]], device const float *a [[buffer(1)]],
                         device const float *b [[buffer(2)]], constant uint &n [[buffer(3)]],
                         uint2 at [[thread_position_in_grid]],
                         uint2 in_group [[thread_position_in_threadgroup]]) {
    threadgroup float tile_a[16][16];
    threadgroup float tile_b[16][16];
    float sum = 0;
    for (uint tile = 0; tile < n; tile += 16) {
        tile_a[in_group.y][in_group.x] = a[at.y * n + tile + in_group.x];
        tile_b[in_group.y][in_group.x] = b[(tile + in_group.y) * n + at.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = 0; k < 16; k++) sum = fma(tile_a[in_group.y][k], tile_b[k][in_group.x], sum);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    c[at.y * n + at.x] = sum;
}
