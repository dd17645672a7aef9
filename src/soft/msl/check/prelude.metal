// The part of the library that is written in MSL. If a row of the table in builtins.rs is marked
// "prelude", its body is here, generic in T (its type), S (T's scalar), B, I, U (bool, int and
// uint of T's width) and N (unsigned of T's size). The rest is ordinary code of namespace metal.

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
    T low = x * y;
    N sum = N(low) + N(z);
    bool is_signed = S(-1) < S(0);
    T carry = select(T(0), T(1), sum < N(low));
    T high = mulhi(x, y) + carry + (is_signed ? z >> T(31) : T(0));
    T sign_of_sum = is_signed ? T(sum) >> T(31) : T(0);
    T top = is_signed ? T(0x7fffffff) : T(~0u);
    T bottom = is_signed ? T(0x80000000) : T(0);
    return select(T(sum), select(top, bottom, high < T(0)), high != sign_of_sum);
}
T max3(T x, T y, T z) { return max(x, max(y, z)); }
T min3(T x, T y, T z) { return min(x, min(y, z)); }
T median3(T x, T y, T z) { return max(min(x, y), min(max(x, y), z)); }

// MSL 6.4
B isfinite(T x) { return !(isinf(x) | isnan(x)); }
B isordered(T x, T y) { return !(isnan(x) | isnan(y)); }
B isunordered(T x, T y) { return isnan(x) | isnan(y); }

// MSL 6.5
T fdim(T x, T y) { return select(T(0), x - y, !(x <= y)); }
T fmax3(T x, T y, T z) { return max(x, max(y, z)); }
T fmin3(T x, T y, T z) { return min(x, min(y, z)); }
T fmedian3(T x, T y, T z) { return max(min(x, y), min(max(x, y), z)); }
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
inline float3 unpack_unorm565_to_float(ushort x) { return float3(x >> 11, x >> 5 & 63, x & 31) / float3(31, 63, 31); }
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
inline ushort pack_float_to_unorm565(float3 x) {
    uint3 v = uint3(rint(saturate(x) * float3(31, 63, 31)));
    return ushort(v.x << 11 | v.y << 5 | v.z);
}

// <metal_type_traits>, after C++14 [meta].
template <typename A, A V> struct integral_constant {
    static constant constexpr A value = V;
    typedef A value_type;
    operator A() const { return V; }
};
template <bool V> using bool_constant = integral_constant<bool, V>;
typedef integral_constant<bool, true> true_type;
typedef integral_constant<bool, false> false_type;
template <typename A> struct __is_valid_simdgroup_type : false_type {};
template <> struct __is_valid_simdgroup_type<char> : true_type {};
template <> struct __is_valid_simdgroup_type<uchar> : true_type {};
template <> struct __is_valid_simdgroup_type<short> : true_type {};
template <> struct __is_valid_simdgroup_type<ushort> : true_type {};
template <> struct __is_valid_simdgroup_type<int> : true_type {};
template <> struct __is_valid_simdgroup_type<uint> : true_type {};
template <> struct __is_valid_simdgroup_type<half> : true_type {};
template <> struct __is_valid_simdgroup_type<float> : true_type {};
template <typename A, int N> struct __is_valid_simdgroup_type<vec<A, N>> : __is_valid_simdgroup_type<A> {};
template <bool V, typename A = void> struct enable_if {};
template <typename A> struct enable_if<true, A> { typedef A type; };
template <bool V, typename A = void> using enable_if_t = typename enable_if<V, A>::type;
template <bool V, typename A, typename C> struct conditional { typedef A type; };
template <typename A, typename C> struct conditional<false, A, C> { typedef C type; };
template <bool V, typename A, typename C> using conditional_t = typename conditional<V, A, C>::type;
template <typename A, typename C> struct is_same { static constant constexpr bool value = false; };
template <typename A> struct is_same<A, A> { static constant constexpr bool value = true; };
template <typename A, typename C> constexpr constant bool is_same_v = is_same<A, C>::value;
template <typename A> struct remove_const { typedef A type; };
template <typename A> struct remove_const<const A> { typedef A type; };
template <typename A> using remove_const_t = typename remove_const<A>::type;
template <typename A> struct remove_cv { typedef A type; };
template <typename A> struct remove_cv<const A> { typedef A type; };
template <typename A> struct remove_cv<volatile A> { typedef A type; };
template <typename A> struct remove_cv<const volatile A> { typedef A type; };
template <typename A> using remove_cv_t = typename remove_cv<A>::type;
template <typename A> struct is_floating_point { static constant constexpr bool value = is_same<A, float>::value || is_same<A, half>::value || is_same<A, bfloat>::value; };
template <typename A> constexpr constant bool is_floating_point_v = is_floating_point<A>::value;
template <typename A> struct is_integral {
    static constant constexpr bool value = is_same<A, bool>::value || is_same<A, char>::value || is_same<A, uchar>::value ||
        is_same<A, short>::value || is_same<A, ushort>::value || is_same<A, int>::value || is_same<A, uint>::value ||
        is_same<A, long>::value || is_same<A, ulong>::value;
};
template <typename A> constexpr constant bool is_integral_v = is_integral<A>::value;
template <typename A> struct is_arithmetic { static constant constexpr bool value = is_integral<A>::value || is_floating_point<A>::value; };
template <typename A> constexpr constant bool is_arithmetic_v = is_arithmetic<A>::value;
template <typename A> struct is_signed { static constant constexpr bool value = A(-1) < A(0); };
template <typename A> constexpr constant bool is_signed_v = is_signed<A>::value;
template <typename A> struct is_unsigned { static constant constexpr bool value = is_integral<A>::value && !is_signed<A>::value; };
template <typename A> constexpr constant bool is_unsigned_v = is_unsigned<A>::value;
template <typename A> struct make_unsigned { typedef A type; };
template <> struct make_unsigned<char> { typedef uchar type; };
template <> struct make_unsigned<short> { typedef ushort type; };
template <> struct make_unsigned<int> { typedef uint type; };
template <> struct make_unsigned<long> { typedef ulong type; };
template <typename A> using make_unsigned_t = typename make_unsigned<A>::type;
template <typename A> struct vec_elements { static constant constexpr size_t value = 1; };
template <typename A, int M> struct vec_elements<vec<A, M>> { static constant constexpr size_t value = M; };

// The types that <metal_simdgroup> accepts: not bfloat, and no 64-bit types.
template <typename A> struct __is_valid_simdgroup_type {
    static constant constexpr bool value = is_arithmetic<A>::value && sizeof(A) <= 4 && !is_same<A, bool>::value && !is_same<A, bfloat>::value;
};
template <typename A, int M> struct __is_valid_simdgroup_type<vec<A, M>> : __is_valid_simdgroup_type<A> {};

// The template that a program specialises for numeric_limits of its own types.
template <typename A> struct _numeric_limits_impl;

// MSL 2.12.1
template <typename A> struct array_ref {
    const thread A* first;
    size_t count;
    const thread A& operator[](size_t at) const { return first[at]; }
    const thread A* begin() const { return first; }
    const thread A* end() const { return first + count; }
    size_t size() const { return count; }
};
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
template <typename A> simdgroup_matrix<A, 8, 8> operator*(simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<A, 8, 8> b) {
    simdgroup_matrix<A, 8, 8> d;
    simdgroup_multiply(d, a, b);
    return d;
}
