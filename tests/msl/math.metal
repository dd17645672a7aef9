// The mathematical functions (MSL 6.5, 8.4): default, fast:: and precise::.
#include <metal_stdlib>
using namespace metal;

#define ARGUMENTS device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]

kernel void roundings(ARGUMENTS) {
    out[6 * i] = floor(x[i]);
    out[6 * i + 1] = ceil(x[i]);
    out[6 * i + 2] = trunc(x[i]);
    out[6 * i + 3] = round(x[i]);
    out[6 * i + 4] = rint(x[i]);
    out[6 * i + 5] = fract(x[i]);
}
kernel void pieces(ARGUMENTS) {
    int exponent;
    float whole, cosine;
    out[6 * i] = frexp(x[i], exponent);
    out[6 * i + 1] = exponent;
    out[6 * i + 2] = modf(x[i], whole);
    out[6 * i + 3] = whole;
    out[6 * i + 4] = ilogb(x[i]);
    out[6 * i + 5] = ldexp(x[i], int(i % 7) - 3);
}
kernel void comparisons(ARGUMENTS) {
    float a = x[i], b = x[i + 1], c = x[i + 2];
    out[8 * i] = fmin(a, b);
    out[8 * i + 1] = fmax(a, b);
    out[8 * i + 2] = fdim(a, b);
    out[8 * i + 3] = fabs(a);
    out[8 * i + 4] = copysign(a, b);
    out[8 * i + 5] = min3(a, b, c) + max3(a, b, c);
    out[8 * i + 6] = median3(a, b, c);
    out[8 * i + 7] = nextafter(a, b);
}
kernel void fused(ARGUMENTS) {
    out[2 * i] = fma(x[i], x[i + 1], x[i + 2]);
    out[2 * i + 1] = precise::divide(x[i], x[i + 1]);
}
kernel void remainders(ARGUMENTS) { out[i] = fmod(x[i], x[i + 1]); }
kernel void roots(ARGUMENTS) {
    out[4 * i] = precise::sqrt(x[i]);
    out[4 * i + 1] = precise::rsqrt(x[i]);
    out[4 * i + 2] = sqrt(x[i]);
    out[4 * i + 3] = rsqrt(x[i]);
}
kernel void exponentials(ARGUMENTS) {
    out[6 * i] = precise::exp(x[i]);
    out[6 * i + 1] = precise::exp2(x[i]);
    out[6 * i + 2] = precise::exp10(x[i]);
    out[6 * i + 3] = exp(x[i]);
    out[6 * i + 4] = exp2(x[i]);
    out[6 * i + 5] = fast::exp(x[i]);
}
kernel void logarithms(ARGUMENTS) {
    out[6 * i] = precise::log(x[i]);
    out[6 * i + 1] = precise::log2(x[i]);
    out[6 * i + 2] = precise::log10(x[i]);
    out[6 * i + 3] = log(x[i]);
    out[6 * i + 4] = fast::log2(x[i]);
    out[6 * i + 5] = metal::precise::log(x[i]);
}
kernel void powers(ARGUMENTS) {
    out[3 * i] = precise::pow(x[i], x[i + 1]);
    out[3 * i + 1] = precise::powr(x[i], x[i + 1]);
    out[3 * i + 2] = pow(x[i], 2.0f);
}
kernel void circular(ARGUMENTS) {
    float cosine;
    out[6 * i] = precise::sin(x[i]);
    out[6 * i + 1] = precise::cos(x[i]);
    out[6 * i + 2] = precise::tan(x[i]);
    out[6 * i + 3] = sin(x[i]);
    out[6 * i + 4] = fast::cos(x[i]);
    out[6 * i + 5] = sincos(x[i], cosine) + 10 * cosine;
}
kernel void of_half_turns(ARGUMENTS) {
    out[3 * i] = precise::sinpi(x[i]);
    out[3 * i + 1] = precise::cospi(x[i]);
    out[3 * i + 2] = precise::tanpi(x[i]);
}
kernel void inverse_circular(ARGUMENTS) {
    out[4 * i] = precise::asin(x[i]);
    out[4 * i + 1] = precise::acos(x[i]);
    out[4 * i + 2] = precise::atan(x[i] * 8);
    out[4 * i + 3] = precise::atan2(x[i], x[i + 1]);
}
kernel void hyperbolic(ARGUMENTS) {
    out[6 * i] = precise::sinh(x[i]);
    out[6 * i + 1] = precise::cosh(x[i]);
    out[6 * i + 2] = precise::tanh(x[i]);
    out[6 * i + 3] = tanh(x[i]);
    out[6 * i + 4] = precise::asinh(x[i]);
    out[6 * i + 5] = precise::acosh(fabs(x[i]) + 1);
}
kernel void inverse_tangent_hyperbolic(ARGUMENTS) { out[i] = precise::atanh(x[i] * 0.99f); }
kernel void of_vectors(device float4* out [[buffer(0)]], device const float4* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = precise::sqrt(fabs(x[i])) + floor(x[i]) * 2.0f + fma(x[i], float4(2), x[i].wzyx);
}
kernel void of_halves(device ushort* out [[buffer(0)]], device const half* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[5 * i] = as_type<ushort>(floor(x[i]));
    out[5 * i + 1] = as_type<ushort>(fma(x[i], x[i], 0.5h));
    out[5 * i + 2] = as_type<ushort>(max(x[i], 0.5h));
    out[5 * i + 3] = as_type<ushort>(precise::sqrt(fabs(x[i])));
    out[5 * i + 4] = as_type<ushort>(rint(x[i]));
}
#pragma METAL fp math_mode(safe)
kernel void safe(ARGUMENTS) {
    out[3 * i] = x[i] / x[i + 1];
    out[3 * i + 1] = 1.0f / x[i];
    out[3 * i + 2] = (x[i] + 1e8f) - 1e8f;
}
kernel void safe_functions(ARGUMENTS) {
    float cosine;
    out[5 * i] = sincos(x[i], cosine);
    out[5 * i + 1] = cosine;
    out[5 * i + 2] = exp(x[i]);
    out[5 * i + 3] = tanh(x[i]);
    out[5 * i + 4] = sqrt(fabs(x[i]));
}
kernel void precise_sincos(ARGUMENTS) {
    float cosine;
    out[2 * i] = precise::sincos(x[i], cosine);
    out[2 * i + 1] = cosine;
}
kernel void safe_specials(device float* out [[buffer(0)]], constant float* zero [[buffer(1)]]) {
    float z = zero[0];
    out[0] = 1 / z;
    out[1] = -1 / z;
    out[2] = z / z;
    out[3] = sqrt(z - 1);
    out[4] = exp(1 / z);
    out[5] = log(z);
    out[6] = fmin(z / z, 3.0f);
    out[7] = fmax(2.0f, z / z);
    out[8] = pow(z, 0.0f);
    out[9] = -z;
    out[10] = atan2(z, -1.0f);
    out[11] = tanh(1 / z);
}
