// Errors in the bodies of instances, reported when a kernel that needs them is requested.
#include <metal_stdlib>
using namespace metal;

template <typename T, int N> struct Row {
    T v[N];
    template <int I> T get() const { static_assert(I < N, "out of the row"); return v[I]; }
    int first() const { return v[0].x; }
};
template <typename T> T half_of(T x) { return x.missing; }
template <typename T> T quarter_of(T x) { return half_of(half_of(x)); }
template <typename... Ts> int count(Ts... all) { return all + sizeof...(none) + (all * ... ); }

template <typename T> kernel void through(device T* out [[buffer(0)]]) { out[0] = quarter_of(out[1]); }
template [[host_name("through_float")]] kernel void through<float>(device float*);

kernel void members(device float* out [[buffer(0)]]) {
    Row<float, 4> row = {};
    out[0] = row.get<1>() + row.get<4>();
    out[1] = row.first();
}
kernel void packs(device int* out [[buffer(0)]]) { out[0] = count(1, 2) + count(); }
#define CALL(x) quarter_of(x)
kernel void in_macro(device int* out [[buffer(0)]]) { out[0] = CALL(1); }
