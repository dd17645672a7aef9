// Packing and unpacking (MSL 6.14).
#include <metal_stdlib>
using namespace metal;

kernel void unpacked_bytes(device float4* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[4 * i] = unpack_unorm4x8_to_float(x[i]);
    out[4 * i + 1] = unpack_snorm4x8_to_float(x[i]);
    out[4 * i + 2] = unpack_unorm10a2_to_float(x[i]);
    out[4 * i + 3] = unpack_snorm10a2_to_float(x[i]);
}
kernel void unpacked_shorts(device float2* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = unpack_unorm2x16_to_float(x[i]);
    out[2 * i + 1] = unpack_snorm2x16_to_float(x[i]);
}
kernel void packed(device uint* out [[buffer(0)]], device const float4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[5 * i] = pack_float_to_unorm4x8(x[i]);
    out[5 * i + 1] = pack_float_to_snorm4x8(x[i]);
    out[5 * i + 2] = pack_float_to_unorm2x16(x[i].xy);
    out[5 * i + 3] = pack_float_to_snorm2x16(x[i].zw);
    out[5 * i + 4] = pack_float_to_unorm10a2(x[i]) ^ pack_float_to_snorm10a2(x[i]);
}
kernel void round_trips(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    uint a = pack_float_to_unorm4x8(unpack_unorm4x8_to_float(x[i]));
    uint b = pack_float_to_unorm2x16(unpack_unorm2x16_to_float(x[i]));
    uint c = pack_half_to_unorm4x8(unpack_unorm4x8_to_half(x[i]));
    uint d = pack_float_to_unorm10a2(unpack_unorm10a2_to_float(x[i]));
    ushort e = pack_float_to_unorm565(unpack_unorm565_to_float(ushort(x[i])));
    uint f = pack_float_to_srgb_unorm4x8(unpack_unorm4x8_srgb_to_float(x[i]));
    ushort g = pack_half_to_unorm565(unpack_unorm565_to_half(ushort(x[i])));
    uint h = pack_half_to_unorm10a2(unpack_unorm10a2_to_half(x[i] & 0xc01803ff));
    out[i] = (a ^ x[i]) | (b ^ x[i]) | (c ^ x[i]) | (d ^ x[i]) | (e ^ (x[i] & 0xffff)) | (f ^ x[i]) | (g ^ (x[i] & 0xffff)) | (h ^ (x[i] & 0xc01803ff));
}
// The conversion of MSL 8.7.7; alpha is linear.
kernel void unpacked_srgb(device float4* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = unpack_unorm4x8_srgb_to_float(x[i]);
}
kernel void packed_srgb(device uint* out [[buffer(0)]], device const half4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = pack_half_to_srgb_unorm4x8(x[i]);
}
