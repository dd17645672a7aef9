#include <metal_stdlib>
using namespace metal;
kernel void good(device int* out) { out[0] = 1; }
kernel void samples(tensor<device float, int> t, device int* out) { out[0] = t.get_rank(); }
struct Images { texture2d<float> image; int count; };
kernel void images(constant Images& all [[buffer(0)]], device int* out) { out[0] = all.image.get_width(); }
kernel void adds(texture2d<uint, access::read_write> t) { t.atomic_min(uint2(0), ulong4(1)); }
kernel void matrix(device float* out) { simdgroup_float8x8 m; simdgroup_load(m, out); }
kernel void string(device int* out) { out[0] = "text"[0]; }
template <typename T> T identity(T x) { return x; }
kernel void templated(device int* out) { out[0] = identity(1); }
fragment float4 colour() { return unknown_in_a_fragment; }
