// Alias templates: deduction through them, and the specialisation they select.
#include <metal_stdlib>
using namespace metal;

// temp.alias/2: an alias with arguments is its target, from which arguments are deduced.
namespace aliases {
    template <typename T, int N = 2> struct Cells {
        T v[N];
        template <typename U> using pair_of = vec<U, N>;
        template <typename U> using cells_of = Cells<U, N>;
        template <typename U> static T weigh(thread pair_of<U>& x) { return T(x.x) * 10 + T(x.y) + T(sizeof(U)) * 100; }
        template <typename U> static T weigh(thread cells_of<U>& x) { return T(x.v[0] + x.v[1]); }
        template <typename U> static T weigh(thread cells_of<pair_of<U>>& x) { return T(sizeof(U) * 1000 + x.v[1].y); }
    };
    template <typename T> using Twice = Cells<T, 2>;
    template <typename T> using Nested = Twice<Twice<T>>;
    template <typename T, int N = 3> using More = Cells<T, N>;
    template <int N, typename T> using Turned = Cells<T, N>;
    template <typename T> using Same = T;
    template <typename T> using Pointer = device const T*;
    template <typename T, typename M = vec<T, 2>> using Vectors = Cells<M, 3>;
    template <template <typename, int> class C, typename T> using Applied = C<T, 2>;
    template <typename... Ts> struct Tuple {};
    template <typename... Ts> using List = Tuple<int, Ts...>;
    template <typename T> struct Hidden { typedef T type; };
    template <typename T> using hidden_t = typename Hidden<T>::type;

    template <typename T> int size(thread const Nested<T>&) { return sizeof(T); }
    template <typename T> int three(More<T>) { return 10 + sizeof(T); }
    template <int N, typename T> int turned(Turned<N, T>) { return N * 10 + sizeof(T); }
    template <typename T> int same(thread const Same<T>& x) { return sizeof(T) + int(x); }
    template <typename T> T pointed(Pointer<T> p) { return p[1]; }
    template <typename T> int defaulted(Vectors<T>) { return sizeof(T); }
    template <template <typename, int> class C, typename T> int applied(Applied<C, T>) { return sizeof(C<T, 4>); }
    template <typename... Ts> int listed(List<Ts...>) { return sizeof...(Ts); }
    template <typename T> int last(T a, hidden_t<T> b) { return sizeof(T) * 10 + int(b); }

    template <typename T> struct Kind { static constexpr constant int value = 1; };
    template <typename T> struct Kind<Nested<T>> { static constexpr constant int value = 3 + sizeof(T); };
    template <typename T> struct Kind<Twice<T>> { static constexpr constant int value = 2; };
}

kernel void alias_members(device float* out, uint i [[thread_position_in_grid]]) {
    typedef aliases::Cells<float> F;
    char2 a = {char(i), 3};
    half2 b = {half(i), 4};
    aliases::Cells<short> c = {{short(i), 5}};
    aliases::Cells<half2> d = {{half2(0), half2(0, i)}};
    out[i] = F::weigh(a) + F::weigh(b) * 1000 + F::weigh(c) + F::weigh(d);
}

kernel void alias_forms(device int* out, device const float* in) {
    using namespace aliases;
    out[0] = size(Cells<Cells<half, 2>, 2>());
    out[1] = three(Cells<char, 3>());
    out[2] = turned(Cells<char, 7>());
    const half h = 5;
    out[3] = same(h);
    out[4] = int(pointed(in));
    out[5] = defaulted(Cells<float2, 3>());
    out[6] = applied(Cells<float, 2>());
    out[7] = listed(Tuple<int, char, half>());
    out[8] = last(char(1), 3.5f);
    out[9] = Kind<Cells<Cells<half>>>::value;
    out[10] = Kind<Cells<half>>::value;
    out[11] = Kind<half>::value;
}
