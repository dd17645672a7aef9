// Vectors (MSL 2.2): constructors, components, swizzles, operators, packed vectors.
#include <metal_stdlib>
using namespace metal;

kernel void constructors(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = i;
    int4 v = int4(int2(a, 2), 3, 4);
    int4 w = int4(1, int2(a), 4);
    int4 x = int4(int3(5, 6, a), 7);
    int4 y = int4(a, int3(8));
    int2 z{a, 9};
    int3 b = {1, a, 2};
    vec<int, 3> c(z, 10);
    int4 sum = v + 10 * w + 100 * x + 1000 * y + 10000 * int4(z, z);
    out[i] = sum.x + 3 * sum.y + 7 * sum.z + 11 * sum.w + b.y + c.z + int2(b.xz).y;
}

kernel void components(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int4 v = int4(1, 2, 3, 4) * int(i);
    v.x += 5;
    v.g = v.r * 2;
    v[2] = v.b - v.a;
    v[i % 4] += 100;
    int sum = 0;
    for (int j = 0; j < 4; ++j) sum = sum * 3 + v[j];
    out[i] = sum;
}

kernel void swizzles(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int4 v = int4(i, i + 1, i + 2, i + 3);
    int4 w = v.wzyx + v.xxzz * 10 + v.rgba * 100;
    v.zx = w.xy;
    v.yw += v.wy;
    w.xyz = v.zzz;
    int2 t = v.xyzw.zw.yx;
    out[i] = v.x + 2 * v.y + 3 * v.z + 4 * v.w + 5 * w.y + 6 * w.w + 7 * t.x - t.y;
}

// Both sides are the same vector: all components are read before any is written.
kernel void swizzle_swaps(device int4* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int4 v = int4(i, i * 2, i * 3, i * 5);
    v.xyzw = v.yzwx;
    v.xw = v.wx;
    out[i] = v;
}

kernel void swizzles_in_memory(device float4* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i].xy = float2(i, i + 1);
    out[i].w = 7;
    out[i].z = out[i].y + out[i].w;
    out[i].wx += out[i].xw;
}

kernel void vector_operators(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int3 a = int3(i, 7, -3), b = int3(2, i + 1, 5);
    int3 c = a + b * 2 - a / b + a % b;
    c ^= a & b | 1;
    c <<= 2;
    c = -c + ~a + (b >> 1);
    c++;
    --c;
    c += 3;
    out[3 * i] = c.x;
    out[3 * i + 1] = c.y;
    out[3 * i + 2] = c.z;
}

kernel void vector_comparisons(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int4 a = int4(i, 1, 20, 8), b = int4(10, i, i, 8);
    bool4 less = a < b, same = a == b;
    bool4 either = less || same, both = less & !same;
    int4 picked = less ? a : b;
    out[i] = int(less.x) + 2 * less.y + 4 * same.z + 8 * same.w + 16 * any(either) + 32 * all(both)
        + 64 * (picked.x + picked.y + picked.z);
}

// Shifts of narrow vectors mask the count by the width of the component (MSL 3.1).
kernel void vector_shifts(device uchar4* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uchar4 v = uchar4(0x81, 3, 255, 1);
    uchar4 count = uchar4(i);
    out[i] = (v << (count & uchar4(7))) ^ (v >> uchar4(1));
}

kernel void narrow_vectors_wrap(device short4* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uchar4 u = uchar4(200, 100, 50, i);
    u += u;  // Vectors of narrow integers are not promoted.
    short4 s = short4(u) * short4(300);
    out[i] = s;
}

kernel void vector_conversions(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float4 f = float4(int4(1, 2, 3, -4)) * 0.75f + float(i);
    int4 t = int4(f);
    half4 h = half4(f);
    uchar4 u = uchar4(uint4(i * 100, i, 300, 2));
    float4 back = float4(h) + float4(u);
    bool4 b = bool4(t);
    out[i] = t.x + t.y * 10 + t.w * 100 + int(back.x + back.z) * 1000 + (b.x ? 1 : 0);
}

kernel void scalar_with_vector(device float4* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float4 v = 2;
    v = 1.0f / (v + float(i)) + 3 * v;
    v *= 0.5f;
    v -= 1;
    out[i] = v;
}

kernel void vectors_of_three(device float* out [[buffer(0)]], device const float3* v [[buffer(1)]], device const packed_float3* p [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[i] = v[i].x + 10 * v[i].y + 100 * v[i].z + 1000 * p[i].x + 10000 * p[i].y + 100000 * p[i][2];
}

kernel void packed_vectors(device packed_float3* out [[buffer(0)]], device const packed_uchar4* u [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    packed_float3 p = float3(u[i].x, u[i][1], i);
    p.z += 0.5f;
    p[0] = p[0] * 2;
    float3 q = p;
    out[i] = q.zyx + p * 2.0f;
    out[i].y -= 1;
}

kernel void sizes_and_alignments(device int* out [[buffer(0)]]) {
    out[0] = sizeof(float2) * 100 + alignof(float2);
    out[1] = sizeof(float3) * 100 + alignof(float3);
    out[2] = sizeof(half3) * 100 + alignof(half3);
    out[3] = sizeof(char3) * 100 + alignof(char3);
    out[4] = sizeof(ulong4) * 100 + alignof(ulong4);
    out[5] = sizeof(bool4) * 100 + alignof(bool4);
    out[6] = sizeof(packed_float3) * 100 + alignof(packed_float3);
    out[7] = sizeof(packed_half4) * 100 + alignof(packed_half4);
    out[8] = sizeof(packed_uchar3) * 100 + alignof(packed_uchar3);
    out[9] = sizeof(float3x3) * 100 + alignof(float3x3);
    out[10] = sizeof(half2x4) * 100 + alignof(half2x4);
    out[11] = sizeof(bfloat4) * 100 + alignof(bfloat2);
}

kernel void half_and_bfloat_vectors(device float* out [[buffer(0)]], device const half4* h [[buffer(1)]], device const bfloat4* b [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    half4 x = h[i] * 2.0h + h[i].wzyx;
    bfloat4 y = b[i] + b[i];
    out[i] = float(x.x + x.y) + float(y.z);
}

kernel void vectors_of_longs(device long2* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    long2 v = long2(long(i) << 33, -1);
    v = v * 3 + v.yx;
    out[i] = v >> 1;
}

float3 scaled(float3 v, float by) { return v * by; }
float3 scaled(float3 v, float3 by) { return v * by; }
kernel void vectors_as_arguments(device float4* out [[buffer(0)]], constant float4& offset [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float3 v = scaled(float3(i, 1, 2), 3);
    v = scaled(v, v.zxy);
    out[i] = float4(v, 0) + offset;
}

// Vectors of 8 and 16 components have elements and arithmetic.
template <typename T> using eight = vec<T, 8>;
template <typename T> T last_of(const thread eight<T>& v) { return v[7]; }
template <typename T, int N> int length_of(vec<T, N>) { return N; }
kernel void wide(device float* out [[buffer(0)]], device const vec<half, 8>* in [[buffer(1)]]) {
    vec<float, 8> sum(1.0f);
    static_assert(sizeof(vec<half, 8>) == 16 && alignof(vec<float, 16>) == 64, "");
    vec<half, 8> a = in[0], b = in[1];
    a[7] = 5;
    sum += vec<float, 8>(a * b) * 2.0f;
    for (int i = 0; i < 8; ++i) { out[i] = sum[i]; }
    out[8] = last_of(a) * 10 + length_of(a);
}
