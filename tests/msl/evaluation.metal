// Constant evaluation of classes (C++14 expr.const), operators by name, and specialisations of members.
#include <metal_stdlib>
using namespace metal;
static_assert(__builtin_ctz(8) == 3 && __builtin_popcount(0xf0) == 4 && __builtin_clzl(1) == 63, "bits");

template <typename T> struct Complex {
    T re, im;
    constexpr Complex(T re, T im = 0) : re(re), im(im) {}
    constexpr T norm() const { return re * re + im * im; }
    constexpr T norm() const constant { return re * re + im * im; }
    constexpr Complex operator*(Complex o) const { return {re * o.re - im * o.im, re * o.im + im * o.re}; }
    constexpr thread Complex& operator+=(Complex o) { re += o.re; im += o.im; return *this; }
};
template <typename T> constexpr Complex<T> power(Complex<T> x, int n) {
    Complex<T> y(1);
    for (int i = 0; i < n; ++i) y = y * x;
    return y;
}
constexpr constant Complex<int> unit = Complex<int>(0, 1);
constant Complex<float> table[] = {{1, 2}, power(Complex<float>(0, 2), 3), 7.0f};
static_assert((unit * unit).re == -1 && power(unit, 4).re == 1, "");
static_assert(Complex<half>{1.0h, 2.0h}.norm() == 5.0h, "");
constexpr int classify(int x) {
    switch (x) { case 1: return 10; case 2: x += 5; break; default: x = 0; }
    int3 v = int3(x, 1, 2);
    v.yz *= 3;
    return v.x + v.y + v.z;
}
static_assert(classify(1) == 10 && classify(2) == 16 && classify(9) == 9, "");
union Word { int i; float f; };
constexpr int counted(int n) {
    struct Counter { int n; constexpr void add(int by) { n += by; } } c = {0};
    int list[4] = {1, 2, 3};
    for (int i = 0; i < 4; ++i) c.add(list[i]);
    Word w = {};
    w.i = n;
    return c.n * 100 + w.i;
}
static_assert(counted(5) == 605, "");

kernel void tables(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    constexpr Complex<float> two = Complex<float>(1) * Complex<float>(2, 1);
    constexpr float known = two.norm();
    float x = table[i % 3].re * 10 + table[i % 3].im + known;
    Complex<float> sum(1);
    sum.operator+=(two);
    out[i] = x + sum.re * 100 + "abc"[i % 4] + unit.norm();
}

struct Doubling { int operator()(int x) const { return 2 * x; } };
struct Plus {
    template <typename T> T operator()(T a, T b) const { return a + b; }
    template <> bool operator()(bool a, bool b) const { return a || b; }
};
template <typename T, int N = 2> struct Reader {
    T x;
    int read() const { return int(x) * N; }
    int other() const;
};
template <> int Reader<float>::read() const { return 100; }
template <> int Reader<half>::read() const { return 200; }
template <typename T, int N> int Reader<T, N>::other() const { return 1; }
template <> int Reader<half>::other() const { return 2; }
kernel void members(device int* out [[buffer(0)]]) {
    Doubling d;
    out[0] = d.operator()(4) + Plus()(1, 2) + Plus()(true, true);
    out[1] = Reader<int>{3}.read() + Reader<float>{1}.read() + Reader<half>{1}.read();
    out[2] = Reader<int>{3}.other() + Reader<half>{1}.other() * 10;
}

// Recursion that ends a function is a loop.
struct Digits {
    int sum, steps;
    void add(int n, int weight) {
        if (n == 0) return;
        sum += n % 10 * weight;
        ++steps;
        if (n >= 10) {
            add(n / 10, weight + n % 2);
        }
    }
};
void halve(int n, device int* out) {
    out[0] += n;
    if (n > 1) { halve(n / 2, out); } else { out[1] = n; }
}
kernel void tail_calls(device int* out [[buffer(0)]]) {
    Digits d = {0, 0};
    d.add(1234, 1);
    out[0] = 0;
    halve(20, out);
    out[2] = d.sum * 10 + d.steps;
}
