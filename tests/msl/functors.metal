// Functions and templates as template arguments, and partial ordering of templates.
#include <metal_stdlib>
using namespace metal;

void add_one(thread float& x, short n) { x += n; }
void add_one(thread half& x, short n) { x += 10 * n; }
template <typename T> void doubled(thread T& x, short n) { x *= 2 * n; }
template <typename T, void (*change)(thread T&, short)> void twice(thread T& x) {
    change(x, 1);
    change(x, 2);
}
template <typename T, int N, void (*change)(thread T&, short)>
kernel void changed(device T* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    T x = T(i);
    for (int k = 0; k < N; ++k) twice<T, change>(x);
    out[i] = x;
}
typedef decltype(changed<float, 1, add_one>) changed_t;
template [[host_name("changed_float")]] kernel changed_t changed<float, 1, add_one>;
template [[host_name("doubled_float")]] kernel changed_t changed<float, 2, doubled<float>>;
template [[host_name("doubled_by_signature")]] kernel changed_t changed<float, 1, doubled>;
template [[host_name("changed_half")]] [[kernel]] decltype(changed<half, 1, add_one>) changed<half, 1, add_one>;

typedef void (*step_t)(device int*, int);
void plain_step(device int* out, int x) { *out = x + 1; }
template <int K> void scaled_step(device int* out, int x) { *out = x * K; }
template <step_t step> void wrapped(device int* out, int x) { step(out, x + 100); }
typedef decltype(wrapped<plain_step>) wrapped_t;
template <wrapped_t wrapper> kernel void stepped(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    wrapper(out + i, int(i));
}
template [[host_name("stepped_plain")]] kernel void stepped<wrapped<plain_step>>(device int*, uint);
template [[host_name("stepped_scaled")]] kernel void stepped<wrapped<scaled_step<3>>>(device int*, uint);

template <typename T> struct Plus { static T of(T a, T b) { return a + b; } };
template <typename T> struct Times { static T of(T a, T b) { return a * b; } };
template <template <typename> class Op, typename T> T reduced(T a, T b, T c) { return Op<T>::of(Op<T>::of(a, b), c); }
template <typename T, template <typename> class Op = Plus> struct Folder { T operator()(T a, T b) const { return Op<T>::of(a, b); } };
template <template <typename> class Op, typename T> int which(Folder<T, Op> folder) { return int(folder(T(3), T(4))); }
kernel void templates_of_templates(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = reduced<Plus>(int(i), 2, 3) + 100 * reduced<Times, int>(2, 3, 4) + 10000 * which(Folder<int, Times>()) +
             1000000 * which(Folder<float>());
}

template <typename T> int order(T) { return 1; }
template <typename T> int order(device T*) { return 2; }
template <typename T> int order(device const T*) { return 3; }
template <typename T, int N> int order(vec<T, N>) { return 4; }
template <typename T> int order(vec<T, 4>) { return 5; }
int order(int) { return 6; }
template <typename T> struct Rank { static constant constexpr int value = 1; };
template <typename T> struct Rank<device T*> { static constant constexpr int value = 2; };
template <typename T> struct Rank<device const T*> { static constant constexpr int value = 3; };
template <typename A, typename B> struct Same { static constant constexpr int value = 1; };
template <typename A> struct Same<A, A> { static constant constexpr int value = 2; };
template <typename A, typename B> struct Same<Folder<A>, B> { static constant constexpr int value = 3; };
template <typename A> struct Same<Folder<A>, Folder<A>> { static constant constexpr int value = 4; };
template <typename T> int asked(T, enable_if_t<is_integral_v<T>, int> = 0) { return 1; }
template <typename T> int asked(T, enable_if_t<is_floating_point_v<T>, int> = 0) { return 2; }
template <typename T, typename = void> struct Asked { static constant constexpr int value = 1; };
template <typename T> struct Asked<T, enable_if_t<(sizeof(T) > 2)>> { static constant constexpr int value = 2; };
kernel void orders(device int* out [[buffer(0)]], device const float* in [[buffer(1)]]) {
    out[0] = order(1.0f);
    out[1] = order(out);
    out[2] = order(in);
    out[3] = order(float3(0));
    out[4] = order(half4(0));
    out[5] = order(1);
    out[6] = Rank<device int*>::value;
    out[7] = Rank<device const int*>::value;
    out[8] = Same<int, int>::value;
    out[9] = Same<Folder<int>, int>::value;
    out[10] = Same<Folder<int>, Folder<int>>::value;
    out[11] = asked(1) * 10 + asked(1.0f);
    out[12] = Asked<half>::value * 10 + Asked<float>::value;
}

// Declared first, defined later in another scope.
template <typename T> T later(T x, int by = 3);
template <typename T> struct Outside {
    T x;
    T get(int by) const;
    template <typename U> U as(U offset) const;
    static constexpr int width();
};
template <typename T> T later(T x, int by) { return x + by; }
template <> float later<float>(float x, int by) { return x * 100 + by; }
template <> half later(half x, int by) { return x * 50 + by; }
template <typename U> U Outside<U>::get(int by) const { return x * by; }
template <typename T> template <typename U> U Outside<T>::as(U offset) const { return U(x) + offset; }
template <typename T> constexpr int Outside<T>::width() { return sizeof(T); }
kernel void definitions(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Outside<short> o = {short(i)};
    out[i] = later(int(i)) + later(2.0f, 1) + later(half(1), 2) + o.get(2) + o.as(0.5f) + Outside<short>::width();
}

// Specialisations that their result selects, and the injected name in an explicit specialisation.
template <typename T> T zero() { return T(1); }
template <> half zero() { return half(7); }
template <> int2 zero() { return int2(8, 9); }
template <typename T> struct Chain { int n; };
template <> struct Chain<int> {
    int n;
    Chain next() const { return Chain{n + 1}; }
    Chain<float> other() const { return {n * 2}; }
};
template <typename T> int through(thread T x) { return *x; }
int sum_of(device int* thread (&both)[2]) { return both[0][0] * 10 + both[1][0]; }
kernel void by_result(device int* out [[buffer(0)]]) {
    out[0] = int(zero<half>()) + zero<int2>().y * 10 + zero<int>() * 100;
    Chain<int> c = {3};
    out[1] = c.next().n + c.next().other().n * 10;
    device int* thread both[2] = {out, out + 1};
    out[2] = through<device int*>(out + 1) + sum_of(both);
}

// Braces as arguments, types by their expressions, designated elements.
struct Seeds { ulong a; uint b, c; };
struct Window { int lo, hi; Window(int a, int b) : lo(a), hi(b) {} };
int mixed(Seeds seeds, int x) { return int(seeds.a) * 100 + int(seeds.b) * 10 + int(seeds.c) + x; }
int spread(thread const Window& window) { return window.hi - window.lo; }
int spread(float) { return -1; }
kernel void braces(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Outside<int> o = {int(i)};
    int table[8] = {[0 ... 3] = 5, 6, [7] = 7};
    constexpr int n = decltype(o)::width();
    out[i] = mixed({i, 2, 3}, 4) + spread({3, 10}) + table[i % 8] * 10000 + n;
}

// From real kernels: defaults that use earlier members, a function beside the library's template,
// traits in conditions, a template of the library by its qualified name.
template <ushort D> struct Strided {
    device const int* dims;
    device const int* strides;
    Strided<D - 1> next {dims, strides};
    int operator()(int i) const { return (i % dims[D - 1]) * strides[D - 1] + next(i / dims[D - 1]); }
};
template <> struct Strided<1> {
    device const int* dims;
    device const int* strides;
    int operator()(int i) const { return i * strides[0]; }
};
bfloat simd_shuffle_down(bfloat x, ushort by) { return as_type<bfloat>(simd_shuffle_down(as_type<ushort>(x), by)); }
template <typename T> struct Tile {
    typedef metal::vec<T, 2> pair_t;
    typedef metal::vec<T, 1> one_t;
    pair_t pairs[2];
    constexpr thread pair_t& at(short i) thread { return pairs[i]; }
    constexpr const thread pair_t& at(short i) const thread { return pairs[i]; }
    T operator()(Tile<T> other) { return at(0).x + other.at(1).y; }
    template <typename U> T operator()(U other) { return T(other); }
};
template <typename T, typename = void> struct Chosen { static int of() { return 1; } };
template <typename T> struct Chosen<T, metal::enable_if_t<__is_valid_simdgroup_type<T>::value>> { static int of() { return 2; } };
kernel void found_elsewhere(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    Strided<3> strided {in, in + 3};
    Tile<int> tile = {};
    tile.at(1)[1] = int(i);
    tile.at(0).x = 5;
    bfloat next = simd_shuffle_down(bfloat(i % 32), 1);
    out[i] = strided(int(i)) + 100 * (tile(tile) + tile(2.5f)) + 10000 * int(next) +
             1000000 * (Chosen<float>::of() + 3 * Chosen<long>::of());
}
