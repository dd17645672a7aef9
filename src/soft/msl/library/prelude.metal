// The part of the library that is written in MSL. If a row of the table in builtins.rs is marked
// "prelude", its body is here, generic in T (its type), S (T's scalar), B, I, U (bool, int and
// uint of T's width) and N (unsigned of T's size). The rest is ordinary code of namespace metal.

template <typename A> struct numeric_limits;

enum class mem_flags : uint {
    mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4,
    mem_threadgroup_imageblock = 8, mem_object_data = 16
};
inline mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(uint(a) | uint(b)); }
inline mem_flags operator&(mem_flags a, mem_flags b) { return mem_flags(uint(a) & uint(b)); }
enum memory_order {
    memory_order_relaxed = 0, memory_order_acquire = 2, memory_order_release = 3,
    memory_order_acq_rel = 4, memory_order_seq_cst = 5
};
enum thread_scope {
    thread_scope_thread = 0, thread_scope_threadgroup = 1, thread_scope_device = 2,
    thread_scope_system = 3, thread_scope_simdgroup = 4
};
enum class access : uint { sample = 0, read = 1, write = 2, read_write = 3 };
enum memory_coherence { memory_coherence_threadgroup = 0, memory_coherence_device = 1 };
enum class component { x, y, z, w };

// Names of other stages (MSL 2.17 to 2.20, 6.18), whose functions are not supported.
enum class topology { point, line, triangle };
enum class interpolation { perspective, no_perspective };
enum class intersection_type { none, triangle, bounding_box, curve };
enum class geometry_type { none = 0, triangle = 1, bounding_box = 2, curve = 4, all = 7 };
enum class forced_opacity { none, opaque, non_opaque };
enum class triangle_cull_mode { none, front, back };
enum class opacity_cull_mode { none, opaque, non_opaque };
enum class winding { clockwise, counterclockwise };
enum class curve_type { round, flat, all };
enum class primitive_type { point = 0, line = 1, line_strip = 2, triangle = 3, triangle_strip = 4 };
enum class cull_mode { none = 0, front = 1, back = 2 };

// MSL 6.12: options for the level of detail of a sample.
struct level { float value; explicit level(float v) : value(v) {} };
struct bias { float value; explicit bias(float v) : value(v) {} };
struct min_lod_clamp { float value; explicit min_lod_clamp(float v) : value(v) {} };
struct gradient2d { float2 dx, dy; gradient2d(float2 x, float2 y) : dx(x), dy(y) {} };
struct gradient3d { float3 dx, dy; gradient3d(float3 x, float3 y) : dx(x), dy(y) {} };
struct gradientcube { float3 dx, dy; gradientcube(float3 x, float3 y) : dx(x), dy(y) {} };

// MSL 6.2
T clamp(T x, T low, T high) { return min(max(x, low), high); }
T mix(T x, T y, T a) { return x + (y - x) * a; }
T mix(T x, T y, S a) { return x + (y - x) * T(a); }
T saturate(T x) { return min(max(x, T(0)), T(1)); }
T sign(T x) { return select(select(x, T(-1), x < T(0)), select(T(1), T(0), isnan(x)), (x > T(0)) | isnan(x)); }
T smoothstep(T low, T high, T x) {
    T t = saturate((x - low) / (high - low));
    return t * t * (T(3) - T(2) * t);
}
T step(T edge, T x) { return select(T(1), T(0), x < edge); }

// MSL 6.3
N absdiff(T x, T y) { return N(max(x, y)) - N(min(x, y)); }
T extract_bits(T x, uint offset, uint bits) {
    const uint width = sizeof(S) * 8;
    if (bits == 0) return T(0);
    return T(x << T(width - offset - bits)) >> T(width - bits);
}
T insert_bits(T base, T insert, uint offset, uint bits) {
    const uint width = sizeof(S) * 8;
    if (bits == 0) return base;
    N mask = N(N(~N(0)) >> N(width - bits)) << N(offset);
    return T((N(base) & ~mask) | (N(N(insert) << N(offset)) & mask));
}
T hadd(T x, T y) { return (x >> T(1)) + (y >> T(1)) + (x & y & T(1)); }
T rhadd(T x, T y) { return (x >> T(1)) + (y >> T(1)) + ((x | y) & T(1)); }
T mad24(T x, T y, T z) { return x * y + z; }
T mul24(T x, T y) { return x * y; }
T madhi(T x, T y, T z) { return mulhi(x, y) + z; }
T madsat(T x, T y, T z) {
    // The sum as high and low words, clamped to the type.
    T low = T(N(x) * N(y));
    N sum = N(low) + N(z);
    bool is_signed = S(-1) < S(0);
    T carry = select(T(0), T(1), sum < N(low));
    T high = mulhi(x, y) + carry + (is_signed ? z >> T(31) : T(0));
    T sign_of_sum = is_signed ? T(sum) >> T(31) : T(0);
    T top = is_signed ? T(0x7fffffff) : T(~0u);
    T bottom = is_signed ? T(0x80000000) : T(0);
    return select(T(sum), select(top, bottom, high < T(0)), high != sign_of_sum);
}
// Sums and differences wrap; an overflow has the sign that no exact result has.
T addsat(T x, T y) {
    T sum = T(N(x) + N(y));
    B over = S(-1) < S(0) ? ((x ^ sum) & (y ^ sum)) < T(0) : sum < x;
    return select(sum, select(T(numeric_limits<S>::max()), T(numeric_limits<S>::min()), x < T(0)), over);
}
T subsat(T x, T y) {
    T difference = T(N(x) - N(y));
    bool is_signed = S(-1) < S(0);
    B over = is_signed ? ((x ^ y) & (x ^ difference)) < T(0) : x < y;
    T top = is_signed ? T(numeric_limits<S>::max()) : T(0);
    return select(difference, select(top, T(numeric_limits<S>::min()), x < T(0)), over);
}
T rotate(T x, T n) {
    const uint width = sizeof(S) * 8;
    N count = N(n) & N(width - 1);
    return T(N(N(x) << count) | N(N(x) >> (N(N(width) - count) & N(width - 1))));
}
T ctz(T x) { return T(popcount(N(~x & (x - T(1))))); }
T reverse_bits(T x) {
    const N ones = N(~N(0));
    N v = N(x);
#define SWAP(distance, mask) v = N(N(v >> N(distance)) & N(mask)) | N(N(v & N(mask)) << N(distance))
    SWAP(1, ones / N(3));
    SWAP(2, ones / N(5));
    SWAP(4, ones / N(17));
    if (sizeof(S) > 1) SWAP(8, 0x00ff00ff00ff00fful);
    if (sizeof(S) > 2) SWAP(16, 0x0000ffff0000fffful);
    if (sizeof(S) > 4) SWAP(32, 0x00000000fffffffful);
#undef SWAP
    return T(v);
}
T max3(T x, T y, T z) { return max(x, max(y, z)); }
T min3(T x, T y, T z) { return min(x, min(y, z)); }
T median3(T x, T y, T z) { return max(min(x, y), min(max(x, y), z)); }

// MSL 6.4
B isfinite(T x) { return !(isinf(x) | isnan(x)); }
B isinf(T x) { return abs(x) == T(numeric_limits<S>::infinity()); }
B isnormal(T x) { return (abs(x) >= T(numeric_limits<S>::min())) & (abs(x) < T(numeric_limits<S>::infinity())); }
B signbit(T x) { return (as_type<N>(x) >> N(sizeof(S) * 8 - 1)) != N(0); }
B isordered(T x, T y) { return !(isnan(x) | isnan(y)); }
B isunordered(T x, T y) { return isnan(x) | isnan(y); }

// MSL 6.5
T fdim(T x, T y) { return select(T(0), x - y, !(x <= y)); }
T fmax3(T x, T y, T z) { return max(x, max(y, z)); }
T fmin3(T x, T y, T z) { return min(x, min(y, z)); }
T fmedian3(T x, T y, T z) { return max(min(x, y), min(max(x, y), z)); }
T fract(T x) {
    T fraction = x - floor(x);
    T most = T(S(1) - numeric_limits<S>::epsilon() / S(2));
    return select(fraction, most, fraction > most);
}
T nextafter(T x, T y) {
    N bits = as_type<N>(x);
    N sign = as_type<N>(y) & N(N(1) << N(sizeof(S) * 8 - 1));
    N moved = select(N(bits - N(1)), N(bits + N(1)), (y > x) == (x > T(0)));
    T next = as_type<T>(select(moved, N(sign | N(1)), x == T(0)));
    return select(select(next, y, x == y), T(numeric_limits<S>::quiet_NaN()), isnan(x) | isnan(y));
}
T frexp(T x, thread I& exponent) { exponent = __exponent(x); return __mantissa(x); }
T modf(T x, thread T& whole) { whole = trunc(x); return copysign(select(x - whole, T(0), isinf(x)), x); }
T sincos(T x, thread T& cosine) { cosine = cos(x); return sin(x); }

// MSL 6.8
T cross(T x, T y) { return x.yzx * y.zxy - x.zxy * y.yzx; }
S distance(T x, T y) { return length(x - y); }
S distance_squared(T x, T y) { return dot(x - y, x - y); }
T faceforward(T n, T i, T reference) { return dot(reference, i) < S(0) ? n : -n; }
S length(T x) { return sqrt(dot(x, x)); }
S length_squared(T x) { return dot(x, x); }
T normalize(T x) { return x * T(rsqrt(dot(x, x))); }
T reflect(T i, T n) { return i - T(S(2) * dot(n, i)) * n; }
T refract(T i, T n, S eta) {
    S d = dot(n, i);
    S k = S(1) - eta * eta * (S(1) - d * d);
    if (k < S(0)) return T(0);
    return T(eta) * i - T(eta * d + sqrt(k)) * n;
}

// MSL 6.9.2
struct simd_vote {
    typedef ulong vote_t;
    vote_t bits;
    simd_vote(vote_t v = 0) : bits(v) {}
    operator vote_t() const { return bits; }
    bool all() const { return bits == 0xFFFFFFFFul; }
    bool any() const { return bits != 0; }
};
inline simd_vote simd_ballot(bool expr) { return simd_vote(simd__ballot(expr)); }
inline simd_vote simd_active_threads_mask() { return simd_vote(simd__ballot(true)); }
struct quad_vote {
    typedef ulong vote_t;
    vote_t bits;
    quad_vote(vote_t v = 0) : bits(v) {}
    operator vote_t() const { return bits; }
    bool all() const { return bits == 0xFul; }
    bool any() const { return bits != 0; }
};
inline quad_vote quad_ballot(bool expr) { return quad_vote(quad__ballot(expr)); }
inline quad_vote quad_active_threads_mask() { return quad_vote(quad__ballot(true)); }

// MSL 6.14
inline float4 unpack_unorm4x8_to_float(uint x) { return float4(x & 255, x >> 8 & 255, x >> 16 & 255, x >> 24) / 255.0f; }
inline float4 unpack_snorm4x8_to_float(uint x) { return max(float4(char4(as_type<char4>(x))) / 127.0f, float4(-1)); }
inline half4 unpack_unorm4x8_to_half(uint x) { return half4(unpack_unorm4x8_to_float(x)); }
inline half4 unpack_snorm4x8_to_half(uint x) { return half4(unpack_snorm4x8_to_float(x)); }
inline float2 unpack_unorm2x16_to_float(uint x) { return float2(x & 65535, x >> 16) / 65535.0f; }
inline float2 unpack_snorm2x16_to_float(uint x) { return max(float2(as_type<short2>(x)) / 32767.0f, float2(-1)); }
inline half2 unpack_unorm2x16_to_half(uint x) { return half2(unpack_unorm2x16_to_float(x)); }
inline half2 unpack_snorm2x16_to_half(uint x) { return half2(unpack_snorm2x16_to_float(x)); }
inline float4 unpack_unorm10a2_to_float(uint x) { return float4(x & 1023, x >> 10 & 1023, x >> 20 & 1023, x >> 30) / float4(1023, 1023, 1023, 3); }
inline half4 unpack_unorm10a2_to_half(uint x) { return half4(unpack_unorm10a2_to_float(x)); }
inline float4 unpack_snorm10a2_to_float(uint x) {
    int4 v = int4(x << 22, x << 12, x << 2, x) >> int4(22, 22, 22, 30);
    return max(float4(v) / float4(511, 511, 511, 1), float4(-1));
}
inline half4 unpack_snorm10a2_to_half(uint x) { return half4(unpack_snorm10a2_to_float(x)); }
inline float3 unpack_unorm565_to_float(ushort x) { return float3(x >> 11, x >> 5 & 63, x & 31) / float3(31, 63, 31); }
inline half3 unpack_unorm565_to_half(ushort x) { return half3(unpack_unorm565_to_float(x)); }
// The conversions of MSL 8.7.7.
inline float3 __srgb_to_linear(float3 x) { return select(powr((x + 0.055f) / 1.055f, 2.4f), x / 12.92f, x <= 0.04045f); }
inline float3 __linear_to_srgb(float3 x) { return select(1.055f * powr(x, 1 / 2.4f) - 0.055f, x * 12.92f, x < 0.0031308f); }
inline float4 unpack_unorm4x8_srgb_to_float(uint x) {
    float4 v = unpack_unorm4x8_to_float(x);
    return float4(__srgb_to_linear(v.rgb), v.a);
}
inline half4 unpack_unorm4x8_srgb_to_half(uint x) { return half4(unpack_unorm4x8_srgb_to_float(x)); }
inline uint pack_float_to_unorm4x8(float4 x) { return as_type<uint>(uchar4(rint(saturate(x) * 255.0f))); }
inline uint pack_float_to_snorm4x8(float4 x) { return as_type<uint>(char4(rint(clamp(x, -1.0f, 1.0f) * 127.0f))); }
inline uint pack_float_to_unorm2x16(float2 x) { return as_type<uint>(ushort2(rint(saturate(x) * 65535.0f))); }
inline uint pack_float_to_snorm2x16(float2 x) { return as_type<uint>(short2(rint(clamp(x, -1.0f, 1.0f) * 32767.0f))); }
inline uint pack_half_to_unorm4x8(half4 x) { return pack_float_to_unorm4x8(float4(x)); }
inline uint pack_half_to_snorm4x8(half4 x) { return pack_float_to_snorm4x8(float4(x)); }
inline uint pack_half_to_unorm2x16(half2 x) { return pack_float_to_unorm2x16(float2(x)); }
inline uint pack_half_to_snorm2x16(half2 x) { return pack_float_to_snorm2x16(float2(x)); }
inline uint pack_float_to_unorm10a2(float4 x) {
    uint4 v = uint4(rint(saturate(x) * float4(1023, 1023, 1023, 3)));
    return v.x | v.y << 10 | v.z << 20 | v.w << 30;
}
inline uint pack_float_to_snorm10a2(float4 x) {
    uint4 v = uint4(int4(rint(clamp(x, -1.0f, 1.0f) * float4(511, 511, 511, 1)))) & uint4(1023, 1023, 1023, 3);
    return v.x | v.y << 10 | v.z << 20 | v.w << 30;
}
inline uint pack_half_to_snorm10a2(half4 x) { return pack_float_to_snorm10a2(float4(x)); }
inline ushort pack_float_to_unorm565(float3 x) {
    uint3 v = uint3(rint(saturate(x) * float3(31, 63, 31)));
    return ushort(v.x << 11 | v.y << 5 | v.z);
}
inline uint pack_half_to_unorm10a2(half4 x) { return pack_float_to_unorm10a2(float4(x)); }
inline ushort pack_half_to_unorm565(half3 x) { return pack_float_to_unorm565(float3(x)); }
inline uint pack_float_to_srgb_unorm4x8(float4 x) { return pack_float_to_unorm4x8(float4(__linear_to_srgb(saturate(x.rgb)), x.a)); }
inline uint pack_half_to_srgb_unorm4x8(half4 x) { return pack_float_to_srgb_unorm4x8(float4(x)); }

// <metal_type_traits>, after C++14 [meta]. Traits of numbers are true of vectors too.
template <typename A, A V> struct integral_constant {
    static constant constexpr A value = V;
    typedef A value_type;
    typedef integral_constant<A, V> type;
    constexpr operator A() const { return V; }
    constexpr A operator()() const { return V; }
};
template <bool V> using bool_constant = integral_constant<bool, V>;
typedef integral_constant<bool, true> true_type;
typedef integral_constant<bool, false> false_type;
template <bool V, typename A = void> struct enable_if {};
template <typename A> struct enable_if<true, A> { typedef A type; };
template <bool V, typename A = void> using enable_if_t = typename enable_if<V, A>::type;
template <bool V, typename A, typename C> struct conditional { typedef A type; };
template <typename A, typename C> struct conditional<false, A, C> { typedef C type; };
template <bool V, typename A, typename C> using conditional_t = typename conditional<V, A, C>::type;

#define UNARY_TRAIT(name, holds) \
    template <typename A> struct name : bool_constant<holds> {}; \
    template <typename A> constexpr constant bool name##_v = holds;
#define BINARY_TRAIT(name, holds) \
    template <typename A, typename C> struct name : bool_constant<holds> {}; \
    template <typename A, typename C> constexpr constant bool name##_v = holds;
UNARY_TRAIT(is_void, __is_void(A))
UNARY_TRAIT(is_null_pointer, __is_nullptr(A))
UNARY_TRAIT(is_integral, __is_integral(A))
UNARY_TRAIT(is_floating_point, __is_floating_point(A))
UNARY_TRAIT(is_array, __is_array(A))
UNARY_TRAIT(is_pointer, __is_pointer(A))
UNARY_TRAIT(is_lvalue_reference, __is_lvalue_reference(A))
UNARY_TRAIT(is_rvalue_reference, __is_rvalue_reference(A))
UNARY_TRAIT(is_enum, __is_enum(A))
UNARY_TRAIT(is_union, __is_union(A))
UNARY_TRAIT(is_class, __is_class(A))
UNARY_TRAIT(is_function, __is_function(A))
UNARY_TRAIT(is_reference, __is_reference(A))
UNARY_TRAIT(is_arithmetic, __is_arithmetic(A))
UNARY_TRAIT(is_fundamental, __is_fundamental(A))
UNARY_TRAIT(is_object, __is_object(A))
UNARY_TRAIT(is_scalar, __is_scalar(A))
UNARY_TRAIT(is_compound, !__is_fundamental(A))
UNARY_TRAIT(is_vector, __is_vector(A))
UNARY_TRAIT(is_const, __is_const(A))
UNARY_TRAIT(is_volatile, __is_volatile(A))
UNARY_TRAIT(is_trivial, __is_trivial(A))
UNARY_TRAIT(is_trivially_copyable, __is_trivially_copyable(A))
UNARY_TRAIT(is_standard_layout, __is_standard_layout(A))
UNARY_TRAIT(is_pod, __is_pod(A))
UNARY_TRAIT(is_literal_type, __is_literal_type(A))
UNARY_TRAIT(is_member_pointer, false)
UNARY_TRAIT(is_member_object_pointer, false)
UNARY_TRAIT(is_member_function_pointer, false)
UNARY_TRAIT(is_empty, __is_empty(A))
UNARY_TRAIT(is_polymorphic, __is_polymorphic(A))
UNARY_TRAIT(is_abstract, __is_abstract(A))
UNARY_TRAIT(is_final, __is_final(A))
UNARY_TRAIT(is_signed, __is_signed(A))
UNARY_TRAIT(is_unsigned, __is_unsigned(A))
UNARY_TRAIT(is_default_constructible, __is_constructible(A))
UNARY_TRAIT(is_move_constructible, __is_constructible(A, A))
UNARY_TRAIT(is_move_assignable, __is_assignable(thread A&, A))
UNARY_TRAIT(is_destructible, __is_destructible(A))
UNARY_TRAIT(is_trivially_default_constructible, __is_trivially_constructible(A))
UNARY_TRAIT(is_trivially_copy_constructible, __is_trivially_constructible(A, A))
UNARY_TRAIT(is_trivially_move_constructible, __is_trivially_constructible(A, A))
UNARY_TRAIT(is_trivially_copy_assignable, __is_trivially_assignable(thread A&, A))
UNARY_TRAIT(is_trivially_move_assignable, __is_trivially_assignable(thread A&, A))
UNARY_TRAIT(is_trivially_destructible, __is_trivially_destructible(A))
BINARY_TRAIT(is_same, __is_same(A, C))
BINARY_TRAIT(is_base_of, __is_base_of(A, C))
BINARY_TRAIT(is_convertible, __is_convertible(A, C))
BINARY_TRAIT(is_assignable, __is_assignable(A, C))
BINARY_TRAIT(is_trivially_assignable, __is_trivially_assignable(A, C))
#undef UNARY_TRAIT
#undef BINARY_TRAIT
template <typename A, typename... L> struct is_constructible : bool_constant<__is_constructible(A, L...)> {};
template <typename A, typename... L> constexpr constant bool is_constructible_v = __is_constructible(A, L...);
template <typename A, typename... L> struct is_trivially_constructible : bool_constant<__is_trivially_constructible(A, L...)> {};
template <typename A, typename... L> constexpr constant bool is_trivially_constructible_v = __is_trivially_constructible(A, L...);
template <typename A> struct type_identity { typedef A type; };
template <typename A> using type_identity_t = A;

// The logical operations take types with a `value` or values, under either name ([meta.logical]).
template <typename... L> struct conjunction : bool_constant<(L::value && ... && true)> {};
template <typename... L> struct disjunction : bool_constant<(L::value || ... || false)> {};
template <typename A> struct negation : bool_constant<!A::value> {};
template <typename... L> constexpr constant bool conjunction_v = (L::value && ... && true);
template <typename... L> constexpr constant bool disjunction_v = (L::value || ... || false);
template <typename A> constexpr constant bool negation_v = !A::value;
template <typename... L> struct _conjunction : bool_constant<(L::value && ... && true)> {};
template <typename... L> struct _disjunction : bool_constant<(L::value || ... || false)> {};
template <typename A> struct _negation : bool_constant<!A::value> {};

template <typename A> struct alignment_of : integral_constant<size_t, alignof(A)> {};
template <typename A> constexpr constant size_t alignment_of_v = alignof(A);
template <typename A> struct rank : integral_constant<size_t, 0> {};
template <typename A> struct rank<A[]> : integral_constant<size_t, rank<A>::value + 1> {};
template <typename A, size_t M> struct rank<A[M]> : integral_constant<size_t, rank<A>::value + 1> {};
template <typename A> constexpr constant size_t rank_v = rank<A>::value;
template <typename A, unsigned V = 0> struct extent : integral_constant<size_t, 0> {};
template <typename A, size_t M> struct extent<A[M], 0> : integral_constant<size_t, M> {};
template <typename A, size_t M, unsigned V> struct extent<A[M], V> : integral_constant<size_t, extent<A, V - 1>::value> {};
template <typename A, unsigned V = 0> constexpr constant size_t extent_v = extent<A, V>::value;

#define SIMPLE_CHANGE(name, from, to) \
    template <typename A> struct name { typedef A type; }; \
    template <typename A> struct name<from> { typedef to type; }; \
    template <typename A> using name##_t = typename name<A>::type;
SIMPLE_CHANGE(remove_const, const A, A)
SIMPLE_CHANGE(remove_volatile, volatile A, A)
SIMPLE_CHANGE(remove_extent, A[], A)
template <typename A, size_t M> struct remove_extent<A[M]> { typedef A type; };
#undef SIMPLE_CHANGE
template <typename A> struct remove_cv { typedef A type; };
template <typename A> struct remove_cv<const A> { typedef A type; };
template <typename A> struct remove_cv<volatile A> { typedef A type; };
template <typename A> struct remove_cv<const volatile A> { typedef A type; };
template <typename A> using remove_cv_t = typename remove_cv<A>::type;
template <typename A> struct remove_all_extents { typedef A type; };
template <typename A> struct remove_all_extents<A[]> { typedef typename remove_all_extents<A>::type type; };
template <typename A, size_t M> struct remove_all_extents<A[M]> { typedef typename remove_all_extents<A>::type type; };
template <typename A> using remove_all_extents_t = typename remove_all_extents<A>::type;
#define EACH_SPACE(each) each(thread) each(device) each(constant) each(threadgroup)
template <typename A> struct remove_addrspace { typedef A type; };
#define REMOVE(space) template <typename A> struct remove_addrspace<space A> { typedef A type; };
EACH_SPACE(REMOVE)
#undef REMOVE
template <typename A> using remove_addrspace_t = typename remove_addrspace<A>::type;
template <typename A> struct remove_reference { typedef A type; };
template <typename A> struct remove_pointer { typedef A type; };
#define REMOVE(space) \
    template <typename A> struct remove_reference<space A&> { typedef space A type; }; \
    template <typename A> struct remove_reference<space A&&> { typedef space A type; }; \
    template <typename A> struct remove_pointer<space A*> { typedef space A type; };
EACH_SPACE(REMOVE)
#undef REMOVE
template <typename A> using remove_reference_t = typename remove_reference<A>::type;
template <typename A> using remove_pointer_t = typename remove_pointer<A>::type;
template <typename A> using remove_cvref_t = remove_cv_t<remove_addrspace_t<remove_reference_t<A>>>;
template <typename A> struct remove_cvref { typedef remove_cvref_t<A> type; };
#define ADD(name, to) template <typename A> struct name { typedef to type; }; template <typename A> using name##_t = typename name<A>::type;
ADD(add_const, const A)
ADD(add_volatile, volatile A)
ADD(add_cv, const volatile A)
ADD(add_lvalue_reference, A&)
ADD(add_rvalue_reference, A&&)
ADD(add_pointer, remove_reference_t<A>*)
#undef ADD
template <typename A> struct is_copy_constructible : bool_constant<__is_constructible(A, add_lvalue_reference_t<const A>)> {};
template <typename A> constexpr constant bool is_copy_constructible_v = __is_constructible(A, add_lvalue_reference_t<const A>);
template <typename A> struct is_copy_assignable : bool_constant<__is_assignable(add_lvalue_reference_t<A>, add_lvalue_reference_t<const A>)> {};
template <typename A> constexpr constant bool is_copy_assignable_v = __is_assignable(add_lvalue_reference_t<A>, add_lvalue_reference_t<const A>);
template <typename A> struct decay { typedef remove_cv_t<remove_addrspace_t<A>> type; };
#define DECAY(space) \
    template <typename A> struct decay<space A&> : decay<A> {}; \
    template <typename A> struct decay<space A&&> : decay<A> {}; \
    template <typename A, size_t M> struct decay<space A[M]> { typedef space A* type; };
EACH_SPACE(DECAY)
#undef DECAY
template <typename A> using decay_t = typename decay<A>::type;
template <typename A> A declval();
template <typename... L> struct common_type {};
template <typename A> struct common_type<A> { typedef decay_t<A> type; };
template <typename A, typename C> struct common_type<A, C> { typedef decay_t<decltype(true ? declval<A>() : declval<C>())> type; };
template <typename A, typename C, typename... L> struct common_type<A, C, L...> : common_type<typename common_type<A, C>::type, L...> {};
template <typename... L> using common_type_t = typename common_type<L...>::type;
template <typename... L> using void_t = void;
template <typename A, typename... L> struct invoke_result { typedef decltype(declval<A>()(declval<L>()...)) type; };
template <typename A, typename... L> using invoke_result_t = typename invoke_result<A, L...>::type;
template <typename A> struct make_unsigned { typedef A type; };
template <typename A> struct make_signed { typedef A type; };
#define SIGNS(with, without) \
    template <> struct make_unsigned<with> { typedef without type; }; \
    template <> struct make_signed<without> { typedef with type; };
SIGNS(char, uchar) SIGNS(short, ushort) SIGNS(int, uint) SIGNS(long, ulong)
#undef SIGNS
template <typename A, int M> struct make_unsigned<vec<A, M>> { typedef vec<typename make_unsigned<A>::type, M> type; };
template <typename A, int M> struct make_signed<vec<A, M>> { typedef vec<typename make_signed<A>::type, M> type; };
template <typename A> using make_unsigned_t = typename make_unsigned<A>::type;
template <typename A> using make_signed_t = typename make_signed<A>::type;
template <typename A> struct underlying_type { typedef __underlying_type(A) type; };
template <typename A> using underlying_type_t = typename underlying_type<A>::type;
template <typename A> struct vec_elements { static constant constexpr size_t value = 1; };
template <typename A, int M> struct vec_elements<vec<A, M>> { static constant constexpr size_t value = M; };
template <typename A, A... V> struct integer_sequence { typedef A value_type; static constexpr size_t size() { return sizeof...(V); } };
template <size_t... V> using index_sequence = integer_sequence<size_t, V...>;
template <typename A, typename C> struct __joined_sequence;
template <typename A, A... V, A... W> struct __joined_sequence<integer_sequence<A, V...>, integer_sequence<A, W...>> {
    typedef integer_sequence<A, V..., (A(sizeof...(V)) + W)...> type;
};
template <typename A, size_t M> struct __sequence : __joined_sequence<typename __sequence<A, M / 2>::type, typename __sequence<A, M - M / 2>::type> {};
template <typename A> struct __sequence<A, 0> { typedef integer_sequence<A> type; };
template <typename A> struct __sequence<A, 1> { typedef integer_sequence<A, 0> type; };
template <typename A, A M> using make_integer_sequence = typename __sequence<A, size_t(M)>::type;
template <size_t M> using make_index_sequence = make_integer_sequence<size_t, M>;
template <typename... L> using index_sequence_for = make_index_sequence<sizeof...(L)>;

// <metal_uniform> (MSL 2.16): a value that is the same in all threads of a SIMD-group, which the compiler finds out itself.
template <typename A> using uniform = A;
template <typename A> uniform<A> make_uniform(A value) { return value; }

// <metal_logging> (MSL 6.19). Messages are written to a hidden buffer, which `stream/log.rs` provides and reads. It begins with four words:
// the position of the first free word, how many messages had no room, the lowest level that is wanted, and how many words there are.
enum class os_log_type : uchar { log_type_default = 0, log_type_info = 1, log_type_debug = 2, log_type_error = 16, log_type_fault = 17 };
template <typename A> constexpr uint __log_words(A) { return 1 + 2 * uint(vec_elements<A>::value); }
inline uint __log_length(constant char* text) { uint length = 0; while (text[length] != 0) ++length; return length; }
struct __log_writer {
    device uint* at;
    void word(uint value) { *at++ = value; }
    void text(constant char* from, uint length) {
        device char* to = (device char*)at;
        for (uint i = 0; i < length; ++i) to[i] = from[i];
        to[length] = 0;
        at += length / 4 + 1;
    }
    // How many components, the bytes of each, and 0 for unsigned integers, 1 for signed ones, 2 for floats, which are written as `float`.
    template <typename A> void kind(uint components) {
        word(components | uint(sizeof(A)) << 8 | (is_floating_point<A>::value ? 2u : uint(is_signed<A>::value)) << 16);
    }
    template <typename A> void number(A value) {
        if constexpr (is_floating_point<A>::value) {
            word(as_type<uint>(float(value)));
            word(0);
        } else {
            word(uint(ulong(value)));
            word(uint(ulong(value) >> 32));
        }
    }
    template <typename A> void put(A value) { kind<A>(1); number(value); }
    template <typename A, int M> void put(vec<A, M> value) {
        kind<A>(M);
        for (int i = 0; i < M; ++i) number(value[i]);
    }
    template <typename A> void put(device A* value) { put(ulong(value)); }
    template <typename A> void put(constant A* value) { put(ulong(value)); }
};
#define LOG(name, level) template <typename... L> void name(constant char* format, L... values) const { __write(level, format, values...); }
struct os_log {
    constexpr os_log() {}
    constexpr os_log(constant char* subsystem, constant char* category) {
        for (uint i = 0; i < 255 && subsystem[i] != 0; ++i) __names[i] = subsystem[i];
        for (uint i = 0; i < 255 && category[i] != 0; ++i) __names[256 + i] = category[i];
    }
    LOG(log, 3) LOG(log_info, 2) LOG(log_debug, 1) LOG(log_error, 4) LOG(log_fault, 5)
    template <typename... L> void log_with_type(os_log_type type, constant char* format, L... values) const {
        uint level = type == os_log_type::log_type_fault ? 5 : type == os_log_type::log_type_error ? 4
            : type == os_log_type::log_type_debug ? 1 : type == os_log_type::log_type_info ? 2 : 3;
        __write(level, format, values...);
    }
    template <typename... L> void __write(uint level, constant char* format, L... values) const {
        device uint* log = __metal_log_buffer();
        if (level < log[2]) return;
        uint lengths[2] = {};
        for (uint i = 0; i < 2; ++i) while (__names[256 * i + lengths[i]] != 0) ++lengths[i];
        uint length = __log_length(format);
        uint words = 5 + lengths[0] / 4 + 1 + lengths[1] / 4 + 1 + length / 4 + 1 + (0 + ... + __log_words(values));
        device atomic_uint* next = (device atomic_uint*)log;
        uint start = atomic_load_explicit(next, memory_order_relaxed);
        if (start <= log[3]) start = atomic_fetch_add_explicit(next, words, memory_order_relaxed);
        if (start > log[3] || log[3] - start < words) {
            atomic_fetch_add_explicit(next + 1, 1, memory_order_relaxed);
            return;
        }
        uint3 thread_position = __metal_get_thread_position_in_grid(uint3());
        __log_writer writer = { log + start };
        writer.word(words);
        writer.word(level);
        for (uint i = 0; i < 3; ++i) writer.word(thread_position[i]);
        for (uint i = 0; i < 2; ++i) {
            device char* to = (device char*)writer.at;
            for (uint j = 0; j <= lengths[i]; ++j) to[j] = __names[256 * i + j];
            writer.at += lengths[i] / 4 + 1;
        }
        writer.text(format, length);
        (writer.put(values), ...);
    }
    // The subsystem and the category, each of at most 255 characters.
    char __names[512] = {};
};
#undef LOG
constant os_log os_log_default;

// The types that <metal_simdgroup> accepts: not bfloat, and no 64-bit types.
template <typename A> struct __is_valid_simdgroup_type {
    static constant constexpr bool value = is_arithmetic<A>::value && sizeof(A) <= 4 && !is_same<A, bool>::value && !is_same<A, bfloat>::value;
};
template <typename A, int M> struct __is_valid_simdgroup_type<vec<A, M>> : __is_valid_simdgroup_type<A> {};

// <metal_limits>. A program specialises either template for its own types. The functions of numbers and of
// vectors of them are constants of the compiler.
template <typename A> struct __limits_of { typedef A scalar; };
template <typename A, int M> struct __limits_of<vec<A, M>> { typedef A scalar; };
template <typename A> struct _numeric_limits_impl {
    typedef typename __limits_of<A>::scalar scalar;
    static constexpr constant bool is_specialized = __is_arithmetic(A);
    static constexpr constant bool is_signed = __is_signed(A);
    static constexpr constant bool is_integer = __is_integral(A);
    static constexpr constant bool is_exact = is_integer;
    static constexpr constant bool has_infinity = __is_floating_point(A);
    static constexpr constant bool has_quiet_NaN = has_infinity;
    static constexpr constant bool has_signaling_NaN = has_infinity;
    static constexpr constant bool is_iec559 = has_infinity;
    static constexpr constant bool is_bounded = is_specialized;
    static constexpr constant bool is_modulo = is_integer && !is_signed;
    static constexpr constant bool is_bfloat = __is_same(scalar, bfloat);
    static constexpr constant bool is_half = __is_same(scalar, half);
    static constexpr constant int radix = is_specialized ? 2 : 0;
    static constexpr constant int digits = is_bfloat ? 8 : is_half ? 11 : has_infinity ? 24 : __is_same(scalar, bool) ? 1 : is_integer ? int(sizeof(scalar)) * 8 - is_signed : 0;
    static constexpr constant int digits10 = is_bfloat ? 2 : is_half ? 3 : has_infinity ? 6 : digits * 30103 / 100000;
    static constexpr constant int max_digits10 = is_bfloat ? 4 : is_half ? 5 : has_infinity ? 9 : 0;
    static constexpr constant int min_exponent = is_half ? -13 : has_infinity ? -125 : 0;
    static constexpr constant int max_exponent = is_half ? 16 : has_infinity ? 128 : 0;
    static constexpr constant int min_exponent10 = is_half ? -4 : has_infinity ? -37 : 0;
    static constexpr constant int max_exponent10 = is_half ? 4 : has_infinity ? 38 : 0;
#define LIMIT(name) static constexpr A name() { if constexpr (__is_arithmetic(A)) { return numeric_limits<A>::name(); } else { return A(); } }
    LIMIT(min) LIMIT(max) LIMIT(lowest) LIMIT(epsilon) LIMIT(round_error)
    LIMIT(infinity) LIMIT(quiet_NaN) LIMIT(signaling_NaN) LIMIT(denorm_min)
#undef LIMIT
};
template <typename A> struct numeric_limits : _numeric_limits_impl<A> {};

// MSL 2.12.1
template <typename A> struct array_ref {
    const thread A* first;
    size_t count;
    const thread A& operator[](size_t at) const { return first[at]; }
    const thread A* begin() const { return first; }
    const thread A* end() const { return first + count; }
    size_t size() const { return count; }
};
template <typename A> array_ref<A> make_array_ref(const thread A* first, size_t count) { return {first, count}; }
template <typename A, size_t M> array_ref<A> make_array_ref(const thread A (&list)[M]) { return {list, M}; }
#define ARRAY_ACCESS(element, object) \
    element& operator[](size_t at) object { return elements[at]; } \
    element* begin() object { return elements; } \
    element* end() object { return elements + M; }
template <typename A, size_t M> struct array {
    A elements[M];
    operator array_ref<A>() const thread { return {elements, M}; }
    ARRAY_ACCESS(thread A, thread)
    ARRAY_ACCESS(const thread A, const thread)
    ARRAY_ACCESS(device A, device)
    ARRAY_ACCESS(const device A, const device)
    ARRAY_ACCESS(constant A, const constant)
    ARRAY_ACCESS(threadgroup A, threadgroup)
    size_t size() const { return M; }
};
#undef ARRAY_ACCESS

// <metal_initializer_list>: the compiler makes the objects.
template <typename A> class initializer_list {
    const thread A* __first;
    uint __count;
public:
    constexpr initializer_list() : __first(nullptr), __count(0) {}
    constexpr const thread A* begin() const { return __first; }
    constexpr const thread A* end() const { return __first + __count; }
    constexpr uint size() const { return __count; }
};

// `vec` of 8 and 16 components, which Metal's compiler has without their functions, and of the 64 elements of a SIMD-group matrix,
// of which a lane has two (MSL 2.4 leaves the layout open).
constexpr int __elements_of(int count) { return count == 64 ? 2 : count; }
template <typename A, int M> struct alignas(sizeof(A) * __elements_of(M)) __wide_vec {
    A elements[__elements_of(M)];
    constexpr __wide_vec() = default;
    constexpr __wide_vec(A value) thread : elements{} { for (int i = 0; i < __elements_of(M); ++i) { elements[i] = value; } }
    template <typename C, typename = enable_if_t<!is_same_v<A, C>>> explicit __wide_vec(__wide_vec<C, M> other) thread : elements{} { for (int i = 0; i < __elements_of(M); ++i) { elements[i] = A(other.elements[i]); } }
#define AT(element, object) element& operator[](size_t at) object { return elements[at]; }
    AT(thread A, thread) AT(const thread A, const thread) AT(device A, device) AT(const device A, const device)
    AT(constant A, const constant) AT(threadgroup A, threadgroup) AT(const threadgroup A, const threadgroup)
#undef AT
};
#define WIDE(op) \
    template <typename A, int M> __wide_vec<A, M> operator op(__wide_vec<A, M> a, __wide_vec<A, M> b) { for (int i = 0; i < __elements_of(M); ++i) { a.elements[i] = a.elements[i] op b.elements[i]; } return a; } \
    template <typename A, int M> __wide_vec<A, M> operator op(__wide_vec<A, M> a, type_identity_t<A> b) { return a op __wide_vec<A, M>(b); } \
    template <typename A, int M> __wide_vec<A, M> operator op(type_identity_t<A> a, __wide_vec<A, M> b) { return __wide_vec<A, M>(a) op b; } \
    template <typename A, int M> thread __wide_vec<A, M>& operator op##=(thread __wide_vec<A, M>& a, __wide_vec<A, M> b) { return a = a op b; } \
    template <typename A, int M> thread __wide_vec<A, M>& operator op##=(thread __wide_vec<A, M>& a, type_identity_t<A> b) { return a = a op __wide_vec<A, M>(b); }
WIDE(+) WIDE(-) WIDE(*) WIDE(/)
#undef WIDE
template <typename A, int M> __wide_vec<A, M> operator-(__wide_vec<A, M> a) { for (int i = 0; i < __elements_of(M); ++i) { a.elements[i] = -a.elements[i]; } return a; }

// <metal_visible_function_table> (MSL 2.15): the number of the entries, then handles (specs/functions.md).
template <typename A> struct visible_function_table {
    constant ulong* entries;
    A* operator[](uint at) const { return (A*)entries[ulong(at) + 1]; }
    uint size() const { return entries ? uint(entries[0]) : 0; }
    bool empty() const { return size() == 0; }
};
template <typename A> bool is_null_visible_function_table(visible_function_table<A> table) { return !table.entries; }

// <metal_command_buffer> (MSL 6.16.2): commands of compute in memory (specs/commands.md).
struct __command {
    ulong pipeline;
    uint action, barrier;
    packed_uint3 grid, group;
    ulong buffers[31];
    uint lengths[31];
};
struct command_buffer { device __command* commands; };
struct compute_pipeline_state { ulong number; };
inline bool is_null_command_buffer(command_buffer b) { return !b.commands; }
inline bool is_null_compute_pipeline_state(compute_pipeline_state p) { return p.number == 0; }
struct compute_command {
    device __command* command;
    explicit compute_command(command_buffer b, uint index) : command(b.commands + index) {}
    void set_compute_pipeline_state(compute_pipeline_state p) { command->pipeline = p.number; }
#define SET_BUFFER(space) \
    template <typename A> void set_kernel_buffer(space A* buffer, uint index) { command->buffers[index < 31 ? index : ~0u] = ulong(buffer); } \
    template <typename A> void set_kernel_buffer(space A* buffer, size_t, uint index) { set_kernel_buffer(buffer, index); }
    SET_BUFFER(device) SET_BUFFER(const device) SET_BUFFER(constant)
#undef SET_BUFFER
    void set_threadgroup_memory_length(uint length, uint index) { command->lengths[index < 31 ? index : ~0u] = (length + 15) / 16 * 16; }
    void set_barrier() { command->barrier = 1; }
    void clear_barrier() { command->barrier = 0; }
    void __dispatch(uint action, uint3 grid, uint3 group) {
        command->action = action;
        command->grid = grid;
        command->group = group;
    }
    void concurrent_dispatch_threadgroups(uint3 grid, uint3 group) { __dispatch(1, grid, group); }
    void concurrent_dispatch_threads(uint3 grid, uint3 group) { __dispatch(2, grid, group); }
    void set_stage_in_region(uint3 origin, uint3 size) {}
    void reset() { *command = __command{}; }
    void copy_command(compute_command source) { *command = *source.command; }
};

// MSL 6.7. Each lane has two elements of a matrix, adjacent in a row.
template <typename A, int M, int R = M> simdgroup_matrix<A, M, R> make_filled_simdgroup_matrix(A value) {
    simdgroup_matrix<A, M, R> filled;
    filled.thread_elements() = vec<A, 2>(value);
    return filled;
}
template <typename A> simdgroup_matrix<A, 8, 8> make_diagonal_simdgroup_matrix(A value) {
    const uint lane = __lane_number();
    const uint row = lane / 16 * 4 + lane / 2 % 4;
    const uint column = lane / 8 % 2 * 4 + lane % 2 * 2;
    simdgroup_matrix<A, 8, 8> diagonal;
    diagonal.thread_elements() = select(vec<A, 2>(0), vec<A, 2>(value), bool2(column == row, column + 1 == row));
    return diagonal;
}
// The origin is in memory coordinates, also when the matrix is transposed.
#define MATRIX_ACCESS(space) \
template <typename A> void simdgroup_load(thread simdgroup_matrix<A, 8, 8>& d, const space A* source, ulong elements_per_row = 8, ulong2 matrix_origin = 0, bool transpose_matrix = false) { \
    source += matrix_origin.y * elements_per_row + matrix_origin.x; \
    d.thread_elements() = __matrix_load(source, transpose_matrix ? 1 : elements_per_row, transpose_matrix ? elements_per_row : 1); \
} \
template <typename A> void simdgroup_store(simdgroup_matrix<A, 8, 8> a, space A* target, ulong elements_per_row = 8, ulong2 matrix_origin = 0, bool transpose_matrix = false) { \
    target += matrix_origin.y * elements_per_row + matrix_origin.x; \
    __matrix_store(target, transpose_matrix ? 1 : elements_per_row, transpose_matrix ? elements_per_row : 1, a.thread_elements()); \
}
MATRIX_ACCESS(device)
MATRIX_ACCESS(threadgroup)
#undef MATRIX_ACCESS
template <typename A, typename L, typename R> void simdgroup_multiply(thread simdgroup_matrix<A, 8, 8>& d, simdgroup_matrix<L, 8, 8> a, simdgroup_matrix<R, 8, 8> b) {
    d.thread_elements() = vec<A, 2>(__matrix_multiply_add(float2(a.thread_elements()), float2(b.thread_elements()), float2(0)));
}
template <typename A, typename L, typename R, typename C> void simdgroup_multiply_accumulate(thread simdgroup_matrix<A, 8, 8>& d, simdgroup_matrix<L, 8, 8> a, simdgroup_matrix<R, 8, 8> b, simdgroup_matrix<C, 8, 8> c) {
    d.thread_elements() = vec<A, 2>(__matrix_multiply_add(float2(a.thread_elements()), float2(b.thread_elements()), float2(c.thread_elements())));
}
template <typename A, typename L, typename R> vec<A, 2> __matrix_product(vec<L, 2> a, vec<R, 2> b, vec<A, 2> c, vec<A, 2>) {
    return vec<A, 2>(__matrix_multiply_add(float2(a), float2(b), float2(c)));
}
template <typename A, typename L, typename R> __wide_vec<A, 64> __matrix_product(__wide_vec<L, 64> a, __wide_vec<R, 64> b, __wide_vec<A, 64> c, __wide_vec<A, 64> d) {
    const vec<A, 2> product = __matrix_product(vec<L, 2>(a[0], a[1]), vec<R, 2>(b[0], b[1]), vec<A, 2>(c[0], c[1]), vec<A, 2>());
    d[0] = product.x;
    d[1] = product.y;
    return d;
}
template <typename A> simdgroup_matrix<A, 8, 8> operator*(simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<A, 8, 8> b) {
    simdgroup_matrix<A, 8, 8> d;
    simdgroup_multiply(d, a, b);
    return d;
}

// Clang's builtins.
template <typename... A> void __unreached(A...) {}
template <typename A, typename B> long __expected(A value, B) { return long(value); }
template <typename A> ushort __swapped16(A value) {
    const ushort x = ushort(value);
    return x >> 8 | x << 8;
}
template <typename A> uint __swapped32(A value) {
    const uint x = uint(value);
    return uint(__swapped16(x)) << 16 | __swapped16(x >> 16);
}
template <typename A> ulong __swapped64(A value) {
    const ulong x = ulong(value);
    return ulong(__swapped32(x)) << 32 | __swapped32(x >> 32);
}
