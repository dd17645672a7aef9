// Namespaces and scopes (C++14 3.4, 7.3).
#include <metal_stdlib>

namespace outer {
constant int level = 1;
int depth() { return level; }
namespace inner {
int depth() { return level + 1; }
int above() { return outer::depth() * 10 + depth(); }
}
inline namespace current { int version() { return 3; } }
struct Thing { int v; };
int weigh(Thing t) { return t.v * 2; }
namespace { int hidden() { return 9; } }
kernel void in_a_namespace(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = depth() + inner::depth() * i; }
}
namespace outer { int reopened() { return depth() + 100; } }
namespace a::b::c { constant int value = 5; }
namespace abc = a::b::c;

int depth() { return 50; }
int weigh(int v) { return v; }

kernel void lookup(device int* out [[buffer(0)]]) {
    using namespace outer::inner;
    outer::Thing t = {21};
    out[0] = ::depth();
    out[1] = above();
    out[2] = outer::reopened() + outer::version() + outer::hidden();
    out[3] = weigh(t) + weigh(1);  // Found by its argument's type (C++14 3.4.2).
    out[4] = abc::value;
    out[5] = metal::max(3, 4) + metal::popcount(7u);
}

constant int shadow = 1;
kernel void shadowing(device int* out [[buffer(0)]], uint3 p [[thread_position_in_grid]]) {
    int i = p.x, sum = shadow;
    int shadow = 10;
    {
        int shadow = 100;
        sum += shadow;
        for (int shadow = 0; shadow < 2; ++shadow) sum += 1000;
        if (int shadow = i) sum += shadow * 10000;
    }
    sum += shadow + ::shadow * 2;
    out[i] = sum;
}

namespace tools {
using metal::clamp;
int held(int x) { return clamp(x, -2, 2); }
}
kernel void using_declarations(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    using tools::held;
    using metal::min;
    out[i] = held(int(i) - 5) + min(int(i), 3);
}

// Names of <simd/simd.h>, which host and kernels share, and alternative operator spellings.
#include <simd/simd.h>
struct Shared { simd_float4x4 m; vector_uint3 v; simd::float2 w; matrix_float2x2 n; simd_packed_float2 p; };
static_assert(sizeof(Shared) == 64 + 16 + 8 + 16 + 8, "as in host memory");
kernel void alternative_tokens(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    simd_uint2 x = {i, i * 5};
    uint y = (x.x bitand 6) bitor (x.y xor 3);
    y and_eq 0xff;
    y or_eq 0x100;
    y xor_eq compl 0u;
    out[i] = y + (i > 3 and not (i > 9) or i == 1 ? 7 : 0) + (i not_eq 2);
}
