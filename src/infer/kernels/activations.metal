// Functions that activate or gate values.

// The error function, to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
inline float erf(float x) {
    float t = 1.0f / (1.0f + 0.3275911f * fabs(x));
    float sum = fma(fma(fma(fma(1.061405429f, t, -1.453152027f), t, 1.421413741f), t, -0.284496736f), t, 0.254829592f);
    return copysign(1.0f - sum * t * exp(-x * x), x);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

inline float silu(float x) { return x * sigmoid(x); }

inline float gelu(float x) { return 0.5f * x * (1.0f + erf(x * 0.70710678118654752f)); }

// tanh of large values is limited, where exp would overflow.
inline float gelu_tanh(float x) {
    float inner = 0.79788456080286536f * fma(0.044715f * x * x, x, x);
    return 0.5f * x * (1.0f + tanh(clamp(inner, -10.0f, 10.0f)));
}
