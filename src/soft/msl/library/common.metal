// Parts that several files of the library share. Only operations of the IR and exact constants, so that all back
// ends produce the same bits.

using namespace metal;

// 1.5 * 2^23: a sum with it is rounded to an integer, which is in the sum's low bits.
constant float to_integer = 0x1.8p23f;

constant float ln_2 = 0.69314718f;
constant float log2_e = 1.4426950f;
constant float pi = 3.14159265f;
constant float half_pi = 1.57079633f;
constant float quarter_pi = 0.785398163f;

// c0 + c1 x + c2 x^2 …
float polynomial(float, float c) { return c; }
template <typename... C> float polynomial(float x, float c, C... rest) { return fma(polynomial(x, rest...), x, c); }

// e to the power of r, up to half of ln 2 in magnitude, after Taylor.
float exp_near_zero(float r) {
    float tail = polynomial(r, 1.0f / 2, 1.0f / 6, 1.0f / 24, 1.0f / 120, 1.0f / 720, 1.0f / 5040);
    return fma(tail, r * r, r) + 1.0f;
}

// y times two to the power of the integer in the low bits of to_integer + k, from -252 to 254, rounded once; y is near 1.
float scaled(float y, uint bits) {
    uint half_of_it = bits >> 1 << 23;
    uint rest = (bits << 23) - half_of_it;
    return as_type<float>(as_type<uint>(y) + half_of_it) * as_type<float>(rest + 0x3f800000);
}

// e to the power of x, from -110 to 91, times two to the power of extra.
float exp_times(float x, int extra) {
    float t = fma(x, log2_e, to_integer);
    float k = t - to_integer;
    // ln 2 in two parts, the first so short that its product with k is exact.
    float r = fma(k, -0x1.62e4p-1f, x);
    r = fma(k, -1.4286068e-6f, r);
    return scaled(exp_near_zero(r), as_type<uint>(t) + uint(extra));
}
