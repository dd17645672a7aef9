// Trigonometric functions and their inverses. Polynomials are the minimax ones of Moshier's Cephes library.

#include "common.metal"

// An angle as a number of quarter turns, of which the low two bits count, and a rest up to pi/4 in magnitude.
struct Angle {
    uint quadrant;
    float rest;
};

// For magnitudes below 48000. Half of pi in three parts: each product is fused, so only the last subtraction rounds.
Angle reduced(float x) {
    float t = fma(x, 0.636619772f, to_integer);
    float q = t - to_integer;
    float r = fma(q, -half_pi, x);
    r = fma(q, 4.371139e-8f, r);
    r = fma(q, 1.715125e-15f, r);
    return {as_type<uint>(t), r};
}

// The first of two words after a shift to the left by n < 32.
uint shifted(uint high, uint low, uint n) { return high << n | low >> 1 >> (n ^ 31); }

// For the magnitudes above: the product with 2/pi, of which only the bits that decide the quadrant and the rest are
// computed (Payne and Hanek, 1983).
Angle reduced_exactly(float x) {
    uint bits = as_type<uint>(x);
    uint mantissa = (bits & 0x007fffff) | 0x00800000;
    // Bits of 2/pi that contribute multiples of 4 are whole turns: skip them. The first word is zeros before the point.
    uint skip = (bits >> 23 & 255) - 120;
    bool four = (skip & 128) != 0, two = (skip & 64) != 0, one = (skip & 32) != 0;
    uint a = four ? 0xf534ddc0u : 0u;
    uint b = four ? 0xdb629599u : 0xa2f9836eu;
    uint c = four ? 0x3c439041u : 0x4e441529u;
    uint d = four ? 0xfe5163abu : 0xfc2757d1u;
    uint e = 0xf534ddc0u, f = 0xdb629599u, g = 0x3c439041u;
    a = two ? c : a;
    b = two ? d : b;
    c = two ? e : c;
    d = two ? f : d;
    e = two ? g : e;
    a = one ? b : a;
    b = one ? c : b;
    c = one ? d : c;
    d = one ? e : d;
    uint n = skip & 31;
    a = shifted(a, b, n);
    b = shifted(b, c, n);
    c = shifted(c, d, n);
    // The upper 64 of the product's 96 bits: 2 of quadrant, 62 of fraction.
    uint carried = mulhi(mantissa, c);
    uint low = mantissa * b + carried;
    uint high = mantissa * a + mulhi(mantissa, b) + (low < carried ? 1u : 0u);
    uint quadrant = (high + 0x20000000) >> 30;
    high -= quadrant << 30;
    // 24 bits at the top are exact as a float.
    float top = float(as_type<int>(high & ~63u));
    float rest = fma(top, 0x1p32f, float(high << 26 | low >> 6) * 0x1p6f) * (half_pi * 0x1p-62f);
    rest = abs(x) == INFINITY ? NAN : rest;
    bool negative = x < 0.0f;
    return {negative ? 0u - quadrant : quadrant, negative ? -rest : rest};
}

Angle angle_of(float x) {
    Angle angle = reduced(x);
    if (abs(x) >= 48000.0f) angle = reduced_exactly(x);
    return angle;
}

// The angle of pi times x, exactly up to the product.
Angle angle_of_pi_times(float x) {
    float a = fma(rint(x * 0.5f), -2.0f, x);
    float t = a + a + to_integer;
    return {as_type<uint>(t), fma(t - to_integer, -0.5f, a) * pi};
}

// The sine of an angle, or of the angle a quarter turn further.
float sine(Angle angle, uint quarter) {
    float r = angle.rest, z = r * r;
    float sin_tail = polynomial(z, -1.6666655e-1f, 8.332161e-3f, -1.9515296e-4f);
    float cos_tail = polynomial(z, 4.1666646e-2f, -1.3887316e-3f, 2.4433157e-5f);
    float sine = fma(sin_tail * z, r, r);
    float cosine = fma(cos_tail * z, z, fma(-0.5f, z, 1.0f));
    uint quadrant = angle.quadrant + quarter;
    uint value = as_type<uint>((quadrant & 1) != 0 ? cosine : sine);
    return as_type<float>(value ^ (quadrant << 30 & 0x80000000));
}

float tangent(Angle angle) {
    float r = angle.rest, z = r * r;
    float tail = polynomial(z, 3.3333157e-1f, 1.3338799e-1f, 5.341128e-2f, 2.4430135e-2f, 3.1199223e-3f, 9.385402e-3f);
    float tan = fma(tail * z, r, r);
    return (angle.quadrant & 1) != 0 ? -1.0f / tan : tan;
}

float sin(float x) { float y = sine(angle_of(x), 0); return x == 0.0f ? x : y; }
float cos(float x) { return sine(angle_of(x), 1); }
float tan(float x) { float y = tangent(angle_of(x)); return x == 0.0f ? x : y; }
float sinpi(float x) { return sine(angle_of_pi_times(x), 0); }
float cospi(float x) { return sine(angle_of_pi_times(x), 1); }
float tanpi(float x) { return tangent(angle_of_pi_times(x)); }

// The arc sine of a square root of z, s.
float asin_tail(float z, float s) {
    float tail = polynomial(z, 1.6666752e-1f, 7.4953003e-2f, 4.547002e-2f, 2.418131e-2f, 4.21632e-2f);
    return fma(tail * z, s, s);
}

// The arc sine of a, or for a above a half what remains to pi/2, halved.
float asin_part(float a) {
    bool large = a > 0.5f;
    float z = large ? 0.5f * (1.0f - a) : a * a;
    return asin_tail(z, large ? sqrt(z) : a);
}

float asin(float x) {
    float a = abs(x), y = asin_part(a);
    return copysign(a > 0.5f ? fma(2.0f, -y, half_pi) : y, x);
}

float acos(float x) {
    float a = abs(x), y = asin_part(a);
    float near_one = x < 0.0f ? fma(2.0f, -y, pi) : 2.0f * y;
    return a > 0.5f ? near_one : half_pi - copysign(y, x);
}

// The arc tangent of t in [0, 1], above tan(pi/8) from pi/4.
float atan_unit(float t) {
    bool far = t > 0.414213568f;
    float x = far ? (t - 1.0f) / (t + 1.0f) : t;
    float z = x * x;
    float tail = polynomial(z, -3.333295e-1f, 1.9977711e-1f, -1.3877686e-1f, 8.053744e-2f);
    float y = fma(tail * z, x, x);
    return far ? quarter_pi + y : y;
}

float atan(float x) {
    float a = abs(x);
    bool inverted = a > 1.0f;
    float y = atan_unit(inverted ? 1.0f / a : a);
    return copysign(inverted ? half_pi - y : y, x);
}

float atan2(float y, float x) {
    float a = abs(x), b = abs(y);
    float least = min(a, b), most = max(a, b);
    float ratio = least / most;
    // 0/0 is 0 and infinity over infinity is 1.
    ratio = most == 0.0f ? 0.0f : ratio;
    ratio = least == INFINITY ? 1.0f : ratio;
    float angle = atan_unit(ratio);
    angle = b > a ? half_pi - angle : angle;
    angle = as_type<int>(x) < 0 ? pi - angle : angle;
    return isnan(x) || isnan(y) ? NAN : copysign(angle, y);
}
