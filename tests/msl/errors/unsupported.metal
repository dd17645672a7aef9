#include <metal_stdlib>
using namespace metal;
kernel void good(device int* out) { out[0] = 1; }
kernel void texture(texture2d<float> t [[texture(0)]], device int* out) { out[0] = t.get_width(); }
kernel void matrix(device float* out) { simdgroup_float8x8 m; simdgroup_load(m, out); }
kernel void string(device int* out) { out[0] = "text"[0]; }
template <typename T> T identity(T x) { return x; }
kernel void templated(device int* out) { out[0] = identity(1); }
fragment float4 colour() { return unknown_in_a_fragment; }
