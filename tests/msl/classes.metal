// Classes: conversions, look-up by arguments, bases from packs, static members, bindings (C++14 class, over; C++17).
#include <metal_stdlib>
using namespace metal;

// Conversions: templates of them, explicit ones, and by the address space of their object.
template <typename T> struct Box {
    T value;
    constexpr Box(T v) thread : value(v) {}
    constexpr Box(T v) threadgroup : value(v) {}
    template <typename U, typename = enable_if_t<is_convertible_v<U, T> && !is_same_v<U, T>>>
    constexpr Box(U v) thread : value(T(v)) {}
    template <typename U, typename = enable_if_t<is_arithmetic_v<U>>> operator U() const thread { return U(value) + 1; }
    template <typename U, typename = enable_if_t<is_arithmetic_v<U>>> operator U() const device { return U(value) + 2; }
    template <typename U, typename = enable_if_t<is_arithmetic_v<U>>> operator U() const constant { return U(value) + 3; }
};
struct Named {
    int n;
    operator int() const { return n; }
    operator float() const { return n + 0.5f; }
    explicit operator bool() const { return n > 2; }
};
struct Strict { int n; explicit Strict(int v) : n(v) {} Strict(float v) : n(int(v) * 10) {} };
int of_strict(Strict s) { return s.n; }
Strict made() { return 2.5f; }
constant Box<int> boxed = 40;
kernel void conversions(device float* out [[buffer(0)]], device const Box<int>& in [[buffer(1)]]) {
    Box<int> a = 5.0f;
    float x = a, y = in, z = boxed;
    Named n = {3};
    out[0] = x; out[1] = y; out[2] = z;
    out[3] = n.operator float() + n.operator int();
    out[4] = (n ? 1 : 0) + (Named{1} ? 10 : 0);
    out[5] = of_strict(1.5f) + Strict(4).n + made().n + static_cast<Strict>(7).n;
}

// Look-up in the namespaces of the arguments, of their bases and of their template arguments.
namespace far {
struct Point { int x; };
template <typename T> int weight(T p) { return p.x * 3; }
int twice(Point p) { return p.x * 2; }
template <typename T> struct Tag {};
template <typename T> int operator+(Tag<T>, int n) { return n + int(sizeof(T)); }
}
struct Near : far::Point {};
template <typename T> struct Holder { int x; };
kernel void by_argument(device int* out [[buffer(0)]]) {
    Near p; p.x = 7;
    Holder<far::Point> h = {5};
    out[0] = weight(p) + twice(p);
    out[1] = weight(h);
    out[2] = far::Tag<short>{} + 10;
}

// Bases from packs, and members that are initialised by them.
template <int N> struct Part { int n; Part(int v) : n(v * N) {} int get() const { return n; } };
template <typename... P> struct All : P... {
    All(int v) : P(v)... {}
    int sum() const { return (P::get() + ...); }
};
struct Defaults { int a = 3; int b; };
struct Table { Defaults rows[3]; Defaults first = {}; Table() = default; };
struct Plain { int x, y; Plain() = default; };
struct Counted { static constant int limit; static constexpr constant int base = 4; };
constant int Counted::limit = Counted::base * 5;
template <typename T> struct Sized { static constant int value; };
template <typename T> constant int Sized<T>::value = sizeof(T);
kernel void members_of_packs(device int* out [[buffer(0)]]) {
    All<Part<1>, Part<10>, Part<100>> all(2);
    out[0] = all.sum();
    Table t;
    Defaults list[2];
    out[1] = t.rows[0].a + t.rows[2].a + t.first.b + list[1].a;
    Plain p = {1, 2};
    out[2] = p.x * 10 + p.y + Counted::limit + Sized<half>::value;
    float4 v = {1, 2, 3};
    out[3] = int(v.x + v.y * 10 + v.z * 100 + v.w);
}

int refer(thread int& x) {
    decltype(x) alias = x;
    alias += 5;
    return x;
}
kernel void bound(device int* out [[buffer(0)]]) {
    far::Point p = {1};
    auto [x] = p;
    int list[3] = {1, 2, 3};
    auto& [a, b, c] = list;
    const auto [u, w] = float2(4, 5);
    b = 20;
    x = 9;
    out[0] = x + p.x * 100;
    out[1] = a + list[1] + c;
    out[2] = int(u) * 10 + int(w);
    int n = 1;
    out[3] = refer(n);
    threadgroup int shared = 6;
    threadgroup int shares[2] = {7, 8};
    out[4] = shared + shares[0] + shares[1];
}
#define JOIN(a, b) a##b
constant int JOIN(is_, and) = 3;
kernel void spelled(device int* out [[buffer(0)]]) { out[0] = is_and; }

struct Kept { Kept() : k(1), n({}) {} Kept(int k) : k(k), n({2}) {} int k; int n; };
kernel void lists_in_parentheses(device int* out [[buffer(0)]]) {
    threadgroup int zero({});
    int three({3});
    packed_int2 pair({1, 2});
    Kept five({5}), one({});
    out[0] = zero + three;
    out[1] = pair.x * 10 + pair.y;
    out[2] = five.k;
    out[3] = one.k + one.n + five.n + int({1});
}

// Designators of members of anonymous members, and after an object whose braces are omitted.
struct Tagged { int tag; union { int whole; struct { short low, high; }; }; struct { int a, b; }; int last; };
struct Outer { Defaults inner; int y; };
int sum_of(Tagged t) { return t.tag + t.low * 10 + t.high * 100 + t.a * 1000 + t.b * 10000 + t.last * 100000; }
kernel void designated(device int* out [[buffer(0)]]) {
    Tagged t = {.tag = 1, .high = 3, .b = 5, .last = 6};
    out[0] = sum_of(t);
    out[1] = sum_of({.low = 2, 4, .a = 7, 8, 9});
    Outer o = {1, .y = 2};
    out[2] = o.inner.a + 10 * o.inner.b + 100 * o.y;
}

// Operators of bases, and their hiding.
struct Amount {
    int n;
    Amount operator+(Amount o) const { return {n + o.n}; }
    bool operator==(Amount o) const { return n == o.n; }
    Amount operator-() const { return {-n}; }
    int operator*() const { return n * 100; }
    thread Amount& operator+=(int by) { n += by; return *this; }
    thread Amount& operator++() { ++n; return *this; }
    template <typename T> Amount operator%(T by) const { return {n % int(by)}; }
    Amount operator|(Amount o) const { return {1000}; }
    thread Amount& operator=(int to) { n = to; return *this; }
};
struct Price : Amount { int operator-() const { return 7; } };
int operator|(Price a, Price b) { return a.n | b.n; }
kernel void inherited_operators(device int* out [[buffer(0)]]) {
    Price a; a.n = 5;
    Price b; b.n = 9;
    out[0] = (a + b).n;
    out[1] = (a == b) * 2 + (a == a);
    out[2] = -a;
    out[3] = *a;
    (a += 4) += 1;
    out[4] = a.n + (++a).n;
    out[5] = (b % 4.0f).n;
    out[6] = a | b;
}

// Members that are chosen by whether their object is an lvalue.
struct Crate {
    int n;
    int kind() & { return 1; }
    int kind() && { return 2; }
    int kind() const & { return 3; }
    int either() const & { return 1; }
    int either() && { return 2; }
    operator int() const & { return 4; }
    operator int() && { return 5; }
};
Crate crated() { return Crate{7}; }
kernel void by_object(device int* out [[buffer(0)]]) {
    Crate b = {1};
    const Crate c = {2};
    out[0] = b.kind() + crated().kind() * 10 + c.kind() * 100 + static_cast<thread Crate&&>(b).kind() * 1000;
    out[1] = b.either() + Crate{3}.either() * 10;
    int of_lvalue = b, of_rvalue = crated();
    out[2] = of_lvalue + of_rvalue * 10;
}

// Class operands of operators that are built in.
template <typename T, T v> struct Constant { constexpr operator T() const { return v; } };
struct Range { device const int* at; operator device const int*() const { return at; } };
struct Index : Constant<int, 1> { operator int() const { return 2; } };
kernel void converted_operands(device int* out [[buffer(0)]], device const int* in [[buffer(1)]]) {
    Constant<int, 3> three;
    int list[5] = {10, 20, 30, 40, 50};
    out[0] = -three;
    out[1] = ~three + +three;
    out[2] = list[three] + list[Index{}];
    switch (three) {
        case 3: out[3] = 1; break;
        default: out[3] = 2;
    }
    Range r = {in};
    out[4] = *r + r[1] + *(r + three);
    out[5] = three << Constant<uint, 2>{};
}
