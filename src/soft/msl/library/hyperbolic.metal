// Hyperbolic functions and their inverses. Polynomials are the minimax ones of Moshier's Cephes library.

#include "common.metal"

// Half of e to the power of a; a is not negative.
float half_exp(float a) { return exp_times(min(a, 91.0f), -1); }

float sinh(float x) {
    float a = abs(x), z = a * a;
    float e = half_exp(a);
    float tail = polynomial(z, 1.6666716e-1f, 8.330284e-3f, 2.0372191e-4f);
    return copysign(a > 1.0f ? e - 0.25f / e : fma(tail * z, a, a), x);
}

float cosh(float x) {
    float e = half_exp(abs(x));
    float y = e + 0.25f / e;
    return isnan(x) ? x : y;
}

float tanh(float x) {
    float a = abs(x), z = a * a;
    float far = 1.0f - 1.0f / (half_exp(a + a) + 0.5f);
    float tail = polynomial(z, -0.3333328f, 1.3331442e-1f, -5.3739715e-2f, 2.063909e-2f, -5.704989e-3f);
    return copysign(a > 0.625f ? far : fma(tail * z, a, a), x);
}

// The logarithm of a value, or of a itself and ln 2 where the value would lose precision or overflow.
float log_of(float a, float value) {
    bool huge = a > 1500.0f;
    return log(huge ? a : value) + (huge ? ln_2 : 0.0f);
}

float asinh(float x) {
    float a = abs(x), z = a * a;
    float far = log_of(a, a + sqrt(z + 1.0f));
    float tail = polynomial(z, -1.6666288e-1f, 7.484759e-2f, -4.269934e-2f, 2.0122003e-2f);
    return copysign(a > 0.5f ? far : fma(tail * z, a, a), x);
}

float acosh(float x) {
    float far = log_of(x, x + sqrt(fma(x, x, -1.0f)));
    float z = x - 1.0f;
    float near_one = sqrt(z) * polynomial(z, 1.41421356f, -1.1784742e-1f, 2.6454905e-2f, -7.5272887e-3f, 1.7596881e-3f);
    return x > 1.5f ? far : near_one;
}

float atanh(float x) {
    float a = abs(x), z = a * a;
    float far = 0.5f * log((1.0f + a) / (1.0f - a));
    float tail = polynomial(z, 3.333373e-1f, 1.9978216e-1f, 1.4669143e-1f, 8.243703e-2f, 1.8174008e-1f);
    return copysign(a > 0.5f ? far : fma(tail * z, a, a), x);
}
