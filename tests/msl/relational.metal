// Relational functions and select (MSL 6.4).
#include <metal_stdlib>
using namespace metal;

// Without NaN and infinity, whose behaviour with fast math is undefined (MSL 8.1).
#pragma METAL fp math_mode(safe)

kernel void kinds(device uint* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = isnan(x[i]) + 2 * isinf(x[i]) + 4 * isfinite(x[i]) + 8 * isnormal(x[i]) + 16 * signbit(x[i]);
}
kernel void kinds_of_halves(device uint* out [[buffer(0)]], device const half* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = isnan(x[i]) + 2 * isinf(x[i]) + 4 * isfinite(x[i]) + 8 * isnormal(x[i]) + 16 * signbit(x[i]);
}
kernel void order(device uint* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float a = x[i], b = x[i + 1];
    out[i] = (a < b) + 2 * (a <= b) + 4 * (a == b) + 8 * (a != b) + 16 * (a > b) + 32 * (a >= b) + 64 * isordered(a, b) + 128 * isunordered(a, b) + 256 * !(a < b);
}
kernel void of_vectors(device uint* out [[buffer(0)]], device const float4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    bool4 n = isnan(x[i]), s = signbit(x[i]);
    out[i] = any(n) + 2 * all(s) + 4 * any(isinf(x[i])) + 8 * all(isfinite(x[i])) + 16 * uint(s.z) + 32 * any(x[i] > 1.0f) + 64 * all(x[i] == x[i]);
}
kernel void selects(device float4* out [[buffer(0)]], device const float4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float4 a = x[i], b = float4(1, 2, 3, 4);
    out[2 * i] = select(a, b, a > 0.5f);
    out[2 * i + 1] = float4(select(1.0f, 2.0f, a.x > a.y), select(3, 4, a.z < 0), select(a.xy, b.zw, bool2(i & 1, true)));
}
kernel void selects_integers(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    int3 v = select(int3(x[i]), int3(-1, -2, -3), bool3(x[i] > 0, x[i] & 1, false));
    ushort u = select(ushort(5), ushort(6), x[i] == 0);
    out[i] = v.x + v.y * 1000 + v.z * 7 + u + (all(bool2(x[i], 1)) ? 100000 : 0) + (any(bool2(false, x[i] < -100)) ? 200000 : 0);
}
