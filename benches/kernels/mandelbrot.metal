#include <metal_stdlib>
using namespace metal;

kernel void mandelbrot(device uint *out [[buffer(0)]], constant uint &n [[buffer(1)]],
                       uint2 at [[thread_position_in_grid]]) {
    float cx = float(at.x) / float(n) * 3.0f - 2.25f;
    float cy = float(at.y) / float(n) * 3.0f - 1.5f;
    float x = 0, y = 0;
    uint k = 0;
    while (k < 256 && x * x + y * y <= 4) {
        float next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
        k++;
    }
    out[at.y * n + at.x] = k;
}
