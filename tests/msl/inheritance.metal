// Bases: data, functions, types and constants of base classes.
#include <metal_stdlib>
using namespace metal;

struct Shape {
    float width = 2, height = 3;
    int kind;
    float area() const { return width * height; }
    float scaled(float by) const { return area() * by; }
    static constexpr int sides() { return 4; }
    typedef float number;
};
struct Box : Shape {
    float depth;
    Box(float d) : depth(d) { kind = 7; }
    float volume() const { return area() * depth; }
    float scaled(float by) const { return Shape::scaled(by) * 10; }
};
struct Named : public Box {
    uint name;
    Named(uint n, float d) : Box(d), name(n) { width = 5; }
};
struct Empty { static constant constexpr int id = 3; int which() const { return id; } };
struct Tagged : Empty { int x; };

float area_of(thread const Shape& shape) { return shape.area(); }
float kind_of(thread Shape* shape) { shape->kind += 1; return float(shape->kind); }
float by_value(Shape shape) { shape.width = 100; return shape.area(); }

kernel void members(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Named n(i, 2);
    Named::number sum = n.area() + n.volume() + n.scaled(2) + n.Shape::scaled(2) + n.depth + n.name;
    out[i] = sum + n.sides() + Named::sides();
}
kernel void converted(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Named n(i, 2);
    Shape copy = n;
    float kind = kind_of(&n) + kind_of(&copy);
    out[i] = area_of(n) + kind + by_value(n) + n.width + copy.kind * 1000 + n.kind * 10000;
}
kernel void layouts(device uint* out [[buffer(0)]]) {
    Tagged t;
    t.x = 4;
    out[0] = sizeof(Shape);
    out[1] = sizeof(Box);
    out[2] = sizeof(Named);
    out[3] = sizeof(Tagged);
    out[4] = uint(t.which() + t.x);
    out[5] = sizeof(Empty);
}
kernel void in_buffers(device Tagged* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    device Tagged& t = out[i];
    t.x = t.which() + int(i);
}

// Traits are derived from constants, and a class from a template that has the class as an argument.
template <typename T> struct is_small : bool_constant<sizeof(T) <= 2> {};
template <> struct is_small<float> : true_type {};
template <typename Derived> struct Counter {
    int twice() const { return 2 * static_cast<thread const Derived*>(this)->count(); }
};
template <typename T> struct Holder { T held; T get() const { return held; } };
template <typename T> struct Wider : Holder<T> {
    T both() const { return this->held + Holder<T>::get(); }
};
template <typename T> int taken(thread const Holder<T>& holder) { return int(sizeof(T)) + int(holder.get()); }
kernel void traits(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Wider<short> w;
    w.held = short(i);
    out[i] = is_small<half>::value + 2 * is_small<int>::value + 4 * is_small<float>::value + 10 * w.both() +
             100 * taken(w);
}

// Names that using-declarations bring from bases (C++14 namespace.udecl), and inherited constructors (class.inhctor).
struct Origin {
    int v;
    Origin(int a) : v(a) {}
    Origin(int a, int b) : v(a * 10 + b) {}
    Origin() : v(77) {}
    int f(int) const { return 1; }
    int f(float) const { return 2; }
    int g(int) const { return 3; }
    template <typename T> int h(T) const { return 4; }
    int operator()(int x) const { return x + v; }
};
struct Heir : Origin {
    using Origin::Origin;
    using Origin::v;
    using Origin::f;
    using Origin::g;
    using Origin::h;
    using Origin::operator();
    int more = 5;
    Heir(int a, int b) : Origin(a + b) {}
    int f(int) const { return 10; }
    int g(float) const { return 30; }
    int h(int2) const { return 40; }
    int operator()(float2 x) const { return x.x; }
};
struct Plainly : Origin { using Origin::Origin; int more = 6; };
template <typename T> struct Base { T v; Base(T a, int b = 2) : v(a + b) {} };
template <typename T> struct Derived : Base<T> { using Base<T>::Base; using Base<T>::v; int twice() const { return v * 2; } };
template <typename T> struct Renamed : Base<T> { using Parent = Base<T>; using Parent::Parent; };
struct Grand : Heir { Grand() : Heir(1, 2) {} };
kernel void introduced(device int* out [[buffer(0)]]) {
    Heir heir(3);
    Heir other(1, 2);
    out[0] = heir.v + 10 * heir.more + 100 * other.v;
    out[1] = heir.f(1) + 100 * heir.f(1.0f);
    out[2] = heir.g(1) + 100 * heir.g(1.0f);
    out[3] = heir.h(1.0f) + 100 * heir.h(int2(1));
    out[4] = heir(1) + 100 * heir(float2(6, 7));
    Plainly none;
    Plainly two(4, 5);
    Plainly copy = two;
    out[5] = none.v + none.more * 100 + copy.v * 1000;
    Derived<int> derived(4);
    Derived<int> second = {4, 5};
    out[6] = derived.twice() + 100 * second.v;
    Grand grand;
    out[7] = grand.g(1) + 10 * grand.f(1.0f) + 100 * Renamed<int>(5, 6).v;
}
