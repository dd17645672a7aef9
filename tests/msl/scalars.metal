// Scalar types (MSL 2.1): widths, wrapping, promotion, shifts, division, literals.
#include <metal_stdlib>
using namespace metal;

kernel void sizes(device int* out [[buffer(0)]]) {
    out[0] = sizeof(bool) * 100 + alignof(bool);
    out[1] = sizeof(char) * 100 + sizeof(uchar);
    out[2] = sizeof(short) * 100 + sizeof(ushort);
    out[3] = sizeof(int) * 100 + sizeof(uint);
    out[4] = sizeof(long) * 100 + sizeof(ulong);
    out[5] = sizeof(half) * 100 + sizeof(bfloat);
    out[6] = sizeof(float) * 100 + sizeof(size_t);
    out[7] = sizeof(int8_t) + sizeof(uint16_t) + sizeof(int32_t) + sizeof(uint64_t) + sizeof(ptrdiff_t);
    out[8] = sizeof(unsigned char) + sizeof(unsigned short) + sizeof(unsigned int) + sizeof(unsigned) + sizeof(unsigned long);
}

kernel void wraps_uchar(device uchar* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uchar a = i;
    a += 200;
    a *= 3;
    a--;
    out[i] = a;
}

kernel void wraps_char(device char* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    char a = i;
    a += 100;
    a = a * a;
    ++a;
    out[i] = -a;
}

kernel void wraps_short(device short* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    short a = i * 1000;
    a *= 37;
    a ^= 0x55;
    out[i] = ~a;
}

kernel void wraps_ushort(device ushort* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    ushort a = i * 5000;
    a -= 60000;
    ushort b = a++;
    out[i] = b + a;
}

kernel void wraps_int(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = x[i] * x[i] + x[i + 1] - (x[i] << 3);
}

kernel void wraps_long(device long* out [[buffer(0)]], device const long* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = x[i] * x[i + 1] - (x[i] >> 7) + (x[i] ^ ~x[i + 1]);
}

kernel void wraps_ulong(device ulong* out [[buffer(0)]], device const ulong* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = x[i] * 6364136223846793005ul + (x[i] >> 33 | x[i] << 31);
}

// Arithmetic on types narrower than int is done in int (C++14 4.5).
kernel void promotion(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uchar a = 250 + i % 6, b = 10;
    short s = -5;
    ushort u = 5;
    out[i] = (a + b) * 1000 + (s < u) * 100 + (~a & 1) + (-b) / 2;
}

// Between int and uint the int becomes unsigned (C++14 5, 10).
kernel void mixed_signs(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = int(i) - 16;
    uint b = 3;
    long c = a;
    out[i] = (a < b) + 2 * (a / b == 0) + 4 * (c < b) + 8 * (a >> 1 < 0) + 16 * ((a * b) % 2);
}

// The masked shift count (MSL 3.1: only the low bits of the count are used).
kernel void shift_counts(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uint one = 0x80000001u;
    int minus = -1000000;
    ulong wide = 0x8000000000000001ul;
    out[i] = (one << i) ^ (one >> i) ^ uint(minus >> i) ^ uint((wide >> i) >> 32) ^ uint(wide << i);
}

kernel void narrow_shifts(device short* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    short a = -12345;
    ushort b = 54321;
    a >>= i % 16;
    b <<= i % 16;
    out[i] = a ^ b;
}

kernel void divides_int(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], device const int* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = x[i] / y[i];
    out[2 * i + 1] = x[i] % y[i];
}

kernel void divides_uint(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], device const uint* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = x[i] / y[i];
    out[2 * i + 1] = x[i] % y[i];
}

kernel void divides_long(device long* out [[buffer(0)]], device const long* x [[buffer(1)]], device const long* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = x[i] / y[i];
    out[2 * i + 1] = x[i] % y[i];
}

kernel void divides_narrow(device short* out [[buffer(0)]], device const char* x [[buffer(1)]], device const char* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = x[i] / y[i];
    out[2 * i + 1] = uchar(x[i]) % uchar(y[i]);
}

// Any value is allowed, a fault is not (MSL 3.1).
kernel void divides_by_zero(device uint* out [[buffer(0)]], device const int* zero [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    int a = int(i) / zero[i], b = int(i) % zero[i];
    uint c = i / uint(zero[i]), d = i % uint(zero[i]);
    long e = long(i) / long(zero[i]);
    short f = short(i) / short(zero[i]);
    int lowest = as_type<int>(0x80000000u) / (zero[i] - 1);
    int4 v = int4(i) / int4(zero[i]);
    int unused = a ^ b ^ int(c) ^ int(d) ^ int(e) ^ f ^ lowest ^ v.x;
    out[i] = (unused | 1) != 0 ? i * 2 : 0;
}

kernel void literals(device long* out [[buffer(0)]]) {
    out[0] = 0x7fffffff + 0x80000000;
    out[1] = 4294967295;
    out[2] = -1u;
    out[3] = 0b1010'1010;
    out[4] = 0777;
    out[5] = 'A' + '\n' + '\x10' + '\\' + '\0';
    out[6] = 1ul << 63 >> 60;
    out[7] = INT_MIN;
    out[8] = UINT_MAX + 1ul;
    out[9] = CHAR_MAX + SHRT_MIN + USHRT_MAX;
    out[10] = LONG_MAX;
    out[11] = 5 % -3 + -5 % 3 * 10;
}

kernel void booleans(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    bool a = i & 4, b = float(i & 2), c = !i;
    bool d = a + b;
    out[i] = a + 2 * b + 4 * c + 8 * d + 16 * (a == b) + 32 * (a ^ b) + 64 * (a && !b || c) + 128 * (a & b);
}

kernel void half_arithmetic(device ushort* out [[buffer(0)]], device const half* x [[buffer(1)]], device const half* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    device half* h = (device half*)out;
    h[3 * i] = x[i] + y[i];
    h[3 * i + 1] = x[i] * y[i];
    h[3 * i + 2] = x[i] - y[i];
}

kernel void half_steps(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    half sum = 0;
    for (uint j = 0; j < i; ++j) sum += 0.1h;
    out[i] = sum;
}

// half and float: float (MSL 2.1, usual conversions).
kernel void half_with_float(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    half h = half(i) / 3;
    out[i] = h * 0.1f + (i & 1 ? h : 0.25f);
}

kernel void bfloat_arithmetic(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    bfloat a = bfloat(float(i) * 0.37f), b = bfloat(1.7f);
    bfloat c = a + b;
    out[i] = float(a * b) + float(c);
}

kernel void increments(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = i;
    int b = a++;
    int c = --a;
    float f = 0.5f;
    f++;
    uchar u = 255;
    u++;
    a += b *= 2;
    out[i] = a * 10000 + b * 100 + c * 10 + int(f * 2) + u;
}

kernel void compound_assignment(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uint a = i * 77 + 5;
    a += 3; a -= i; a *= 9; a /= 7; a %= 1000; a <<= 3; a >>= 1; a |= 0x100; a &= 0xfff; a ^= 0x5a5;
    uchar small = 3;
    small *= 80.7f;  // Computed in float, then truncated to the type of the left side.
    out[i] = a + small;
}

kernel void comma_and_conditional(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = (out[i] = 1, int(i) + 1);
    int b = i < 10 ? i < 5 ? 1 : 2 : 3;
    (i & 1 ? a : b) = 100;
    (i & 2 ? ++a : ++b) += 5;
    i ? --a : --b;
    out[i] = a * 1000 + b;
}
