// Rounding, remainders and the parts of numbers. All results are exact, those of ldexp correctly rounded.

#include "common.metal"

float round(float x) {
    float whole = trunc(x);
    // The difference is exact, so ties are recognised.
    float away = abs(x - whole) >= 0.5f ? 1.0f : 0.0f;
    return copysign(abs(whole) + away, x);
}

// Neither zero, nor infinite, nor NaN.
bool has_parts(float x) { return abs(x) > 0.0f && abs(x) < INFINITY; }

// The number, a denormal one scaled by 2^24.
float normalised(float x) { return abs(x) < 0x1p-126f ? x * 0x1p24f : x; }

float mantissa_of(float x) { return as_type<float>((as_type<uint>(normalised(x)) & 0x807fffff) | 0x3f000000); }

int exponent_of(float x) {
    int bits = as_type<int>(abs(normalised(x))) >> 23;
    return bits - (abs(x) < 0x1p-126f ? 150 : 126);
}

float mantissa(float x) { return has_parts(x) ? mantissa_of(x) : x; }

int exponent(float x) { return has_parts(x) ? exponent_of(x) : 0; }

int ilogb(float x) {
    int special = x == 0.0f ? (int)0x80000000 : 0x7fffffff;
    return has_parts(x) ? exponent_of(x) - 1 : special;
}

// In two steps, of which the first is exact: the mantissa is far from denormal numbers.
float ldexp(float x, int k) {
    int exponent = min(max(exponent_of(x) + min(max(k, -400), 400), -200), 200);
    int first = exponent >> 1, second = exponent - first;
    float y = mantissa_of(x) * as_type<float>((first + 127) << 23) * as_type<float>((second + 127) << 23);
    return has_parts(x) ? y : x;
}

// Long division, at most 24 bits of the quotient at a time.
float fmod(float x, float y) {
    float rest = abs(x), b = abs(y);
    bool defined = b > 0.0f && rest < INFINITY;
    // A denormal divisor has too few bits; this multiple of it is normal.
    float normal = b < 0x1p-126f ? b * 0x1p24f : b;
    while (defined && rest >= b) {
        int distance = int(as_type<uint>(rest) >> 23) - int(as_type<uint>(normal) >> 23) - 22;
        float multiple = as_type<float>(as_type<int>(normal) + (max(distance, 0) << 23));
        float step = rest < normal ? b : multiple;
        // The quotient may be rounded up to the next integer; the remainder is exact in any case.
        rest = fma(-trunc(rest / step), step, rest);
        rest = rest < 0.0f ? rest + step : rest;
    }
    return defined ? copysign(rest, x) : NAN;
}
