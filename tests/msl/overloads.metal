// Overload resolution (C++14 13.3): conversions ranked, address spaces, default arguments.
#include <metal_stdlib>
using namespace metal;

int pick(int) { return 1; }
int pick(uint) { return 2; }
int pick(float) { return 3; }
int pick(half) { return 4; }
int pick(long) { return 5; }
int pick(bool) { return 6; }
int pick(int2) { return 7; }
int pick(float2) { return 8; }

kernel void by_rank(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    char c = 1;
    ushort us = 2;
    out[0] = pick(1);
    out[1] = pick(1u);
    out[2] = pick(1.0f);
    out[3] = pick(1.0h);
    out[4] = pick(1l);
    out[5] = pick(i == 0);
    out[6] = pick(c) * 10 + pick(us);  // Promoted to int.
    out[7] = pick(int2(1)) * 10 + pick(float2(1));
    out[8] = pick(c + 1.0f) * 10 + pick(1 ? 2 : 3u);
    out[9] = pick(1.0h * 1.0f);
}

int space(device int*) { return 1; }
int space(constant int*) { return 2; }
int space(threadgroup int*) { return 3; }
int space(thread int*) { return 4; }
int space(device const int* p, int) { return 5; }
constant int constants[4] = {1, 2, 3, 4};
kernel void by_address_space(device int* out [[buffer(0)]], constant int* in [[buffer(1)]]) {
    threadgroup int shared[4];
    int own[4] = {1};
    device int* q = out + 1;
    out[0] = space(out) * 1000 + space(in) * 100 + space(shared) * 10 + space(own);
    out[1] = space(&constants[2]) * 10 + space(q);
    out[2] = space(out, 1);
}

int kind(thread const int&) { return 1; }
int kind(thread int&) { return 2; }
int kind(device int&) { return 3; }
int kind(device const int&) { return 4; }
kernel void by_reference(device int* out [[buffer(0)]], device const int* in [[buffer(1)]]) {
    int a = 0;
    const int b = 0;
    out[0] = kind(a);
    out[1] = kind(b);
    out[2] = kind(5);
    out[3] = kind(out[4]);
    out[4] = kind(in[0]);
}

int count() { return 0; }
int count(int a, int b = 20, int c = 300) { return a + b + c; }
int count(float a, float b) { return int(a * b); }
kernel void by_number(device int* out [[buffer(0)]]) {
    out[0] = count();
    out[1] = count(1);
    out[2] = count(1, 2);
    out[3] = count(1, 2, 3);
    out[4] = count(1.5f, 4.0f);
}

struct Metres { float v; Metres(float v) : v(v) {} };
struct Feet { float v; operator Metres() const { return Metres(v * 0.25f); } };
float as_metres(Metres m) { return m.v; }
float as_metres(int v) { return -v; }
kernel void by_user_conversion(device float* out [[buffer(0)]]) {
    Feet f = {8};
    out[0] = as_metres(f);
    out[1] = as_metres(5);
    out[2] = as_metres(Metres(3));
}

// Declared first, defined later; recursion of kernels' helpers is not allowed, mutual use is.
int later(int x);
int sooner(int x) { return later(x) + 1; }
int later(int x) { return x * 3; }
kernel void declared_first(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = sooner(i); }

struct Overloaded {
    int operator()(int a) const { return a; }
    int operator()(int a, int b) const { return a * b; }
    int operator[](uint k) const { return k + 1; }
    int operator[](float k) const { return int(k * 10); }
};
kernel void of_call_and_index(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Overloaded o;
    out[i] = o(5) + o(2, 3) * 10 + o[i] * 100 + o[0.5f] * 10000;
}

// A program's own version of a function of the library wins.
bfloat simd_shuffle_down(bfloat value, ushort delta) { return as_type<bfloat>(simd_shuffle_down(as_type<ushort>(value), delta)) + 1.0bf; }
long simd_shuffle_down(long data, ushort delta) { return as_type<long>(simd_shuffle_down(as_type<uint2>(data), delta)) + 2; }
template <typename> struct Least {
    template <typename V> V operator()(V a, V b) { return a < b ? a : b; }
    float operator()(float a, float b) { return 100; }
    long operator()(long a, long b) { return min(a, b) + 5; }
};
template <typename T> T least(T a, T b) { Least<T> op; return op(a, b); }
kernel void own_versions(device float* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
    float down = float(simd_shuffle_down(bfloat(lane), 3)) + float(simd_shuffle_down(long(lane), 4));
    float down_float = simd_shuffle_down(float(lane), 1);
    bool valid = __is_valid_simdgroup_type<int>::value && !__is_valid_simdgroup_type<long>::value && __is_valid_simdgroup_type<half2>::value;
    out[lane] = down + down_float + float(least<int64_t>(lane, 4)) * 1000 + least(1.0f, 2.0f) * 1000 + valid;
}

// Of two bases, the nearer one; a base is better than void*, and void* than bool (over.ics.rank/4).
struct First { int n; };
struct Second : First {};
struct Third : Second {};
int by_value(First) { return 1; }
int by_value(Second) { return 2; }
int by_pointer(thread const void*) { return 1; }
int by_pointer(thread First*) { return 2; }
int by_pointer(thread Second*) { return 3; }
int by_pointer(bool) { return 4; }
int by_const(thread const Second&) { return 1; }
int by_const(thread Second&) { return 2; }
int by_const(thread First&) { return 3; }
int to_bool(bool) { return 1; }
int to_bool(device const void*) { return 2; }
kernel void by_base(device int* out [[buffer(0)]]) {
    Third x = {{{5}}};
    const Third y = x;
    out[0] = by_value(x);
    out[1] = by_pointer(&x);
    out[2] = by_const(x) * 10 + by_const(y);
    out[3] = to_bool(out);
}

// Braced lists by their elements (over.ics.list).
struct Pair { int x, y; };
struct Triple { int x, y, z; };
struct Nested { Pair first; int last; };
struct Made { int n; Made(int a, float b) : n(a) {} Made(Pair p) : n(p.x) {} };
int of_list(int) { return 1; }
int of_list(float) { return 2; }
int of_list(Triple) { return 3; }
int of_list(Nested, int) { return 4; }
int of_list(Made, float) { return 5; }
int of_list(Pair, thread const int&) { return 6; }
kernel void by_list(device int* out [[buffer(0)]]) {
    int calls = 0;
    auto next = [&] { return ++calls; };
    out[0] = of_list({1}) + of_list({1.0f}) * 10 + of_list({1, 2, 3}) * 100;
    out[1] = of_list({{1, 2}, 3}, 1) * 10 + of_list({1, 2, 3}, 1);
    out[2] = of_list({1, 2.0f}, 1.0f);
    Pair p = {1, 2};
    out[3] = of_list({p}, 1);
    out[4] = of_list({next(), next(), next()}) + calls * 10;
}

// A program's operators are not for vectors, also not for those of 8 components.
namespace tiles {
template <typename T> T operator-(const thread T& a) { return T::none(); }
float negated() {
    vec<float, 8> v(2.0f);
    v = -v;
    return v[3];
}
}
kernel void operators_of_wide_vectors(device float* out [[buffer(0)]]) { out[0] = tiles::negated(); }

// `...` takes arguments of any type, and is worse than every conversion.
template <typename T> int taken(int) { return 1; }
template <typename T> int taken(...) { return 2; }
template <typename T, typename = decltype(declval<T>().go())> true_type goes(int);
template <typename T> false_type goes(...);
struct Goes { void go(); };
int first_of(int a, ...) { return a; }
kernel void by_ellipsis(device int* out [[buffer(0)]]) {
    out[0] = taken<int>(0) * 100 + taken<int>(1.5f) * 10 + taken<int>(out);
    out[1] = decltype(goes<Goes>(0))::value * 10 + decltype(goes<int>(0))::value;
    int n = 0;
    int first = first_of(7, ++n, 2.0f);
    out[2] = first * 10 + n;
}
