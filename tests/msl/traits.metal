// <metal_type_traits> and <metal_limits> (C++14 meta): of scalars, of vectors and of classes.
#include <metal_stdlib>
#include <metal_type_traits>
#include <simd/vector_types.h>
using namespace metal;

struct Empty {};
struct Base { int x; };
struct Derived : Base { Derived(int) {} operator float() const { return 1; } };
union Either { int i; float f; };
enum class Colour : uchar { red };
#define HOLDS(...) static_assert(__VA_ARGS__, "")
HOLDS(is_integral_v<int4> && is_integral<uchar>::value && !is_integral_v<float3> && !is_integral_v<Colour>);
HOLDS(is_floating_point_v<half2> && is_arithmetic_v<bool> && is_signed_v<int2> && is_signed_v<float> && is_unsigned_v<uint3>);
HOLDS(is_scalar_v<int> && !is_scalar_v<int2> && is_vector_v<packed_float3> && is_scalar_v<device int*>);
HOLDS(is_class_v<Base> && !is_class_v<Either> && is_union_v<Either> && is_enum_v<Colour> && is_empty_v<Empty> && !is_empty_v<Base>);
HOLDS(is_void_v<void> && is_pointer_v<thread float*> && is_array_v<int[3]> && is_reference_v<device int&> && is_const_v<const int>);
HOLDS(is_base_of_v<Base, Derived> && !is_base_of_v<Derived, Base> && is_same_v<float4, vec<float, 4>> && !is_same_v<const int, int>);
HOLDS(is_convertible_v<int, float> && is_convertible_v<Derived, float> && !is_convertible_v<float, Empty> && is_convertible_v<int, Derived> && !is_convertible_v<float, bfloat>);
HOLDS(is_constructible_v<Derived, int> && !is_constructible_v<Derived> && is_default_constructible_v<Empty> && is_trivial_v<Base> && !is_trivial_v<Derived>);
HOLDS(conjunction_v<is_integral<int>, is_signed<int>> && _disjunction<is_void<int>, is_integral<int>>::value && negation_v<is_void<int>>);
HOLDS(is_same_v<remove_cv_t<const volatile int>, int> && is_same_v<remove_const_t<const int>, int> && is_same_v<add_const_t<int>, const int>);
HOLDS(is_same_v<remove_addrspace_t<device int>, int> && is_same_v<remove_reference_t<device int&>, device int> && is_same_v<remove_pointer_t<constant half*>, constant half>);
HOLDS(is_same_v<decay_t<const device int&>, int> && is_same_v<remove_extent_t<int[3]>, int> && is_same_v<remove_all_extents_t<int[3][4]>, int>);
HOLDS(rank_v<int[2][3]> == 2);
HOLDS(extent_v<int[2][3]> == 2);
HOLDS(extent_v<int[2][3], 1> == 3);
HOLDS(alignment_of_v<float3> == 16);
HOLDS(is_same_v<common_type_t<int, float>, float> && is_same_v<common_type_t<short, char, long>, long> && is_same_v<decltype(declval<int>() + declval<half>()), half>);
HOLDS(is_same_v<make_unsigned_t<int>, uint> && is_same_v<make_signed_t<ulong2>, long2> && is_same_v<underlying_type_t<Colour>, uchar>);
HOLDS(is_same_v<make_index_sequence<5>, index_sequence<0, 1, 2, 3, 4>> && index_sequence_for<int, float>::size() == 2);
HOLDS(is_same_v<void_t<int, float>, void> && is_same_v<integral_constant<int, 3>::type, integral_constant<int, 3>> && true_type{});
// Objects that are made, copied and laid out without code.
struct WithDefault { int n = 3; };
struct OfDefault { WithDefault one[2]; };
struct OwnCopy { int n; OwnCopy() = default; OwnCopy(const thread OwnCopy& o) : n(o.n) {} };
struct OfOwnCopy { OwnCopy one; };
struct NoCopy { int n; NoCopy(const thread NoCopy&) = delete; thread NoCopy& operator=(const thread NoCopy&) = delete; };
struct NoAssignment { int n; thread NoAssignment& operator=(const thread NoAssignment&) = delete; };
struct TwoParts : Base { int y; };
struct FirstIsBase : Empty { Empty first; };
struct Constant { int n; constexpr Constant(int v) : n(v) {} };
struct Callable { float operator()(int a) const { return a; } };
HOLDS(is_trivially_constructible_v<Base> && !is_trivially_constructible_v<WithDefault> && !is_trivial_v<OfDefault> && is_trivial_v<int4>);
HOLDS(is_trivially_constructible_v<Base, Base> && !is_trivially_constructible_v<Derived, int> && is_trivially_constructible_v<int, float>);
HOLDS(is_trivially_copyable_v<OfDefault> && !is_trivially_copyable_v<OwnCopy> && !is_trivially_copyable_v<OfOwnCopy[2]> && !is_trivially_copyable_v<void>);
HOLDS(!is_copy_constructible_v<NoCopy> && !is_copy_assignable_v<NoCopy> && is_copy_constructible_v<NoAssignment> && !is_copy_assignable_v<NoAssignment>);
HOLDS(!is_copy_assignable_v<const int> && is_copy_assignable_v<Base> && is_trivially_copy_assignable_v<Base> && !is_trivially_copy_assignable_v<OwnCopy>);
HOLDS(is_trivially_copyable_v<NoAssignment> && !is_trivially_copyable_v<NoCopy> && !is_copy_constructible_v<void>);
HOLDS(is_standard_layout_v<Base> && !is_standard_layout_v<TwoParts> && !is_standard_layout_v<FirstIsBase> && is_standard_layout_v<Derived> && !is_standard_layout_v<void>);
HOLDS(is_literal_type_v<void> && is_literal_type_v<Base> && !is_literal_type_v<Derived> && is_literal_type_v<Constant> && is_pod_v<Base> && !is_pod_v<TwoParts>);
HOLDS(is_same_v<invoke_result_t<Callable, int>, float> && is_same_v<type_identity_t<int>, int>);
struct OnlyMoves { int n; OnlyMoves(thread OnlyMoves&& o) : n(o.n) {} };
struct OfNoCopy { NoCopy one[2]; };
struct NoEnd { ~NoEnd() = delete; };
struct OfNoEnd { NoEnd one; };
struct NoStart { int n; NoStart() = delete; };
struct NeedsValue { const int n; };
struct HasValue { const int n = 1; thread int* p; };
HOLDS(!is_copy_constructible_v<OnlyMoves> && is_move_constructible_v<OnlyMoves> && !is_copy_constructible_v<OfNoCopy> && !is_copy_assignable_v<OfNoCopy>);
struct OnlyMovesTo { int n; thread OnlyMovesTo& operator=(thread OnlyMovesTo&& o) { n = o.n; return *this; } };
struct NoDeviceCopy { int n; NoDeviceCopy(const device NoDeviceCopy&) = delete; NoDeviceCopy(const thread NoDeviceCopy&) = default; };
HOLDS(!is_copy_assignable_v<OnlyMoves> && !is_move_assignable_v<OnlyMoves> && !is_copy_assignable_v<OnlyMovesTo> && is_move_assignable_v<OnlyMovesTo>);
HOLDS(!is_copy_constructible_v<OnlyMovesTo> && !is_move_constructible_v<OnlyMovesTo> && is_copy_constructible_v<NoDeviceCopy>);
HOLDS(!is_constructible_v<OfNoEnd> && !is_constructible_v<NoStart> && !is_constructible_v<NeedsValue> && is_constructible_v<HasValue> && !is_copy_assignable_v<NeedsValue>);
HOLDS(is_constructible_v<Either> && is_constructible_v<WithDefault[3]> && !is_constructible_v<Derived[3]> && !is_constructible_v<thread int&> && !is_constructible_v<int()>);
HOLDS(!is_same_v<vec<float, 64>, float2>);
// Variable templates with specialisations, full, partial and of packs, and arguments with address spaces.
template <typename T> struct Boxed {};
template <typename T, typename... L> struct Bag {};
template <typename T> constexpr constant int kind_of = 0;
template <> constexpr constant int kind_of<half> = 1;
template <typename T> constexpr constant int kind_of<Boxed<T>> = 2 + kind_of<T>;
template <typename T, typename... L> constexpr constant int kind_of<Bag<T, L...>> = 10 + sizeof...(L);
HOLDS(kind_of<int> == 0 && kind_of<half> == 1 && kind_of<Boxed<half>> == 3 && kind_of<Bag<int, int, half>> == 12);
struct First {};
template <typename T, typename D = First> struct Spaced { static constexpr constant int value = 1; };
template <typename T> struct Spaced<T, Empty> { static constexpr constant int value = 2; typedef T type; };
HOLDS(Spaced<device int>::value == 1 && Spaced<device int, Empty>::value == 2 && is_same_v<Spaced<device int, Empty>::type, device int>);

// An object of a class as an argument: equal objects are one.
struct Shape { int rows, columns; bool square; constexpr Shape(int r, int c = 4) : rows(r), columns(c), square(r == c) {} };
template <Shape S, typename T> struct Shaped { static constexpr constant int area = S.rows * S.columns; static constexpr constant bool square = S.square; };
constexpr constant Shape four_by_four = Shape(4);
HOLDS(Shaped<Shape(2, 3), int>::area == 6 && Shaped<four_by_four, int>::square && is_same_v<Shaped<four_by_four, int>, Shaped<Shape(4, 4), int>>);
template <int N> struct Sized { static constexpr constant int value = N; };
struct Wide { int n; constexpr Wide(int n) : n(n) {} constexpr operator int() const { return n * 2; } };
HOLDS(Sized<integral_constant<int, 5>{}>::value == 5 && Sized<Wide(4)>::value == 8);
HOLDS(!is_same_v<Shaped<Shape(2), int>, Shaped<Shape(3), int>>);
HOLDS(__is_class(Base) && __is_same(int, int) && !__is_convertible(float, Empty));
HOLDS(numeric_limits<float>::digits == 24 && numeric_limits<int>::is_integer && numeric_limits<ushort>::digits == 16 && numeric_limits<half>::max_exponent == 16);
HOLDS(!numeric_limits<Empty>::is_specialized && numeric_limits<bfloat>::has_infinity && numeric_limits<int>::digits10 == 9);

struct Fixed { short raw; };
namespace metal {
template <> struct numeric_limits<Fixed> {
    static constexpr constant bool is_specialized = true;
    static Fixed max() { return {32767}; }
};
}

kernel void limits(device float* out [[buffer(0)]]) {
    using Half = numeric_limits<half>;
    out[0] = Half::max();
    out[1] = numeric_limits<float3>::max().y == FLT_MAX;
    out[2] = numeric_limits<int2>::lowest().x == INT_MIN;
    out[3] = numeric_limits<Fixed>::max().raw;
    uniform<int> n = make_uniform(3);
    const uniform<int> twice = n * 2;
    out[4] = n + twice;
}
