// Idioms of code that frameworks, provers and translators from other languages write.
#pragma clang diagnostic ignored "-Wmissing-prototypes"
#pragma METAL fp math_mode(relaxed)
#include <metal_stdlib>
#include <simd/simd.h>
using metal::uint;

// ---- a framework's table of operations: templates in namespaces, functors by macro, qualified instantiations ----

namespace shop {
namespace shapes {
template <typename F, typename... Args> using result_of = decltype(::metal::declval<F>()(::metal::declval<Args>()...));
constexpr constant unsigned MOST = 4;
template <typename T> T offset_of(thread T at[MOST], constant long* strides, uint count) {
    T sum = 0;
    for (uint i = 0; i < count; ++i) { sum += at[i] * T(strides[i]); }
    return sum;
}
template <typename T> inline constant T& ref_at(constant void* data, long bytes) { return *reinterpret_cast<constant T*>(static_cast<constant char*>(data) + bytes); }
template <typename T> inline device T& ref_at(device void* data, long bytes) { return *reinterpret_cast<device T*>(static_cast<device char*>(data) + bytes); }
template <typename T, typename F> kernel void mapped(
    device void* out [[buffer(0)]], constant void* in [[buffer(1)]], constant long* strides [[buffer(2)]], uint index [[thread_position_in_grid]]) {
    F f;
    int at[MOST] = {int(index % 4), int(index / 4)};
    const auto a = ref_at<T>(in, offset_of(at, strides, 2));
    ref_at<result_of<F, T>>(out, sizeof(result_of<F, T>) * index) = f(a);
}
} // namespace shapes
} // namespace shop
#define DEFINE_FUNCTOR(NAME, BODY) \
    struct NAME##_functor { \
        template <typename T> inline ::metal::enable_if_t<::metal::is_floating_point_v<T>, T> operator()(const T x) { return T(BODY(x)); } \
        template <typename T> inline ::metal::enable_if_t<::metal::is_integral_v<T>, float> operator()(const T x) { return BODY(static_cast<float>(x)); } \
    }
#define REGISTER(NAME, TO, FROM) \
    static_assert(::metal::is_same_v<TO, ::shop::shapes::result_of<NAME##_functor, FROM>>, "Output of " #NAME " for " #FROM); \
    template [[host_name(#NAME "_" #TO "_" #FROM)]] kernel void ::shop::shapes::mapped<FROM, NAME##_functor>(device void* out, constant void* in, constant long* strides, uint index)
namespace {
template <typename T> T half_and_one(T x) { return x * T(0.5) + T(1); }
}
DEFINE_FUNCTOR(halved, half_and_one);
REGISTER(halved, float, float);
REGISTER(halved, half, half);
REGISTER(halved, float, short);

// ---- a framework's reports: strings of the program, counters, packs of arguments ----

struct Messages {
    ::metal::atomic<unsigned int> count;
    struct { char text[24]; char function[12]; unsigned line; } each[2];
};
static uint copied(device char* to, constant const char* from, unsigned most) {
    uint i = 0;
    while (from[i] != 0 && i < most - 1) { to[i] = from[i]; i++; }
    to[i] = 0;
    return i;
}
inline uint printed(device char* to, unsigned most, constant const char* text) { return copied(to, text, most); }
inline uint printed(device char* to, unsigned most, long number) {
    uint length = 1;
    for (long rest = number; rest > 9; rest /= 10) { ++length; }
    if (length >= most) return 0;
    uint at = 1;
    do { to[length - at] = '0' + (number % 10); number /= 10; at++; } while (number > 0);
    to[length] = 0;
    return length;
}
template <typename T> inline void printed_all(device char* to, unsigned most, T one) { printed(to, most, one); }
template <typename T, typename... More> inline void printed_all(device char* to, unsigned most, T one, More... more) {
    const auto length = printed(to, most, one);
    printed_all(to + length, most - length, more...);
}
template <typename... Args> static void reported(device Messages* all, int line, constant const char* function, Args... args) {
    const auto index = atomic_fetch_add_explicit(&all->count, 1, ::metal::memory_order_relaxed);
    if (index >= 2) { return; }
    device auto* one = &all->each[index];
    copied(one->function, function, 12);
    printed_all(one->text, 24, args...);
    one->line = line;
}
#define REPORT(all, ...) ::reported(all, __LINE__, __func__, __VA_ARGS__)
kernel void reports(device Messages* all [[buffer(0)]], constant int* values [[buffer(1)]], uint at [[thread_position_in_grid]]) {
    if (values[at] > 99) { REPORT(all, "value ", long(values[at]), " at ", long(at)); }
}

// ---- what a translator of another shading language writes: unbounded arrays as arrays of one, bounded loops, checked positions ----

struct _mslBufferSizes { uint size1; uint size2; };
struct DefaultConstructible { template <typename T> operator T() && { return T {}; } };
struct Pair { uint start; uint count; };
typedef Pair type_1[1];
typedef float type_2[1];
struct type_3 { float inner[8]; };
int naga_div(int lhs, int rhs) { return lhs / metal::select(rhs, 1, (lhs == (-2147483647 - 1) & rhs == -1) | (rhs == 0)); }
int naga_f2i32(float value) { return static_cast<int>(metal::clamp(value, -2147483600.0, 2147483500.0)); }
float summed(Pair pair, device type_2 const& data, threadgroup type_3& tile, constant _mslBufferSizes& _buffer_sizes) {
    float sum = {};
    uint i = 0u;
    metal::uint2 loop_bound = metal::uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == metal::uint2(0u))) { break; }
        loop_bound -= metal::uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) { uint _e1 = i; i = _e1 + 1u; }
        loop_init = false;
        if (i < pair.count) {
        } else {
            break;
        }
        { sum = sum + data[metal::min(unsigned(pair.start + i), (_buffer_sizes.size2 - 0 - 4) / 4)] * tile.inner[metal::min(unsigned(i), 7u)]; }
    }
    return sum;
}
struct main_Input { };
kernel void main_(
  metal::uint3 global_id [[thread_position_in_grid]]
, uint local [[thread_index_in_threadgroup]]
, device type_1 const& pairs [[buffer(0)]]
, device type_2 const& data [[buffer(1)]]
, device type_2& out [[buffer(2)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(3)]]
) {
    threadgroup type_3 tile;
    if (local < 8u) { tile.inner[local] = static_cast<float>(local + 1u); }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    Pair _e5 = global_id.x < 3u ? pairs[metal::min(unsigned(global_id.x), (_buffer_sizes.size1 - 0 - 8) / 8)] : DefaultConstructible();
    const auto _tmp = summed(_e5, data, tile, _buffer_sizes);
    out[global_id.x] = _tmp + naga_div(naga_f2i32(_tmp), 2);
    return;
}

// ---- another translator: arrays as a class for every address space, variables of the module in a struct of pointers ----

template <typename T, size_t N> struct tint_array {
    const constant T& operator[](size_t i) const constant { return elements[i]; }
    device T& operator[](size_t i) device { return elements[i]; }
    const device T& operator[](size_t i) const device { return elements[i]; }
    thread T& operator[](size_t i) thread { return elements[i]; }
    const thread T& operator[](size_t i) const thread { return elements[i]; }
    threadgroup T& operator[](size_t i) threadgroup { return elements[i]; }
    const threadgroup T& operator[](size_t i) const threadgroup { return elements[i]; }
    T elements[N];
};
#define TINT_ISOLATE_UB(VOLATILE_NAME) \
  {volatile bool VOLATILE_NAME = false; if (VOLATILE_NAME) break;}
struct tint_module_vars_struct {
    device tint_array<uint, 1>* out;
    const constant tint_array<metal::uint4, 2>* weights;
    threadgroup tint_array<metal::atomic_uint, 4>* counts;
    thread uint* own;
};
struct tint_symbol { tint_array<metal::atomic_uint, 4> counts; };
void counted(tint_module_vars_struct tint_module_vars, uint local) {
    uint i = 0u;
    while(true) {
        TINT_ISOLATE_UB(tint_volatile_false)
        if (!(i < local)) { break; }
        metal::atomic_fetch_add_explicit((&(*tint_module_vars.counts)[metal::min(local & 3u, 3u)]), (*tint_module_vars.weights)[i & 1u][i & 3u], metal::memory_order_relaxed);
        (*tint_module_vars.own) = as_type<uint>((as_type<int>((*tint_module_vars.own)) + as_type<int>(i)));
        {
            i = (i + 1u);
        }
        continue;
    }
}
[[max_total_threads_per_threadgroup(8)]]
kernel void tint_entry(uint tint_local_index [[thread_index_in_threadgroup]], device tint_array<uint, 1>* out [[buffer(0)]],
    const constant tint_array<metal::uint4, 2>* weights [[buffer(1)]], threadgroup tint_symbol* v_1 [[threadgroup(0)]]) {
    thread uint own = 0u;
    tint_module_vars_struct const tint_module_vars = tint_module_vars_struct{.out=out, .weights=weights, .counts=(&(*v_1).counts), .own=(&own)};
    if (tint_local_index < 4u) { metal::atomic_store_explicit((&(*tint_module_vars.counts)[tint_local_index]), 0u, metal::memory_order_relaxed); }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    counted(tint_module_vars, tint_local_index);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    (*tint_module_vars.out)[tint_local_index] = metal::atomic_load_explicit((&(*tint_module_vars.counts)[tint_local_index & 3u]), metal::memory_order_relaxed) * 100u + own;
}

// ---- a third translator: buffers under two types, arrays of pointers in argument buffers, casts to references ----

template <typename T, size_t Num> struct spvUnsafeArray {
    T elements[Num ? Num : 1];
    thread T& operator [] (size_t pos) thread { return elements[pos]; }
    constexpr const thread T& operator [] (size_t pos) const thread { return elements[pos]; }
    device T& operator [] (size_t pos) device { return elements[pos]; }
    constexpr const device T& operator [] (size_t pos) const device { return elements[pos]; }
    constexpr const constant T& operator [] (size_t pos) const constant { return elements[pos]; }
};
struct Floats { float data[1]; };
struct Words { metal::uint2 data[1]; };
struct Entry { float a; float b; };
#ifndef SPIRV_CROSS_CONSTANT_ID_7
#define SPIRV_CROSS_CONSTANT_ID_7 3u
#endif
constant uint SIZE = SPIRV_CROSS_CONSTANT_ID_7;
constant metal::uint3 gl_WorkGroupSize [[maybe_unused]] = metal::uint3(SIZE, 1u, 1u);
constant spvUnsafeArray<float, 3> TABLE = spvUnsafeArray<float, 3>({ 1.0, 2.5, 4.0 });
template <typename T> [[clang::optnone]] T spvFAdd(T l, T r) { return metal::fma(T(1), l, r); }
static inline __attribute__((always_inline))
Entry combined(thread const Entry& a, thread const Entry& b) { return Entry{ spvFAdd(a.a, b.a), spvFAdd(a.b, b.b) }; }
static inline __attribute__((always_inline))
float through(device Floats* const thread (&many)[2], thread const metal::uint3& at) { return many[at.x & 1u]->data[at.x >> 1u]; }
static inline metal::uint4 ballot(bool value) {
    metal::simd_vote vote = metal::simd_ballot(value);
    return metal::uint4(as_type<metal::uint2>((metal::simd_vote::vote_t)vote), 0, 0);
}
kernel void aliased(device void* alias [[buffer(0)]], device float* out [[buffer(1)]], metal::uint3 gl_GlobalInvocationID [[thread_position_in_grid]]) {
    device auto& floats = *(device Floats*)alias;
    const device auto& words = *(const device Words*)alias;
    device auto& bits = (device Words&)(*(device Floats*)alias);
    device void* two[2] = {&floats, (device char*)alias + 16};
    const thread auto& many = (device Floats* const thread (&)[2])two;
    spvUnsafeArray<Entry, 2> all = spvUnsafeArray<Entry, 2>({ Entry{ 1.0, 2.0 }, Entry{ 3.0, 4.0 } });
    spvUnsafeArray<Entry, 2> others;
    others = all;
    Entry entry = combined(all[gl_GlobalInvocationID.x & 1u], others[1]);
    uint i = gl_GlobalInvocationID.x;
    out[i] = floats.data[i] + float((words.data[i >> 1u].x >> 23u) & 1u) * 10.0 + float(bits.data[0].y == as_type<uint>((&floats.data[0])[1])) * 100.0
        + 1000.0 * through(many, gl_GlobalInvocationID);
    out[8u + i] = 10.0 * entry.a + 100.0 * entry.b + TABLE[i % SIZE] * 2000.0 + float(metal::popcount(ballot((i & 1u) != 0u)).x) * 100000.0 * float(gl_WorkGroupSize.x);
}

// ---- a prover: fields by their constants, operators, loops unrolled by packs, carries ----

template <uint M, uint... More> struct Digits { static constexpr constant uint COUNT = 1 + sizeof...(More); static constexpr constant uint ALL[COUNT] = {M, More...}; };
template <typename Modulus> struct Element {
    using Self = Element<Modulus>;
    static constexpr constant uint N = Modulus::COUNT;
    uint digits[N];
    static Self zero() { Self out; for (uint i = 0; i < N; ++i) out.digits[i] = 0; return out; }
    constexpr bool operator>=(const thread Self& other) const thread {
        for (int i = N - 1; i >= 0; --i) { if (digits[i] != other.digits[i]) return digits[i] > other.digits[i]; }
        return true;
    }
    friend Self operator+(Self a, const thread Self& b) {
        ulong carry = 0;
        #pragma unroll
        for (uint i = 0; i < N; ++i) { carry += ulong(a.digits[i]) + b.digits[i]; a.digits[i] = uint(carry); carry >>= 32; }
        Self whole;
        for (uint i = 0; i < N; ++i) whole.digits[i] = Modulus::ALL[i];
        if (carry != 0 || a >= whole) { a -= whole; }
        return a;
    }
    thread Self& operator-=(const thread Self& b) thread {
        uint borrow = 0;
        for (uint i = 0; i < N; ++i) {
            const uint old = digits[i], taken = old - b.digits[i] - borrow;
            borrow = (taken > old || (borrow && taken == old)) ? 1 : 0;
            digits[i] = taken;
        }
        return *this;
    }
    friend Self operator*(const thread Self& a, const thread Self& b) {
        Self sum = zero();
        for (int i = 32 * int(N) - 1; i >= 0; --i) {
            sum = sum + sum;
            if (b.digits[i / 32] >> (i % 32) & 1) sum = sum + a;
        }
        return sum;
    }
};
typedef Element<Digits<0xfffffff1u, 0xffffffffu>> Fq;
template <typename E, int... I> E power(E x, metal::integer_sequence<int, I...>) { E y = x; (((void)I, y = y * x), ...); return y; }
kernel void prover(device Fq* out [[buffer(0)]], constant Fq& left [[buffer(1)]], constant Fq& right [[buffer(2)]], uint at [[thread_position_in_grid]]) {
    Fq a = left, b = right;
    out[at] = at == 0 ? a + b : at == 1 ? a * b : power(a, metal::make_integer_sequence<int, 3>{});
}

// ---- weights in a few bits: punning through unions, tables in classes, shared memory as references, functions as arguments ----

union Bits { uint word; uchar4 bytes; half2 halves; };
struct Small { static constant constexpr float TABLE[8] = {0.f, 0.5f, 1.f, 1.5f, 2.f, 3.f, 4.f, 6.f}; uchar code; operator float() const { return (code & 8 ? -1.f : 1.f) * TABLE[code & 7]; } };
template <typename T, short LANES = 32> struct Reducer {
    threadgroup T (&shared)[LANES];
    template <typename F> T operator()(T value, ushort lane, F f) const {
        shared[lane] = value;
        for (ushort step = LANES / 2; step > 0; step >>= 1) {
            simdgroup_barrier(metal::mem_flags::mem_threadgroup);
            if (lane < step) shared[lane] = f(shared[lane], shared[lane + step]);
        }
        simdgroup_barrier(metal::mem_flags::mem_threadgroup);
        return shared[0];
    }
};
kernel void weights(device const uint* packed [[buffer(0)]], device float* out [[buffer(1)]], ushort lane [[thread_index_in_simdgroup]]) {
    threadgroup float shared[32];
    Bits bits;
    bits.word = packed[lane];
    float sum = 0;
    _Pragma("clang loop unroll(full)") for (short i = 0; i < 4; i++) { sum += Small{uchar(bits.bytes[i] & 15)} + Small{uchar(bits.bytes[i] >> 4)}; }
    Reducer<float> reduce{shared};
    float total = reduce(sum, lane, [](float a, float b) { return a + b; });
    float most = reduce(sum, lane, [](float a, float b) { return metal::max(a, b); });
    out[lane] = total + most * 1000 + float(bits.word == packed[lane]);
}

// ---- policies: classes that take themselves as an argument, nested templates, classes that are defined after their class ----

template <typename Derived> struct Policy {
    float operator()(float x) const thread { return static_cast<const thread Derived*>(this)->apply(x) + Derived::BIAS; }
    template <typename U> struct rebind { using type = U; };
};
struct Twice : Policy<Twice> { static constant constexpr float BIAS = 0.25f; float apply(float x) const thread { return 2 * x; } };
struct Square : Policy<Square> { static constant constexpr float BIAS = 0.5f; float apply(float x) const thread { return x * x; } };
template <typename... P> struct Chain : private P... {
    float run(float x) const thread { ((x = static_cast<const thread P&>(*this)(x)), ...); return x; }
};
template <typename P, typename U> using Rebound = typename P::template rebind<U>::type;
struct Outer {
    struct Inner;
    template <typename T> struct Box;
    static int of(thread const Inner& inner);
};
struct Outer::Inner { int value; int twice() const; };
template <typename T> struct Outer::Box { T held; T doubled() const { return held + held; } };
int Outer::Inner::twice() const { return value * 2; }
int Outer::of(thread const Inner& inner) { return inner.twice() + 1; }
kernel void policies(device float* out [[buffer(0)]]) {
    Chain<Twice, Square> chain;
    Rebound<Twice, int> whole = 7.9f;
    Outer::Inner inner{20};
    out[0] = chain.run(1.5f) + whole;
    out[1] = Outer::of(inner) + Outer::Box<float>{1.25f}.doubled();
}

// ---- headers that Swift and C read too, names for the host, functions of a template's static member, types of functions ----

#define NS_ENUM(_type, _name) enum _name : _type _name; enum _name : _type
typedef metal::int32_t EnumBackingType;
typedef NS_ENUM(EnumBackingType, BufferIndex) { BufferIndexPositions = 1, BufferIndexResult = 0 };
struct Exponent {
    template <typename T> static T of(T x);
    template <typename T> static constexpr int bytes() { return sizeof(T); }
};
template <> float Exponent::of<float>(float x) { return metal::exp2(x); }
template <> int Exponent::of(int x) { return 1 << x; }
template <> constexpr int Exponent::bytes<void>() { return 0; }
template <typename Op, typename T> T through(T x) { return Op::template of<T>(x); }
template <typename F> struct Described;
template <typename R, typename... A> struct Described<R(A...)> {
    using result = R;
    constant static constexpr int count = sizeof...(A);
};
template <typename R, typename A> struct Described<R (*)(A, int)> { constant static constexpr int count = 100 * sizeof(A); };
// A lane's part of a matrix, as libraries that bypass `simdgroup_matrix` declare it.
template <typename T> struct Storage {
    typedef metal::vec<T, 64> storage_type;
    storage_type t;
    thread metal::vec<T, 2>* thread_elements() thread { return reinterpret_cast<thread metal::vec<T, 2>*>(&t); }
    template <typename U, typename V> void multiply(Storage<U> a, Storage<V> b) thread {
        t = __metal_simdgroup_matrix_8x8_multiply_accumulate(a.t, b.t, t, typename Storage<T>::storage_type());
    }
};
struct Modulus { uint limbs[2]; constexpr uint top() const constant { return limbs[1]; } constexpr uint top() const { return limbs[1]; } };
constant constexpr Modulus SEVEN = {{7, 2}};
template <int N, constant Modulus& M> struct Residue {
    uint value;
    Residue operator+(Residue other) const { return {(value + other.value) % M.limbs[0]}; }
    static uint top() { return M.top() * N; }
};
#define SMALLER(a, b) ({ auto _a = (a); auto _b = (b); _a < _b ? _a : _b; })
extern constant int elsewhere;
int read_elsewhere() { return elsewhere; }
constant int elsewhere = 9;
extern constant int elsewhere;

[[host_name("found_by_the_host")]] kernel void named_otherwise(device float* out [[buffer(BufferIndexResult)]], uint lane [[thread_index_in_simdgroup]]) {
    int taken = 0;
    switch (int n = int(lane) % 3; n) {
        case 0: taken = 5; break;
        case 1: { taken = 7; break; }
        default: taken = n; break;
    }
    if (__builtin_expect(taken == 5, 1)) { taken += __builtin_bswap32(0x01000000) + int(__builtin_bswap16(0x200)); }
    // The condition is not evaluated.
    __builtin_assume(taken++ > 0);
    Storage<float> c; Storage<half> a; Storage<float> b;
    *c.thread_elements() = metal::vec<float, 2>(1);
    *a.thread_elements() = metal::make_diagonal_simdgroup_matrix<half>(2.0h).thread_elements();
    *b.thread_elements() = metal::vec<float, 2>(lane, lane + 0.5f);
    c.multiply(a, b);
    using Field = Residue<2, SEVEN>;
    taken += int((Field{5} + Field{6}).value) + int(Field::top());
    using Function = Described<float(int, half, float)>;
    Function::result sum = through<Exponent>(3) + through<Exponent>(2.0f) + Exponent::bytes<half>() + Exponent::bytes<void>();
    int least = SMALLER(int(lane), 4) + ({ int x = 0; for (int i = 0; i < 3; i++) { x += i; } x; });
    out[lane] = (*c.thread_elements()).y + 100 * taken + 1e6f * (least + read_elsewhere()) + 1000 * (sum + Function::count + Described<void (*)(short, int)>::count);
}
