// Exponentials, logarithms and powers.

#include "common.metal"

// Minimum and maximum drop a NaN; it comes back at the end.
float exp(float x) {
    float y = exp_times(min(max(x, -110.0f), 91.0f), 0);
    return isnan(x) ? x : y;
}

float exp2(float x) {
    float a = min(max(x, -155.0f), 130.0f);
    float t = a + to_integer;
    float y = scaled(exp_near_zero((a - (t - to_integer)) * ln_2), as_type<uint>(t));
    return isnan(x) ? x : y;
}

float exp10(float x) {
    float a = min(max(x, -47.0f), 40.0f);
    float t = fma(a, 3.32192809f, to_integer);
    float k = t - to_integer;
    float r = fma(k, -0x1.3441p-2f, a);
    r = fma(k, -7.90342e-7f, r);
    // ln 10 in two parts: the product of one rounding alone would cost half a unit.
    r = fma(r, 2.30258512f, r * -3.197533e-8f);
    float y = scaled(exp_near_zero(r), as_type<uint>(t));
    return isnan(x) ? x : y;
}

// x = 2^exponent (1 + f), with 1 + f between the square roots of 1/2 and 2, for positive finite x.
struct Split {
    float exponent, f;
    explicit Split(float x) {
        bool tiny = x < 0x1p-126f;
        x *= tiny ? 0x1p23f : 1.0f;
        // Subtracting sqrt(1/2) first makes the exponent step there.
        uint bits = as_type<uint>(x) - 0x3f3504f3;
        exponent = float(as_type<int>(bits) >> 23) - (tiny ? 23.0f : 0.0f);
        f = as_type<float>((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    }
};

// ln(1 + f) - f, by the minimax polynomial of Moshier's Cephes library.
float log_rest(float f) {
    float cubic = polynomial(f, 0.3333333f, -2.4999994e-1f, 2.0000715e-1f, -1.6668058e-1f, 1.4249323e-1f,
                             -1.2420141e-1f, 1.1676999e-1f, -1.151461e-1f, 7.0376836e-2f);
    float square = f * f;
    return fma(cubic * f, square, -0.5f * square);
}

// y, or the logarithm of an x that is not a positive finite number.
float log_special(float x, float y) {
    y = x == INFINITY ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

float log(float x) {
    Split s(x);
    float rest = fma(s.exponent, -2.1219444e-4f, log_rest(s.f));
    return log_special(x, fma(s.exponent, 0.6933594f, s.f + rest));
}

float log2(float x) {
    Split s(x);
    float rest = log_rest(s.f);
    // log2(e) is 1 plus a part; the large products are then exact.
    float part = 0.442695041f;
    return log_special(x, fma(rest, part, s.f * part) + rest + s.f + s.exponent);
}

float log10(float x) {
    Split s(x);
    float log10_e = 0.434294482f;
    float small = fma(s.f, log10_e, log_rest(s.f) * log10_e);
    return log_special(x, fma(s.exponent, 0x1.3441p-2f, fma(s.exponent, 7.90342e-7f, small)));
}

// x to the power of y for positive finite x: 2^(y log2 x), the exponent as a sum of two floats.
float power(float x, float y) {
    Split s(x);
    // log2(1 + f) = c artanh q with q = f / (2 + f), the quotient and its rounding error.
    float g = 2.0f + s.f;
    float inverse = 1.0f / g;
    float q = s.f * inverse;
    float error = fma(-q, s.f - (g - 2.0f), fma(-q, g, s.f)) * inverse;
    float c = 2.88539004f, c_rest = 3.8519259e-8f;
    float z = q * q;
    float series = polynomial(z, c / 3, c / 5, c / 7, c / 9, c / 11) * z;
    float first = q * c;
    float rest = fma(q, c, -first);
    rest = fma(q, series, fma(error, c, fma(q, c_rest, rest)));
    float sum = s.exponent + first;
    rest += first - (sum - s.exponent);
    float high = sum + rest;
    float low = rest - (high - sum);
    // A larger y decides between 0, 1 and infinity no other way, and no product overflows.
    y = min(max(y, -0x1p40f), 0x1p40f);
    float product = y * high;
    float product_rest = fma(y, low, fma(y, high, -product));
    product = min(max(product, -160.0f), 140.0f);
    product_rest = min(max(product_rest, -1.0f), 1.0f);
    float t = product + to_integer;
    float k = t - to_integer;
    return scaled(exp_near_zero(((product - k) + product_rest) * ln_2), as_type<uint>(t));
}

// The same, zero and infinity included.
float power_of_any(float x, float y) {
    float limit = (x < 1.0f ? -y : y) > 0.0f ? INFINITY : 0.0f;
    float normal = power(x, y);
    return x == 0.0f || x == INFINITY ? limit : normal;
}

float pow(float x, float y) {
    float a = abs(x);
    bool whole = trunc(y) == y;
    float half_of_y = y * 0.5f;
    // Above 2^24 every float is even.
    bool odd = whole && trunc(half_of_y) != half_of_y;
    uint sign = odd ? as_type<uint>(x) & 0x80000000 : 0u;
    float result = as_type<float>(as_type<uint>(power_of_any(a, y)) ^ sign);
    bool undefined = x < 0.0f && a != INFINITY && !whole;
    result = undefined || isnan(x) || isnan(y) ? NAN : result;
    // An infinite exponent: 1 to any power is 1, of -1 too.
    return y == 0.0f || x == 1.0f || (x == -1.0f && abs(y) == INFINITY) ? 1.0f : result;
}

float powr(float x, float y) {
    bool undefined = y == 0.0f ? x == 0.0f || x == INFINITY : x == 1.0f && abs(y) == INFINITY;
    float result = power_of_any(x, y);
    return undefined || !(x >= 0.0f) || isnan(y) ? NAN : result;
}

// One over the square root: the quotient of two rounded operations, and a step of Newton's with its exact error. The
// result is correctly rounded for every float.
float rsqrt(float x) {
    float y = 1.0f / sqrt(x);
    float product = x * y;
    float error = fma(fma(x, y, -product), y, fma(product, y, -1.0f));
    float better = fma(y * error, fma(error, 0.375f, -0.5f), y);
    // Of zero and infinity there is no error to compute.
    return isnan(error) ? y : better;
}
