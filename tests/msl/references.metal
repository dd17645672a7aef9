// Rvalue references (C++14 dcl.ref, temp.deduct.call), and what is moved from.
#include <metal_stdlib>
using namespace metal;

template <typename F> int called(F&& f, int x) { return f(x); }
template <typename T> int kind(T&& x) { return is_lvalue_reference_v<T> ? 1 : 2; }
int which(thread int& x) { return 1; }
int which(const thread int& x) { return 2; }
int which(thread int&& x) { return 3; }
struct Moved {
    int n;
    int how;
    Moved(int v) : n(v), how(0) {}
    Moved(const thread Moved& other) : n(other.n), how(1) {}
    Moved(thread Moved&& other) : n(other.n), how(2) { other.n = -1; }
};
template <typename T> remove_reference_t<T>&& moved(T&& x) { return static_cast<remove_reference_t<T>&&>(x); }
template <typename T> T&& forwarded(thread remove_reference_t<T>& x) { return static_cast<T&&>(x); }
template <typename T> int passed(T&& x) { return which(forwarded<T>(x)); }
constexpr int counted() { int n = 1; auto&& same = n; same += 4; thread int&& own = n * 2; own += 1; return n * 100 + own; }
static_assert(counted() == 511, "");
static_assert(is_rvalue_reference_v<add_rvalue_reference_t<int>> && !is_lvalue_reference_v<add_rvalue_reference_t<int>>, "");
static_assert(is_same_v<add_rvalue_reference_t<thread int&>, thread int&>, "");
static_assert(is_same_v<remove_reference_t<thread int&&>, thread int> && is_reference_v<thread int&&>, "");

kernel void references(device int* out [[buffer(0)]]) {
    int n = 5;
    const int c = 6;
    auto twice = [](int x) { return 2 * x; };
    out[0] = called(twice, 1) + called([](int x) { return x + 10; }, 1);
    out[1] = kind(n) * 10 + kind(5);
    out[2] = which(n) * 100 + which(c) * 10 + which(7);
    auto&& a = n;
    a = 8;
    auto&& b = n + 1;
    b += 1;
    out[3] = n * 100 + b;
    Moved m(3), copy = m, taken = moved(m);
    out[4] = copy.how * 100 + taken.how * 10 + (m.n == -1);
    out[5] = passed(n) * 10 + passed(4);
    int list[3] = {1, 2, 3};
    for (auto&& x : list) x *= 2;
    out[6] = list[0] + list[1] + list[2];
    thread int&& r = 4;
    r += n;
    int m2 = 1;
    out[8] = which(*reinterpret_cast<thread int*>(&m2));
    auto&& [first, second] = int2(7, 9);
    second += 1;
    out[7] = r + first * 100 + second * 1000 + is_rvalue_reference_v<decltype(moved(n))> * 100000;
}

// A class with a member that can only be moved: `return` makes its variable the result.
struct OnlyMoves {
    int n;
    OnlyMoves(int v) : n(v) {}
    OnlyMoves(thread OnlyMoves&& other) : n(other.n + 100) { other.n = -1; }
};
struct HoldsMoved { OnlyMoves inner; int k; };
HoldsMoved returned(int n) {
    HoldsMoved h = {{n}, 4};
    h.k += n;
    return h;
}
kernel void returns_moved(device int* out [[buffer(0)]]) {
    HoldsMoved h = returned(3);
    out[0] = h.inner.n * 10 + h.k;
}

// Objects as arguments of templates, by reference: of enumerations and of derived classes (C++14 temp.arg.nontype).
enum Mode { slow, quick };
struct Root { int v; constexpr Root(int a) : v(a) {} };
struct Leaf : Root { constexpr Leaf(int a) : Root(a) {} };
constant Mode mode = quick;
constant Leaf leaf(5);
template <constant Mode& M> constexpr int chosen() { return M == quick ? 1 : 2; }
template <constant Leaf& L> constexpr int value_of() { return L.v; }
template <constant Root& R> constexpr int either() { return 1; }
template <constant Leaf& L> constexpr int either() { return 2; }
static_assert(chosen<mode>() == 1 && value_of<leaf>() == 5, "");
static_assert(either<leaf>() == 2, "");
