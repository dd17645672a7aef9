// Atomic functions of textures (MSL 6.12): of integers of 32 bits, and with access::read_write.
#include <metal_stdlib>
using namespace metal;
kernel void floats(texture2d<float, access::read_write> t) { t.atomic_fetch_add(uint2(0), float4(1)); }
kernel void reads(texture2d<uint, access::read> t) { t.atomic_fetch_add(uint2(0), uint4(1)); }
kernel void cubes(texturecube<uint> t) { t.atomic_load(uint2(0), 0); }
kernel void fewer(texture2d<int, access::read_write> t) { t.atomic_compare_exchange_weak(uint2(0), int4(1)); }
