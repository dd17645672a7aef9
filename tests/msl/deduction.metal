// Class templates whose arguments follow from the values of the object (C++17 over.match.class.deduct), and clang's types of vectors.
#include <metal_stdlib>
using namespace metal;

template <typename A, typename B = int> struct Two {
    A a;
    B b;
    constexpr Two(A a, B b) : a(a), b(b) {}
    explicit Two(A a) : a(a), b(4) {}
    template <typename C> Two(A a, B b, C c) : a(a + A(c)), b(b) {}
};
template <typename T, int N> struct List {
    T items[N];
    int size() const { return N; }
};
template <typename T, typename... R> List(T, R...) -> List<T, 1 + sizeof...(R)>;
template <typename T> struct Boxed { T inner; };
template <typename T> Boxed(T) -> Boxed<T>;
Boxed(char) -> Boxed<int>;
template <typename F> struct AtEnd {
    F f;
    AtEnd(F f) : f(f) {}
    ~AtEnd() { f(); }
};
template <typename T> struct Start { T value; Start() : value(6) {} Start(T v) : value(v) {} };
template <typename T> struct Seen {
    using value_type = T;
    typedef const thread value_type* pointer;
    enum Mode { Once = 1, Twice };
    pointer p;
    int times;
    Seen(const pointer p, Mode mode) : p(p), times(mode) {}
    Seen(const value_type v, thread value_type& kept) : p(&kept), times(3) { kept = v; }
};
template <typename T> struct Marked {
    T v;
    constexpr Marked(T v) : v(v) {}
    explicit constexpr Marked(T v, int n) : v(v + n) {}
};
constant Marked first(1);
explicit Marked(char) -> Marked<int>;
template <typename T> Marked(T) -> Marked<float>;
Marked(short, decltype(short{})) -> Marked<short>;
constant Marked second(1);
static_assert(is_same_v<decltype(first.v), int> && is_same_v<decltype(second.v), float>, "");
constant Two half_and_int(0.5h, 3);
typedef float four __attribute__((ext_vector_type(4)));
using two = short __attribute__((ext_vector_type(2)));
static_assert(is_same_v<four, float4> && is_same_v<two, short2>, "");

kernel void deduced(device float* out [[buffer(0)]]) {
    const Two a(1.5f, 2u);
    Two b = Two(a);
    Two c{b.b};
    Two d(1.0f, 2, 3.0h);
    List l = {1.5f, 2.5f, 3.5f};
    Boxed e{'a'};
    Boxed f{2.5h};
    int n = 1;
    {
        AtEnd restore([&] { n = 20; });
        n = 10;
        out[0] = n;
    }
    static_assert(is_same_v<decltype(b), Two<float, uint>> && is_same_v<decltype(c), Two<uint, int>>, "");
    static_assert(is_same_v<decltype(l), List<float, 3>> && is_same_v<decltype(e.inner), int> && is_same_v<decltype(f.inner), half>, "");
    static_assert(is_same_v<decltype(Two(1.0h, half_and_int)), Two<half, Two<half, int>>>, "");
    out[1] = n;
    out[2] = b.a + b.b;
    out[3] = c.a + 10 * c.b;
    out[4] = d.a + d.b;
    out[5] = l.items[2] + l.size();
    out[6] = Two{2, 3.5f}.b + half_and_int.a + Start(1.25f).value;
    four v = {1, 2, 3, 4};
    out[7] = dot(v, four(1)) + two(3).y;
    Seen twice(&n, Seen<int>::Twice);
    float kept = 1;
    Seen three(2.5f, kept);
    out[8] = *twice.p * twice.times + *three.p * three.times;
    Marked plain('a');
    Marked copied = 'a';
    volatile Marked seen(7u);
    constexpr Marked two_and_one(2, 1);
    int counted[two_and_one.v];
    static_assert(is_same_v<decltype(plain.v), int> && is_same_v<decltype(copied.v), float>, "");
    static_assert(is_same_v<decltype(seen), volatile Marked<float>> && is_same_v<decltype(two_and_one), const Marked<int>>, "");
    out[9] = sizeof(counted) / sizeof(int);
}
