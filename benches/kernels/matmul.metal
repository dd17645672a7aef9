#include <metal_stdlib>
using namespace metal;

kernel void matmul(device float *c [[buffer(0)]], device const float *a [[buffer(1)]],
                   device const float *b [[buffer(2)]], constant uint &n [[buffer(3)]],
                   uint2 at [[thread_position_in_grid]]) {
    float sum = 0;
    for (uint k = 0; k < n; k++) sum = fma(a[at.y * n + k], b[k * n + at.x], sum);
    c[at.y * n + at.x] = sum;
}
