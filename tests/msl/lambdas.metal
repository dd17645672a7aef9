// Lambda expressions (C++14 expr.prim.lambda; MSL 3.2).
#include <metal_stdlib>
using namespace metal;

template <typename F> int repeat(int n, F f) {
    int sum = 0;
    for (int i = 0; i < n; ++i) sum += f(i);
    return sum;
}
constant int offset = 3;
struct Scaled {
    int factor;
    int twice(int x) const { return 2 * x; }
    int apply(int x) const {
        auto f = [this](int y) { return y * factor + twice(y); };
        auto g = [&](int y) { return f(y) + this->factor; };
        return g(x);
    }
};
kernel void lambdas(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int x = int(i), count = 0, list[2] = {4, 5};
    constexpr int known = 7;
    auto by_value = [x](int y) { return x + y + offset + known; };
    auto by_reference = [&count, step = 2](int y) { count += step; return y; };
    auto whole = [=](auto a, auto b) { return a * 10 + b + list[1] + x; };
    auto all = [&] { count += 100; list[0] = 9; };
    x = 1000;
    int r = by_value(1);
    r += by_reference(20) + by_reference(30);
    all();
    r += repeat(3, [&](int n) -> int { ++count; return n; });
    auto counter = [n = 0]() mutable { return ++n; };
    counter();
    Scaled s = {3};
    out[i * 4] = r;
    out[i * 4 + 1] = count + list[0];
    out[i * 4 + 2] = whole(1, 2) + int(whole(0.5f, 1u)) + counter() + [](int y) { return y; }(5);
    out[i * 4 + 3] = s.apply(2);
}
struct Moved { int n; int get() && { return n; } };
kernel void qualified(device int* out [[buffer(0)]]) { out[0] = Moved{6}.get(); }

struct Captured {
    int v;
    int sum() {
        auto by_pointer = [this] { return v; };
        auto by_copy = [*this](int more) { return v + this->v * 10 + more; };
        auto changed = [=, *this]() mutable { v += 1; return v; };
        v = 5;
        return by_pointer() + by_copy(100) * 10 + changed() * 10000;
    }
};
kernel void copied_object(device int* out [[buffer(0)]]) {
    Captured one = {2};
    out[0] = one.sum();
    out[1] = one.v;
}

// Each lambda takes what it uses, and what those in it use, from the one around it; members need the object.
struct Deep {
    int n;
    int twice() const { return n * 2; }
    template <typename T> int times(T by) const { return n * by; }
    int both() const {
        auto outer = [&](int x) {
            auto inner = [&](int y) { return twice() + times(y) + x; };
            return inner(x + 1);
        };
        return outer(10);
    }
};
template <typename A, typename B> constexpr bool both(A a, B b) { return a && b; }
kernel void nested_deeply(device int* out [[buffer(0)]]) {
    int a = 1;
    auto first = [&](auto b) {
        auto second = [&](auto c) __attribute__((always_inline)) {
            auto third = [&](auto d) {
                a += 1;
                if constexpr (both(b, d)) { return integral_constant<int, b.value * 100 + c.value * 10 + d.value>::value + a * 1000; }
                else { return 0; }
            };
            return third(integral_constant<int, 4>{});
        };
        return second(integral_constant<int, 3>{});
    };
    out[0] = first(integral_constant<int, 2>{});
    out[1] = a;
    Deep deep = {7};
    out[2] = deep.both();
}

// Lambdas of the program, and those without captures as pointers to functions.
constant auto square = [](int x) { return x * x; };
int applied(int (*function)(int), int x) { return function(x); }
decltype(auto) first_of(thread int* list) { return list[0]; }
decltype(auto) after_first(thread int* list) { return list[0] + 1; }
kernel void as_pointers(device int* out [[buffer(0)]]) {
    int (*twice)(int) = [](int x) { return x * 2; };
    int (*generic)(int) = [](auto x) { return x + 1; };
    auto thrice = +[](int x) { return x * 3; };
    out[0] = square(3) + applied(twice, 100);
    out[1] = applied([](int x) { return x + 100; }, 1) + generic(4);
    out[2] = thrice(2);
    int list[2] = {1, 2};
    first_of(list) = 7;
    decltype(auto) second = list[1];
    second = 9;
    out[3] = list[0] * 10 + list[1];
    out[4] = after_first(list);
}

// An element of a list that begins with '[' is a lambda or a designator.
struct Held { int v; };
struct Called { int v; template <typename F> Called(F f) : v(f(5)) {} };
Held held(int q) { return {[&] { return q + 1; }()}; }
constant constexpr int third = 2;
kernel void in_braces(device int* out [[buffer(0)]]) {
    int q = 4;
    int list[4] = {2, [] { return 3; }(), [q](int a) { return a + q; }(1), [=]() mutable { return q; }()};
    int named[4] = {[1] = 7, [third] = 9, [q](int a) { return a * q; }(2)};
    Called called{[](int a) { return a * 2; }};
    Held one = {.v = [](int x) { return x; }(2)};
    out[0] = list[0] * 1000 + list[1] * 100 + list[2] * 10 + list[3];
    out[1] = named[0] * 1000 + named[1] * 100 + named[2] * 10 + named[3];
    out[2] = called.v + held(3).v + one.v;
}

// Packs of parameters in lambdas.
int digits(int a, int b, int c) { return a * 100 + b * 10 + c; }
template <typename... T> void all_captured(device int* out, T... t) {
    auto by_value = [=](int s) { return (s + ... + t); };
    auto by_name = [t...] { return (0 + ... + t) * int(sizeof...(t)); };
    auto by_reference = [&t...] { ((t += 1), ...); };
    auto nested = [&] { return [=] { return digits(t...); }(); };
    auto generic = [&](auto... u) { return (0 + ... + (t * u)); };
    by_reference();
    out[0] = by_value(1);
    out[1] = by_name();
    out[2] = nested();
    out[3] = generic(1, 10, 100);
}
template <typename... T> int none_captured(T... t) {
    return [=](int s) { return (s + ... + t); }(5);
}
template <typename... F> int called_in_turn(int x, F... f) {
    return [&] { return (0 + ... + f(x)); }();
}
kernel void captured_packs(device int* out [[buffer(0)]]) {
    all_captured(out, 1, 2, 3);
    out[4] = none_captured();
    out[5] = called_in_turn(2, [](int x) { return x + 1; }, [](int x) { return x * 10; });
}
