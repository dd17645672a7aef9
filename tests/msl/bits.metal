// as_type (MSL 2.19): the same bits as another type of the same size.
#include <metal_stdlib>
using namespace metal;

kernel void floats_and_ints(device uint* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    uint bits = as_type<uint>(x[i]);
    float back = as_type<float>(bits ^ 0x80000000u);
    out[2 * i] = bits;
    out[2 * i + 1] = as_type<int>(back);
}
kernel void halves(device ushort* out [[buffer(0)]], device const half* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = as_type<ushort>(as_type<half>(ushort(as_type<ushort>(x[i]) ^ 0x8000)));
}
kernel void bfloats(device uint* out [[buffer(0)]], device const ushort* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = as_type<uint>(float(as_type<bfloat>(x[i]))) + as_type<ushort>(bfloat(1.0f));
}
kernel void vectors_and_scalars(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    uchar4 b = as_type<uchar4>(x[i]);
    ushort2 s = as_type<ushort2>(x[i]);
    half2 h = as_type<half2>(s);
    out[i] = as_type<uint>(b.wzyx) ^ as_type<uint>(s.yx) ^ as_type<uint>(h);
}
kernel void wide(device ulong* out [[buffer(0)]], device const ulong* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    uint2 w = as_type<uint2>(x[i]);
    ushort4 s = as_type<ushort4>(x[i]);
    out[i] = as_type<ulong>(w.yx) + as_type<ulong>(s.wzyx) + as_type<ulong>(as_type<float2>(w));
}
kernel void vectors(device uint4* out [[buffer(0)]], device const float4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = as_type<uint4>(x[i]) >> 23 & 255;
}
// The exponent trick that quantised kernels use: half bits built from integers.
kernel void built_halves(device float* out [[buffer(0)]], device const uchar* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    ushort bits = 0x6400 | x[i];
    out[i] = float(as_type<half>(bits) - 1024.0h);
}
