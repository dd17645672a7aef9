// A program that adds to `namespace metal`, and the builtins of Apple's compiler that headers call (MSL 6.1).
#include <metal_stdlib>
using namespace metal;

struct Number { float value; };
constant float offset = 0.5f;
inline float shift(float x) { return x + offset; }

namespace metal {
inline Number abs(Number x) { return Number{shift(fabs(x.value))}; }
inline Number max(Number a, Number b) { return a.value < b.value ? b : a; }
namespace fast {
inline Number sqrt(Number x) { return Number{__metal_sqrt(x.value, __METAL_FAST_MATH__)}; }
inline float also(float x) { return trunc(x); }
}
namespace precise {
inline Number sqrt(Number x) { return Number{__metal_sqrt(x.value, __METAL_PRECISE_MATH__) + 1}; }
}
template <typename T> struct doubled { static constexpr constant int size = 2 * sizeof(T); };
}

kernel void reopened(device float* out [[buffer(0)]]) {
    Number n = {-2};
    out[0] = abs(n).value;
    out[1] = metal::max(n, Number{3}).value + max(1, 2);
    out[2] = fast::sqrt(Number{16}).value;
    out[3] = precise::sqrt(Number{16}).value;
    out[4] = metal::fast::also(2.75f) + fast::sqrt(4.0f) + metal::doubled<float>::size;
}

kernel void metal_builtins(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    const ushort lane = __metal_get_thread_index_in_simdgroup(ushort());
    const uint3 position = __metal_get_thread_position_in_grid(uint3());
    int exponent;
    float m = __metal_frexp(float(i) + 1, &exponent);
    out[i] = __metal_simd_sum(1.0f) + __metal_fma(float(lane), 2.0f, 1.0f) + __metal_fmax3(1.0f, 4.0f, 2.0f, true)
        + __metal_get_simdgroup_size(ushort()) * 1000 + position.x * 0.25f + ldexp(m, exponent);
    assert(i < 5);
}

#if defined(__HAVE_SIMDGROUP_MATRIX__) && __LITTLE_ENDIAN__
kernel void features(device int* __restrict__ out [[buffer(0)]]) { out[0] = 7; }
#endif
