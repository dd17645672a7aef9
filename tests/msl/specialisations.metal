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
