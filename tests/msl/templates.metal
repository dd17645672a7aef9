// Templates: deduction, specialisations, traits, functors, explicit instantiations with host names.
#include <metal_stdlib>
using namespace metal;

template <typename T> struct Accumulator { typedef T type; };
template <> struct Accumulator<half> { typedef float type; };
template <typename T> using accumulator_t = typename Accumulator<T>::type;

struct Sum {
    template <typename T> T operator()(T a, T b) const { return a + b; }
    template <typename T> static constexpr T start() { return T(0); }
};
struct Max {
    template <typename T> T operator()(T a, T b) const { return max(a, b); }
    template <typename T> static constexpr T start() { return numeric_limits<T>::lowest(); }
};

template <typename T, typename Op, uint GROUP>
[[kernel]] void reduce(device const T* in [[buffer(0)]], device T* out [[buffer(1)]], constant uint& n [[buffer(2)]],
                       uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
                       uint g [[threadgroup_position_in_grid]]) {
    typedef accumulator_t<T> A;
    threadgroup A shared[GROUP];
    const Op op;
    shared[t] = i < n ? A(in[i]) : Op::template start<A>();
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = GROUP / 2; step > 0; step /= 2) {
        if (t < step) shared[t] = op(shared[t], shared[t + step]);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (t == 0) out[g] = T(shared[0]);
}

#define INSTANTIATE(name, type, op) \
    template [[host_name("reduce_" #name "_" #type)]] [[kernel]] void reduce<type, op, 64>( \
        device const type*, device type*, constant uint&, uint, uint, uint);
INSTANTIATE(sum, float, Sum)
INSTANTIATE(sum, half, Sum)
INSTANTIATE(max, int, Max)

template <typename T, int N> struct Row {
    T v[N];
    T at(int i) const thread { return v[i]; }
    template <int I> T get() const { static_assert(I < N, "out of the row"); return v[I]; }
};
template <typename T, int N> T total(Row<T, N> row) {
    T sum = T();
    for (int i = 0; i < N; ++i) sum += row.at(i);
    return sum;
}
template <int N> struct Power { static constant constexpr int value = 2 * Power<N - 1>::value; };
template <> struct Power<0> { static constant constexpr int value = 1; };

template <typename T> kernel void rows(device T* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Row<T, 3> row = {{T(1), T(2), T(i)}};
    out[i] = total(row) + row.template get<1>() + T(Power<5>::value);
    if constexpr (is_same<T, float>::value) out[i] *= 2;
}
typedef decltype(rows<float>) rows_t;
template [[host_name("rows_float")]] kernel rows_t rows<float>;
template [[host_name("rows_uchar")]] [[kernel]] decltype(rows<uchar>) rows<uchar>;
