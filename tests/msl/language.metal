// The language: classes, overloads, namespaces, unions, enums, macros, matrices.
#include <metal_stdlib>
#include <metal_math>
using namespace metal;

#define EACH(X, ...) X(add, +) X(sub, -) __VA_ARGS__
#define DEFINE(name, op) inline int name(int a, int b) { return a op b; }
EACH(DEFINE, DEFINE(mul, *))

namespace shapes {
enum class Kind : uint { circle = 1, box, none = 0xff };
struct Box {
    float2 low = float2(0), high = float2(1);
    Box() {}
    Box(float2 a, float2 b) : low(min(a, b)), high(max(a, b)) {}
    float area() const { const float2 d = high - low; return d.x * d.y; }
    Box operator|(Box o) const { return Box(min(low, o.low), max(high, o.high)); }
    bool operator()(float2 p) const { return all(p >= low) && all(p <= high); }
    thread Box& operator+=(float2 d) thread { low += d; high += d; return *this; }
};
constant constexpr int sides = 4;
inline float measure(thread const Box& b) { return b.area(); }
inline float measure(float radius) { return M_PI_F * radius * radius; }
}  // namespace shapes

union Bits { float f; uint u; struct { ushort low, high; }; };

float access(device float* p) { return *p; }
float access(constant float* p) { return *p + 1; }
float access(threadgroup float* p) { return *p + 2; }
float access(thread float* p) { return *p + 3; }

constexpr int power(int base, int n) { int r = 1; for (int i = 0; i < n; ++i) r *= base; return r; }

kernel void classes(device float* out [[buffer(0)]], constant float& c [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    shapes::Box a, b(float2(2), float2(1, 3));
    shapes::Box both = a | b;
    both += float2(i, 0);
    out[0] = both.area() + shapes::measure(b) + shapes::measure(1.5f);
    out[1] = both(float2(1.5f)) ? shapes::sides : float(shapes::Kind::box == shapes::Kind(2));
    Bits bits = {1.0f};
    out[2] = bits.high;
    threadgroup float t[2];
    t[0] = 7;
    float local = 4;
    out[3] = access(out) + access(&c) + access(t) + access(&local);
    out[4] = add(1, mul(2, sub(5, 3)));
    int sized[power(2, 4)];
    out[5] = sizeof(sized);
}

kernel void control(device int* out, constant int* in, uint2 p [[thread_position_in_grid]], uint2 size [[threads_per_grid]]) {
    int total = 0;
    for (int i = 0, j = 10; i < j; ++i, --j) {
        switch (in[i] & 3) {
            case 0: continue;
            case 1: total += 1;  // falls through
            case 2: { total += 2; break; }
            default: total = total > 100 ? 0 : total * 2;
        }
        if (total > 1000) break;
    }
    do { total--; } while (total > 10 && (total & 1));
    while (int k = total / 2) { total = k; if (k == 3) break; }
    out[p.y * size.x + p.x] = total;
}

kernel void matrices(device float4x4* m, device float3* v, device float3x3* n, uint i [[thread_position_in_grid]]) {
    float4x4 a = m[i];
    a[3] = float4(v[i], 1);
    const float4x4 b = a * transpose(a) + 2.0f * a - a;
    m[i] = b;
    n[i] = float3x3(b[0].xyz, b[1].xyz, b[2].xyz);
    v[i] = n[i] * v[i] + v[i] * n[i];
    v[i].xz = v[i].zx * determinant(n[i]);
    const auto& column = m[i][2];
    v[i].y = dot(column, float4(1)) + a[1][2];
}
