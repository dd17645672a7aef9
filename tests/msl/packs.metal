// Parameter packs: of types, values and parameters; expansions.
#include <metal_stdlib>
using namespace metal;

template <typename T> T sum(T x) { return x; }
template <typename T, typename... Rest> auto sum(T x, Rest... rest) { return x + sum(rest...); }

template <typename... Ts> struct Sizes { static constant constexpr int count = sizeof...(Ts); };
template <typename... Ts> constexpr int total_size() { return (0 + ... + int(sizeof(Ts))); }
template <int... Is> struct Numbers {
    static constexpr int largest() {
        int best = 0, all[] = {Is...};
        for (int i = 0; i < int(sizeof...(Is)); ++i) best = max(best, all[i]);
        return best;
    }
    static constexpr bool ascending_from(int first) { return ((Is >= first) && ...); }
};
template <typename T, typename... Ts> struct First { typedef T type; static constant constexpr int rest = sizeof...(Ts); };
template <typename... Ts> struct Count;
template <> struct Count<> { static constant constexpr int value = 0; };
template <typename T, typename... Rest> struct Count<T, Rest...> {
    static constant constexpr int value = 1 + Count<Rest...>::value;
};

kernel void recursive_sum(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = sum(float(i), 2, 0.5f, 10u);
}
kernel void sizes_and_counts(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = Sizes<>::count + 10 * Sizes<int, float, half>::count + 100 * total_size<char, half, float4>() +
             10000 * Numbers<3, 9, 4>::largest() + 100000 * int(Numbers<3, 9, 4>::ascending_from(3)) +
             200000 * int(Numbers<1, 2>::ascending_from(2)) + 1000000 * Count<int, int, Sizes<int>, half>::value +
             10000000 * First<int, float, half>::rest + First<int>::type(i);
}

template <typename... Ts> int folded_left(Ts... all) { return (... - all); }
template <typename... Ts> int folded_right(Ts... all) { return (all - ...); }
template <typename... Ts> int folded_from(int start, Ts... all) { return (start - ... - all); }
template <typename... Ts> int folded_to(int end, Ts... all) { return (all - ... - end); }
template <typename... Ts> void store(device int* out, Ts... all) {
    int at = 0;
    ((out[at++] = all), ...);
}
kernel void folds(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int x = int(i);
    store(out + 5 * i, folded_left(x, 2, 3), folded_right(x, 2, 3), folded_from(x, 2, 3), folded_to(x, 2, 3),
          folded_from(x));
}

template <typename F, typename... Ts> auto call(F f, Ts... all) { return f(all...); }
struct Fma { float operator()(float a, float b, float c) const { return a * b + c; } };
template <typename... Ts> int by_reference(thread Ts&... all) { ((all += 1), ...); return sizeof...(all); }
template <typename... Ts> float weighted(float weight, Ts... all) { return sum((weight * all)...); }
kernel void forwarded(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = int(i);
    float b = 0.5f;
    int n = by_reference(a, b);
    out[i] = call(Fma(), float(i), 2.0f, 3.0f) + a + b + n + weighted(3, 1, 2, float(i));
}

template <typename... Ts> struct Tuple;
template <> struct Tuple<> { int get(int) const { return -1; } };
template <typename T, typename... Rest> struct Tuple<T, Rest...> {
    T value;
    Tuple<Rest...> rest;
    int get(int at) const { return at == 0 ? int(value) : rest.get(at - 1); }
};
template <typename... Ts> constexpr int length_of(thread const Tuple<Ts...>&) { return sizeof...(Ts); }
template <typename... Ts> Tuple<Ts...> tuple(Ts... all) { Tuple<Ts...> made = {all...}; return made; }
kernel void tuples(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Tuple<int, float, char> t = tuple(int(i), 2.5f, char(7));
    out[i] = t.get(int(i % 4)) * 10 + length_of(t);
}

template <typename A, typename B> struct Pair { A a; B b; };
template <typename... As> struct Both {
    template <typename... Bs> static int size_of_all(Pair<As, Bs>... pairs) { return (0 + ... + int(sizeof(pairs))); }
};
kernel void two_packs(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = Both<int, half>::size_of_all(Pair<int, char>{}, Pair<half, char>{}) + int(i);
}

// Arguments of any type (C++17 temp.param).
template <auto N> struct Kept { static constexpr constant auto value = N; };
template <auto F> int through(int x) { return F(x); }
template <auto... N> int sum_of_all() { return (0 + ... + int(N)); }
int after(int x) { return x + 1; }
struct Added { int n; int operator()(int x) const constant { return x + n; } };
template <int N> constant constexpr Added added{N};
kernel void any_values(device int* out [[buffer(0)]]) {
    out[0] = Kept<3>::value + int(sizeof(Kept<3L>::value)) * 10;
    out[1] = through<after>(4);
    out[2] = sum_of_all<1, 'a', true>();
    out[3] = added<3>(4);
}
