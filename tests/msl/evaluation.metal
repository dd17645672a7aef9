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

// C++17 expr.const: calls inside each other, jumps into loops, tables that functions make, arrays in loops.
constexpr int sum(int n) { return n == 0 ? 0 : n + sum(n - 1); }
constexpr int duff(int n) {
    int left = (n + 3) / 4, done = 0;
    switch (n % 4) {
    case 0: do { done += 1;
    case 3:      done += 10;
    case 2:      done += 100;
    default:     done += 1000;
            } while (--left > 0);
    }
    return done;
}
constexpr int in_branch(int n) {
    switch (n) {
    case 0: return 1;
        if (n > 100) {
    case 1: return 2;
        } else {
    default: n += 5;
        }
        return n;
    }
    return 0;
}
struct Squares { int at[1024]; };
constexpr Squares squares() {
    Squares made = {};
    for (int i = 0; i < 1024; ++i) made.at[i] = i * i;
    return made;
}
constexpr constant Squares SQUARES = squares();
constexpr int some_squares() {
    int all = 0;
    for (int i = 0; i < 1024; i += 2) all += SQUARES.at[i];
    return all;
}
constexpr int last_of_many() {
    int all = 0;
    for (int i = 0; i < 5000; ++i) {
        int own[16] = {};
        own[15] = i;
        all += own[15] % 2;
    }
    return all;
}
struct Pair { int a, b; };
constexpr int of_temporaries(int n) {
    int all = 0;
    for (int i = 0; i < n; ++i) {
        const thread Pair& pair = Pair{i, 2};
        const int both = pair.a * pair.b;
        all += both;
    }
    return all;
}
static_assert(sum(300) == 45150, "");
static_assert(duff(7) == 10 + 100 + 1000 + 1111 && duff(8) == 2222 && duff(1) == 1000, "");
static_assert(in_branch(0) == 1 && in_branch(1) == 2 && in_branch(7) == 12, "");
static_assert(some_squares() == 178433024, "");
static_assert(last_of_many() == 2500, "");
static_assert(of_temporaries(10) == 90, "");
static_assert(min(1.0f, NAN) == 1.0f && max(NAN, 2.0f) == 2.0f && fmin(NAN, 3.0f) == 3.0f, "");
// Rounded once, as at run time.
static_assert(float(9007199791611905L) == 9007200328482816.0f, "");

// Functions are values.
template <typename F> constexpr int applied_to_3(F f) { return f(3); }
constexpr int doubled(int x) { return 2 * x; }
constexpr int tripled(int x) { return 3 * x; }
constexpr int chosen_of(bool first) {
    int (*chosen)(int) = doubled;
    if (!first) chosen = tripled;
    return chosen(5) * (chosen == doubled ? 1 : 10);
}
static_assert(applied_to_3(doubled) == 6 && chosen_of(true) == 10 && chosen_of(false) == 150, "");

template <typename... T> int nested_folds(T... args) { return (0 + ... + (args * (1 + ... + args))); }
template <typename... T> int all_of(T... args) { return (0 + ... + args); }
template <typename... T> int nested_expansions(T... args) { return all_of((args + all_of(args...))...); }
template <int... A> struct Each {
    template <typename... T> static int by(T... args) { return all_of((A * (0 + ... + args))...); }
};
kernel void evaluated(device int* out [[buffer(0)]]) {
    constexpr int many = sum(300), calls = duff(7) + in_branch(7);
    out[0] = many + calls;
    out[1] = some_squares() / 1024 + last_of_many() + of_temporaries(10);
    out[2] = nested_folds(1, 2, 3);
    out[3] = nested_expansions(1, 2, 3);
    out[4] = Each<1, 10>::by(1, 2, 3);
}
