// Explicit specialisations of members, with and without arguments (C++14 temp.expl.spec).
#include <metal_stdlib>
using namespace metal;

template <typename T> struct Cell {
    T n;
    template <typename U> static U of(U x) { return x; }
    template <int N> void set() { n = N; }
    template <typename U, typename V> U two(V x) { return U(x); }
};
template <> template <> float Cell<int>::of<float>(float x) { return x + 1; }
template <> template <> void Cell<int>::set<3>() { n = 30; }
template <> template <> int Cell<int>::two(float x) { return 7; }
struct Plain {
    template <typename U> static U of(U x) { return x; }
    static int of(bool) { return 9; }
    template <int N> int number() { return N; }
};
template <> float Plain::of<float>(float x) { return x + 1; }
template <> half Plain::of(half x) { return x + 5; }
template <> int Plain::number<4>() { return 44; }
namespace inner {
template <typename T> T changed(T x) { return x; }
template <typename T> struct Other { T get() { return 1; } };
}
template <> float inner::changed<float>(float x) { return x * 2; }
template <> int inner::changed(int x) { return x * 3; }
template <> int inner::Other<int>::get() { return 5; }

kernel void specialised(device float* out [[buffer(0)]]) {
    Cell<int> cell;
    cell.set<3>();
    out[0] = Cell<int>::of(1.0f) + 10 * Cell<int>::of(2) + 100 * Cell<half>::of(2.0f);
    out[1] = cell.n + 100 * cell.two<int>(1.0f) + 1000 * cell.two<int>(2);
    cell.set<4>();
    Plain plain;
    out[2] = cell.n + 10 * Plain::of(1.0f) + 100 * Plain::of(1.0h) + 1000 * Plain::of(true);
    out[3] = plain.number<4>() + 100 * plain.number<5>();
    out[4] = inner::changed(1.0f) + 10 * inner::changed(2) + 100 * inner::Other<int>().get() + 1000 * inner::Other<float>().get();
}

// Members of a class template, of its partial and full specialisations, defined outside (C++14 temp.class.spec.mfunc):
// each belongs to the definition that its declaration names.
template <typename T, int N = 1> struct Slot {
    int v;
    static constant int n;
    Slot(int a);
    thread Slot& operator+=(int b);
    operator int() const;
    int get() const;
    template <typename U> int with(U x) const;
};
template <typename T> struct Slot<T, 2> {
    int v;
    static constant int n;
    Slot(int a);
    thread Slot& operator+=(int b);
    operator int() const;
    int get() const { return 2; }
    template <typename U> int with(U x) const;
};
template <typename T> struct Slot<vec<T, 2>> { int get() const; };
template <typename T, int N> struct Slot<device T*, N> { int get() const; };
template <> struct Slot<int> { static constant int n; int get() const; };
int Slot<int>::get() const { return 9; }
template <typename T, int N> Slot<T, N>::Slot(int a) : v(a) {}
template <typename T, int N> thread Slot<T, N>& Slot<T, N>::operator+=(int b) { v += b; return *this; }
template <typename T, int N> Slot<T, N>::operator int() const { return v; }
template <typename T, int N> int Slot<T, N>::get() const { return 1; }
template <typename T, int N> template <typename U> int Slot<T, N>::with(U x) const { return x; }
template <typename T, int N> constant int Slot<T, N>::n = 5;
template <typename U> Slot<U, 2>::Slot(int a) : v(a * 100) {}
template <typename U> thread Slot<U, 2>& Slot<U, 2>::operator+=(int b) { v += 1000 * b; return *this; }
template <typename U> Slot<U, 2>::operator int() const { return -v; }
template <typename U> template <typename V> int Slot<U, 2>::with(V x) const { return x + 20; }
template <typename U> constant int Slot<U, 2>::n = 6;
template <typename T> int Slot<vec<T, 2>>::get() const { return 3; }
template <typename T, int M> int Slot<device T*, M>::get() const { return 4 + M; }
template <> constant int Slot<half>::n = 7;
constant int Slot<int>::n = 8;

// A specialisation with members of its own, after those of the template.
template <typename T> struct Late { int f() const; static constant int n; };
template <typename T> int Late<T>::f() const { return 1; }
template <typename T> constant int Late<T>::n = 1;
template <> struct Late<int> { int f() const { return 2; } static constant constexpr int n = 2; };
template <typename T> struct Late<device T*> { int f() const { return 3; } };
template <> constant int Late<float>::n = 4;

// Specialisations that a condition selects.
template <typename T, typename E = void> struct Kind;
template <typename T> struct Kind<T, enable_if_t<is_integral_v<T>>> { static int f(); };
template <typename T> struct Kind<T, enable_if_t<is_floating_point_v<T>>> { static int f(); };
template <typename T> int Kind<T, enable_if_t<is_integral_v<T>>>::f() { return 1; }
template <typename T> int Kind<T, enable_if_t<is_floating_point_v<T>>>::f() { return 2; }

// Templates of plain classes and of namespaces, and members of nested classes of a template.
struct Owner {
    int v;
    template <typename U> Owner(U a);
    template <typename U> int of(U x) const;
    template <typename U> static U same(U x);
    template <typename U> int of(U x, int) const;
    template <typename U> operator vec<U, 2>() const;
};
template <typename U> Owner::Owner(U a) : v(a + 1) {}
template <typename U> int Owner::of(U x, int) const { return v + x + 1000; }
template <typename U> int Owner::of(U x) const { return v + x; }
template <typename U> U Owner::same(U x) { return x; }
template <typename U> Owner::operator vec<U, 2>() const { return vec<U, 2>(v); }
namespace inner { template <typename U> U outside(U x); }
template <typename U> U inner::outside(U x) { return x * 2; }
template <typename T> struct Outer {
    struct Nested { T v; int f() const; };
    template <typename U> struct Pair { int f() const; };
};
template <typename T> int Outer<T>::Nested::f() const { return v + sizeof(T); }
template <typename T> template <typename U> int Outer<T>::Pair<U>::f() const { return sizeof(T) * 10 + sizeof(U); }

// Inside of a class its name is a template, too (C++14 temp.local).
template <template <typename> class C> struct Wrapped { C<short> inner; };
template <typename T> struct Self { T v; int size() const { return sizeof(Wrapped<Self>); } };

kernel void outside(device int* out [[buffer(0)]]) {
    Slot<int, 3> a(1);
    a += 1;
    Slot<int, 2> b(1);
    b += 1;
    out[0] = int(a) + 10 * a.get() + 100 * a.with(3);
    out[1] = int(b);
    out[2] = b.get() + 10 * b.with(3);
    out[3] = Slot<int>().get() + 10 * Slot<int2>().get() + 100 * Slot<device int*, 5>().get();
    out[4] = Slot<float>::n + 10 * Slot<float, 2>::n + 100 * Slot<half>::n + 1000 * Slot<int>::n;
    out[5] = Late<int>().f() + 10 * Late<float>().f() + 100 * Late<device int*>().f();
    out[6] = Late<int>::n + 10 * Late<float>::n + 100 * Late<half>::n;
    out[7] = Kind<int>::f() + 10 * Kind<float>::f();
    Owner owner(1.5f);
    int2 both = owner;
    out[8] = owner.of(3) + owner.of(4, 0) + 10000 * Owner::same(5) + 100000 * both.y;
    out[9] = inner::outside(4) + 10 * Outer<short>::Nested{3}.f() + 100 * Outer<int>::Pair<char>().f();
    out[10] = Self<int>{1}.size();
}

// Friends that a class defines as templates are found by their arguments (C++14 class.friend, basic.lookup.argdep).
struct Amount {
    int v;
    static int twice(int x) { return 2 * x; }
    template <typename U> friend int added(Amount a, U b) { return a.v + twice(b); }
};
template <typename T> struct Money {
    T v;
    template <typename U> friend bool operator==(Money a, Money<U> b) { return a.v == b.v; }
    template <typename U> friend int sum(Money a, U b) { return a.v * 10 + b; }
};
kernel void friends(device int* out [[buffer(0)]]) {
    Money<int> a{2};
    Money<float> b{2.0f};
    out[0] = added(Amount{3}, 4) + 100 * added(Amount{3}, 1.0f);
    out[1] = (a == a) + 10 * (a == Money<int>{3});
    out[2] = sum(a, 3) + 100 * sum(b, 4.0f);
}

// Declared first, and told apart by what they accept (C++14 temp.over.link).
template <typename U, enable_if_t<is_integral_v<U>, int> = 0> int accepted(U x);
template <typename U, enable_if_t<is_floating_point_v<U>, int> = 0> int accepted(U x);
template <typename U, enable_if_t<is_floating_point_v<U>, int>> int accepted(U x) { return 2; }
template <typename U, enable_if_t<is_integral_v<U>, int>> int accepted(U x) { return 1; }
struct Parts {
    template <typename U> int width(vec<U, 2> x) const;
    template <typename U> int width(vec<U, 3> x) const;
    template <typename U, enable_if_t<is_integral_v<U>, int> = 0> int kind(U x) const;
    template <typename U, enable_if_t<!is_integral_v<U>, int> = 0> int kind(U x) const;
};
template <typename U> int Parts::width(vec<U, 3> x) const { return 3; }
template <typename U> int Parts::width(vec<U, 2> x) const { return 2; }
template <typename U, enable_if_t<!is_integral_v<U>, int>> int Parts::kind(U x) const { return 5; }
template <typename U, enable_if_t<is_integral_v<U>, int>> int Parts::kind(U x) const { return 4; }
kernel void declared_first(device int* out [[buffer(0)]]) {
    Parts parts;
    out[0] = accepted(1) + 10 * accepted(1.0f);
    out[1] = parts.width(int2(1)) + 10 * parts.width(half3(1));
    out[2] = parts.kind(1u) + 10 * parts.kind(1.0h);
}
