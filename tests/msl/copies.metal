// Copies of objects whose classes declare how they are copied (C++14 class.copy).
#include <metal_stdlib>
using namespace metal;

struct Counted {
    int n;
    int copies;
    constexpr Counted(int v) : n(v), copies(0) {}
    constexpr Counted(const thread Counted& other) : n(other.n), copies(other.copies + 1) {}
    Counted same() const { return *this; }
};
struct Several { Counted first; Counted rest[2]; int tag; };
struct Derived : Counted { int k; Derived(int v) : Counted(v), k(v * 2) {} };
template <typename T> struct Maybe {
    T value; bool any;
    Maybe(T v) : value(v), any(true) {}
    Maybe(const thread Maybe<T>& other) : value(other.value + 1), any(other.any) {}
};
struct Defaulted { Counted inner; Defaulted(int v) : inner(v) {} Defaulted(const thread Defaulted&) = default; };
struct Refers { thread int& to; Counted own; };

int by_value(Counted object) { return object.copies; }
Counted returned(thread Counted& object) { return object; }
thread Several& next(thread Several* objects, thread int& calls) { return objects[calls++]; }
constexpr int copied_in_a_constant() { Counted a(1); Counted b = a; Counted c(b); return c.copies; }
static_assert(copied_in_a_constant() == 2, "");

kernel void copies(device int* out [[buffer(0)]]) {
    Counted a(5), b = a, c(b);
    out[0] = a.copies + 10 * b.copies + 100 * c.copies + 1000 * c.n;
    out[1] = by_value(a) + 10 * by_value(Counted(1)) + 100 * by_value(c);
    Counted d = returned(a), e{b};
    out[2] = d.copies + 10 * e.copies + 100 * a.same().copies;
    out[3] = [a] { return a.copies; }() + 10 * [&a] { return a.copies; }() + 100 * [x = b] { return x.copies; }();
    Several s = {a, {a, b}, 3}, t = s;
    out[4] = t.first.copies + 10 * t.rest[0].copies + 100 * t.rest[1].copies + 1000 * t.tag;
    auto f = a;
    Counted g = out[0] > 0 ? a : b, h = out[0] > 0 ? Counted(1) : b;
    Counted list[2] = {a, c};
    Counted i = list[1];
    out[5] = f.copies + 10 * g.copies + 100 * h.copies + 1000 * i.copies;
    Derived j(4), k = j;
    Defaulted l(1), m = l;
    out[6] = k.copies + 10 * k.k + 100 * m.inner.copies;
    Maybe<int> maybe = 3, other = maybe;
    out[7] = other.value;
    int number = 1, calls = 0;
    Refers r = {number, a}, q = r;
    q.to = 8;
    Several u[2] = {s, t}, v = next(u, calls);
    out[8] = number + 10 * q.own.copies + 100 * calls + 1000 * v.first.copies;
}

struct Logged {
    int n;
    thread Logged& operator=(const thread Logged& other) { n = other.n + 10; return *this; }
};
struct Holder { Logged first; int x; int list[2]; };
struct Plainly {
    int n;
    thread Plainly& operator=(int v) { n = v * 2; return *this; }
    thread Plainly& operator=(const thread Plainly&) = default;
    operator int() const { return n; }
};
struct Both : Plainly { Logged logged; };
kernel void assignments(device int* out [[buffer(0)]]) {
    Counted a(1), b = a, c(2);
    c = b;
    out[0] = c.copies + 10 * c.n;
    Holder h = {{1}, 2, {3, 4}}, k = h, list[2] = {h, h};
    k = h;
    int at = 0;
    list[at++] = k;
    out[1] = k.first.n + 100 * k.x + 1000 * k.list[1];
    out[2] = list[0].first.n + 100 * at + 1000 * list[1].first.n;
    Plainly p, q;
    p = 4;
    q = p;
    out[3] = q.n;
    Both b1, b2;
    b1.n = 1;
    b1.logged.n = 5;
    b2 = b1;
    out[4] = b2.n + 10 * b2.logged.n;
}
