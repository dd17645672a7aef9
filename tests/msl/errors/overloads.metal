// Calls without a viable function, or with several: each candidate has its reason.
#include <metal_stdlib>
using namespace metal;

struct Pair { float a, b; float sum(float scale) { return (a + b) * scale; } };
struct Explicit { Explicit(int, int) {} };

void one(int x, int y);
void one(float4 x);
void one(device float* p);
void one(Pair pair, int n = 1);
void two(int, float);
void two(float, int);
template <typename T> T same(T a, T b) { return a; }
template <typename T> T made(int x) { return T(x); }
template <typename T, int N> T sum(thread T (&x)[N]) { return x[0]; }
template <typename T, typename = enable_if_t<is_floating_point_v<T>>> T floats(T x) { return x; }
template <typename T> void both(T, int);
template <typename T> void both(int, T);

template <void (*f)(thread float&)> void apply(thread float& x) { f(x); }
void wrong(float x);

kernel void calls(device float* out [[buffer(0)]], constant Pair& pair [[buffer(1)]]) {
    thread float local = 1;
    one(1, 2, 3);
    one(&local);
    one();
    two(1, 1);
    same(1, 2.0f);
    made(1);
    sum(out);
    floats(1);
    both(1, 1);
    pair.sum(2.0f);
    apply<wrong>(local);
    one({1, 2}, {3, 4, 5}, 6);
}
template [[host_name("none")]] kernel void same<float>(device float*, int, int);
