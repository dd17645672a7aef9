// The integer functions (MSL 6.3), by type.
#include <metal_stdlib>
using namespace metal;

#define UNARY(type) device type* out [[buffer(0)]], device const type* x [[buffer(1)]], uint i [[thread_position_in_grid]]
#define BINARY(type) device type* out [[buffer(0)]], device const type* x [[buffer(1)]], device const type* y [[buffer(2)]], uint i [[thread_position_in_grid]]

#define COUNTS(name, type)                    \
    kernel void name(UNARY(type)) {           \
        out[4 * i] = popcount(x[i]);          \
        out[4 * i + 1] = clz(x[i]);           \
        out[4 * i + 2] = ctz(x[i]);           \
        out[4 * i + 3] = reverse_bits(x[i]);  \
    }
COUNTS(counts_uint, uint)
COUNTS(counts_int, int)
COUNTS(counts_uchar, uchar)
COUNTS(counts_short, short)
COUNTS(counts_ulong, ulong)

#define SATURATING(name, type)                \
    kernel void name(BINARY(type)) {          \
        out[4 * i] = addsat(x[i], y[i]);      \
        out[4 * i + 1] = subsat(x[i], y[i]);  \
        out[4 * i + 2] = hadd(x[i], y[i]);    \
        out[4 * i + 3] = rhadd(x[i], y[i]);   \
    }
SATURATING(saturating_int, int)
SATURATING(saturating_uint, uint)
SATURATING(saturating_char, char)
SATURATING(saturating_uchar, uchar)
SATURATING(saturating_short, short)
SATURATING(saturating_long, long)
SATURATING(saturating_ulong, ulong)

#define PRODUCTS(name, type)                           \
    kernel void name(BINARY(type)) {                   \
        out[3 * i] = mulhi(x[i], y[i]);                \
        out[3 * i + 1] = madhi(x[i], y[i], x[i]);      \
        out[3 * i + 2] = rotate(x[i], y[i]);           \
    }
PRODUCTS(products_int, int)
PRODUCTS(products_uint, uint)
PRODUCTS(products_short, short)
PRODUCTS(products_uchar, uchar)
PRODUCTS(products_long, long)
PRODUCTS(products_ulong, ulong)

kernel void of_24_bits(BINARY(int)) {
    int a = x[i] << 8 >> 8, b = y[i] << 8 >> 8;
    out[i] = mad24(a, b, 77) ^ mul24(b, a);
}
kernel void of_24_bits_unsigned(BINARY(uint)) {
    out[i] = mad24(x[i] & 0xffffff, y[i] & 0xffffff, 77u) ^ mul24(x[i] >> 8, y[i] >> 8);
}
kernel void saturated_products(BINARY(int)) { out[i] = madsat(x[i], y[i], 1000); }
kernel void saturated_products_unsigned(BINARY(uint)) { out[i] = madsat(x[i], y[i] >> 16, 1000u); }

kernel void differences(device uint* out [[buffer(0)]], device const int* x [[buffer(1)]], device const int* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[3 * i] = absdiff(x[i], y[i]);
    out[3 * i + 1] = absdiff(uint(x[i]), uint(y[i]));
    out[3 * i + 2] = abs(x[i]);
}
kernel void fields(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], device const uint* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    uint offset = y[i] % 24, bits = y[i] / 32 % 9;
    out[3 * i] = extract_bits(x[i], offset, bits);
    out[3 * i + 1] = extract_bits(int(x[i]), offset, bits);
    out[3 * i + 2] = insert_bits(x[i], y[i], offset, bits);
}
kernel void whole_fields(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = extract_bits(x[i], 0, 32) ^ insert_bits(x[i], 5u, 0, 32) ^ extract_bits(uchar(x[i]), 3, 5);
}
kernel void ordered(BINARY(int)) {
    int z = x[i] ^ y[i];
    out[6 * i] = min(x[i], y[i]);
    out[6 * i + 1] = max(x[i], y[i]);
    out[6 * i + 2] = min3(x[i], y[i], z);
    out[6 * i + 3] = max3(x[i], y[i], z);
    out[6 * i + 4] = median3(x[i], y[i], z);
    out[6 * i + 5] = clamp(x[i], min(y[i], z), max(y[i], z));
}
kernel void ordered_unsigned(BINARY(ulong)) {
    out[2 * i] = min(x[i], y[i]) ^ max3(x[i], y[i], 1ul << 63);
    out[2 * i + 1] = clamp(x[i], 100ul, y[i] | 100ul);
}
kernel void of_vectors(device int4* out [[buffer(0)]], device const int4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    int4 v = x[i];
    out[i] = popcount(v) + clz(v) * 100 + max(v, v.wzyx) - clamp(v, -5, 5) + mulhi(v, int4(1 << 20)) + abs(v);
}
// An index is the sum modulo 256, not the sum.
kernel void narrow_sums_wrap(device uint* out [[buffer(0)]], device const uchar4* x [[buffer(1)]], device const uint* t [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    uchar4 v = x[i] + uchar4(200);
    uchar by = 9;
    out[i] = t[v.x] + t[(x[i] >> uchar4(by)).y];
}
kernel void of_narrow_vectors(device uchar4* out [[buffer(0)]], device const uchar4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = addsat(x[i], x[i].wzyx) ^ absdiff(x[i], x[i].yzwx) ^ rotate(x[i], uchar4(3)) ^ hadd(x[i], uchar4(7));
}
