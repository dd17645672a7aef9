// Errors in the declarations of instances, with notes on what was instantiated, its arguments and the use.
#include <metal_stdlib>
using namespace metal;

template <typename T> struct Needs { typename T::type x; };
template <int N> struct Deep { Deep<N - 1> inner; };
template <> struct Deep<0> { Needs<float> x; };
template <typename T, int N> struct Row { static_assert(N > 0, "a row has elements"); T v[N]; };
template <typename... Ts> struct Both { int a[sizeof...(Ts)]; };
template <typename... Ts, typename... Us> int same_length(Both<Ts...>, Both<Us...>, Both<Row<Ts, sizeof(Us)>...>);
template <typename T> struct Base { T x; };
struct Derived : Base<int>, Needs<bool> { };
template <typename T> T twice(T x);
template <> half twice<float>(half x);

kernel void classes(device float* out [[buffer(0)]]) {
    Needs<int> a;
    Deep<12> b;
    Row<float, 0> c;
    Row<float> d;
    Row<4, float> e;
    same_length(Both<int>(), Both<int, float>(), 1);
    out[0] = a.x;
}
