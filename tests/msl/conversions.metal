// Conversions between scalars (MSL 8.6): truncation, rounding, NaN, ranges.
#include <metal_stdlib>
using namespace metal;

kernel void float_to_int(device int* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = int(x[i]);
}
kernel void float_to_uint(device uint* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = uint(x[i]);
}
kernel void float_to_long(device long* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = x[i];
}
kernel void float_to_short(device short* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = (short)x[i];
}
kernel void float_to_uchar(device uchar* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = static_cast<uchar>(x[i]);
}
kernel void float_to_bool(device uchar* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = bool(x[i]) ? 7 : 8;
}
kernel void float_to_half(device half* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = half(x[i]);
}
kernel void half_to_float(device float* out [[buffer(0)]], device const half* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = x[i];
}
kernel void float_to_bfloat(device bfloat* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = bfloat(x[i]);
}
kernel void bfloat_to_float(device float* out [[buffer(0)]], device const bfloat* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = float(x[i]);
}
kernel void half_to_ints(device int* out [[buffer(0)]], device const half* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = int(x[i]);
    out[2 * i + 1] = ushort(x[i]);
}
kernel void int_to_float(device float* out [[buffer(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = x[i];
    out[2 * i + 1] = uint(x[i]);
}
kernel void long_to_float(device float* out [[buffer(0)]], device const long* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = x[i];
    out[2 * i + 1] = ulong(x[i]);
}
kernel void int_to_half(device half* out [[buffer(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = half(x[i]);
}
kernel void between_integers(device long* out [[buffer(0)]], device const long* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[6 * i] = char(x[i]);
    out[6 * i + 1] = uchar(x[i]);
    out[6 * i + 2] = short(x[i]);
    out[6 * i + 3] = ushort(x[i]);
    out[6 * i + 4] = int(x[i]);
    out[6 * i + 5] = uint(x[i]);
}
kernel void implicit_in_calls(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    struct Narrow {
        static uchar of(uchar x) { return x; }
        static int back(float x) { return x; }
    };
    out[i] = Narrow::of(i * 100) * 1000 + Narrow::back(float(i) * 0.75f);
}
