// <MetalPerformancePrimitives/MetalPerformancePrimitives.h> (MSL 7): products of matrices. See specs/tensors.md.
#pragma once
#include <metal_tensor>
#ifdef __HAVE_TENSOR__
namespace mpp {
namespace tensor_ops {
struct matmul2d_descriptor {
    enum class mode { multiply, multiply_accumulate };
    int m, n, k;
    bool transpose_left, transpose_right, relaxed_precision;
    mode matmul_mode;
    constexpr matmul2d_descriptor(int m, int n, int k = static_cast<int>(metal::dynamic_extent), bool transpose_left = false,
                                  bool transpose_right = false, bool relaxed_precision = false, mode matmul_mode = mode::multiply)
        : m(m), n(n), k(k), transpose_left(transpose_left), transpose_right(transpose_right), relaxed_precision(relaxed_precision), matmul_mode(matmul_mode) {}
};

// Reductions and convolutions are declared, so that files with them compile: their functions refuse.
enum class reduction_operation { sum, max, min };
template <typename T> struct reduction_operation_identity {
    static constexpr constant T sum_identity = T(0);
    static constexpr constant T max_identity = metal::numeric_limits<T>::lowest();
    static constexpr constant T min_identity = metal::numeric_limits<T>::max();
};
template <typename T> struct __reduced {
    thread T& operator[](ushort at) const;
    ushort get_capacity() const;
    bool is_valid_element(ushort at) const;
    metal::array<int, 1> get_multidimensional_index(ushort at) const;
    metal::__iterator<T> begin() const;
    metal::__iterator<T> end() const;
    template <typename I> metal::__iterator<T> map_iterator(I from) const;
};
template <typename T> void __refuse_reduction() { static_assert(!metal::is_same_v<T, T>, "reductions of cooperative tensors are not supported"); }
template <typename T> void __refuse_convolution() { static_assert(!metal::is_same_v<T, T>, "convolutions are not supported"); }
template <typename S, typename D, typename... A> void reduce_rows(thread S& source, thread D& destination, A... options) { __refuse_reduction<S>(); }
template <typename S, typename D, typename... A> void reduce_columns(thread S& source, thread D& destination, A... options) { __refuse_reduction<S>(); }
template <typename S, typename D> bool is_iterator_compatible(thread S& source, thread D& destination) {
    __refuse_reduction<S>();
    return false;
}
struct convolution2d_descriptor {
    enum class mode { multiply, multiply_accumulate };
    enum class activation_layout { nhwc };
    enum class weights_layout { hwio };
    template <typename... A> constexpr convolution2d_descriptor(A... options) {}
};
template <convolution2d_descriptor D, typename Scope, typename... Args> struct convolution2d {
    template <typename... A> void set_offsets(A... offsets) const { __refuse_convolution<Scope>(); }
    template <typename A, typename B, typename C> __reduced<C> get_destination_cooperative_tensor() const {
        __refuse_convolution<Scope>();
        return __reduced<C>{};
    }
    template <typename A, typename B, typename C> void run(thread A& activation, thread B& weights, thread C& destination) const { __refuse_convolution<Scope>(); }
};

// The element type of a tensor, or the type itself.
template <typename T> struct __element { typedef T type; };
template <typename T, typename X, typename D, typename... G> struct __element<metal::tensor<T, X, D, G...>> { typedef typename metal::tensor<T, X, D, G...>::value_type type; };
template <typename T, typename X, typename L> struct __element<metal::cooperative_tensor<T, X, L>> { typedef T type; };
template <typename T> using __element_t = typename __element<metal::remove_cvref_t<T>>::type;

template <typename T> constexpr constant bool __is_byte_v = metal::is_same_v<T, char> || metal::is_same_v<T, uchar>;
template <typename T> constexpr constant bool __is_factor_v = __is_byte_v<T> || metal::is_same_v<T, half> || metal::is_same_v<T, bfloat> || metal::is_same_v<T, float>;
// MSL, table 7.3: integers make int or a floating-point type, others a floating-point type.
template <typename A, typename B, typename C> constexpr constant bool __is_product_v =
    __is_factor_v<A> && __is_factor_v<B> &&
    (metal::is_same_v<C, float> || metal::is_same_v<C, half> || metal::is_same_v<C, bfloat> || (metal::is_same_v<C, int> && __is_byte_v<A> && __is_byte_v<B>));

// An input in memory: rows or columns of the product, and the length along `k`.
template <typename T> struct __view {
    T* data;
    long across, along;
    int count, length;
    template <typename V> V __at(int x, int k) const { return x < count && k < length ? V(data[x * across + k * along]) : V(0); }
};
// One that threads hold.
struct __held { int length; };
// `K` is the dimension of an input along which products are added.
template <typename T, int K> static auto __view_of(const thread T& input) {
    if constexpr (metal::__is_tensor_v<T>) {
        static_assert(T::get_rank() == 2, "the inputs of a product have two dimensions");
        return __view<typename T::element_type>{metal::__data_of(input), long(input.get_stride(1 - K)), long(input.get_stride(K)), int(input.get_extent(1 - K)), int(input.get_extent(K))};
    } else {
        return __held{K == 0 ? T::__layout::__columns : T::__layout::__rows};
    }
}

template <matmul2d_descriptor D, typename Scope, typename... Args> struct matmul2d {
    static constexpr constant matmul2d_descriptor descriptor = D;
    typedef Scope scope;
    static_assert(D.m > 0 && D.n > 0, "the sizes m and n of a product are positive");
    static constexpr constant bool __accumulates = D.matmul_mode == matmul2d_descriptor::mode::multiply_accumulate;

    template <typename T, int C, int R, typename I> using __tile_t = metal::cooperative_tensor<T, metal::extents<I, C, R>, metal::__tile<C, R, Scope>>;

    template <typename A, typename B, typename C, typename I = int> __tile_t<C, D.n, D.m, I> get_destination_cooperative_tensor() const {
        static_assert(__is_product_v<__element_t<A>, __element_t<B>, C>, "matmul2d has no product of these types");
        return __tile_t<C, D.n, D.m, I>{};
    }
    template <typename A, typename B, typename C, typename I = int> __tile_t<A, D.transpose_left ? D.m : D.k, D.transpose_left ? D.k : D.m, I> get_left_input_cooperative_tensor() const {
        __check_input();
        return __tile_t<A, D.transpose_left ? D.m : D.k, D.transpose_left ? D.k : D.m, I>{};
    }
    template <typename A, typename B, typename C, typename I = int> __tile_t<B, D.transpose_right ? D.k : D.n, D.transpose_right ? D.n : D.k, I> get_right_input_cooperative_tensor() const {
        __check_input();
        return __tile_t<B, D.transpose_right ? D.k : D.n, D.transpose_right ? D.n : D.k, I>{};
    }
    template <typename A, typename B, typename C> __reduced<C> get_row_reduction_destination_cooperative_tensor() const {
        __refuse_reduction<C>();
        return __reduced<C>{};
    }
    template <typename A, typename B, typename C> __reduced<C> get_column_reduction_destination_cooperative_tensor() const {
        __refuse_reduction<C>();
        return __reduced<C>{};
    }
    static constexpr void __check_input() {
        static_assert(Scope::__simdgroup, "only a SIMD-group has cooperative tensors as inputs");
        static_assert(D.k > 0 && D.m % 16 == 0 && D.n % 16 == 0 && D.k % 16 == 0, "the sizes of cooperative inputs are multiples of 16");
    }

    // The element of an input at a row or column of the product, and at `k`.
    template <typename V, typename T, typename M> static V __left(const thread T& left, const thread M& view, int m, int k) {
        if constexpr (metal::__is_tensor_v<T>) { return view.template __at<V>(m, k); }
        else if constexpr (D.transpose_left) { return left.template __shared<true, false, V>(m, k); }
        else { return left.template __shared<false, true, V>(k, m); }
    }
    template <typename V, typename T, typename M> static V __right(const thread T& right, const thread M& view, int k, int n) {
        if constexpr (metal::__is_tensor_v<T>) { return view.template __at<V>(n, k); }
        else if constexpr (D.transpose_right) { return right.template __shared<false, true, V>(k, n); }
        else { return right.template __shared<true, false, V>(n, k); }
    }

    // The product in a SIMD-group, by matrices of 8 by 8. A thread's elements of a fragment's row are those of two such matrices, each
    // with every other pair of columns; so the columns of the right input are taken in this order.
    template <typename L, typename R, typename T, typename M, typename N>
    static void __multiply(const thread L& left, const thread R& right, thread T& destination, const thread M& a, const thread N& b, int length) {
        constexpr bool kept_left = metal::__is_cooperative_tensor_v<L>, kept_right = metal::__is_cooperative_tensor_v<R>;
        const int lane = Scope::__index();
        const int row = (lane >> 2 & 4) + (lane >> 1 & 3), pair = ((lane >> 2 & 2) | (lane & 1)) * 2;
        const int steps = (length + 7) / 8;
        // Inputs that threads hold are exchanged once.
        float2 lefts[kept_left ? D.m / 8 * (D.k / 8) : 1], rights[kept_right ? D.n / 8 * (D.k / 8) : 1];
        if constexpr (kept_left) {
            for (int i = 0; i < D.m / 8 * (D.k / 8); ++i) {
                const int m = i / (D.k / 8) * 8 + row, k = i % (D.k / 8) * 8 + pair;
                if constexpr (D.transpose_left) { lefts[i] = float2(left.template __shared<true, false, float>(m, k), left.template __shared<true, false, float>(m, k + 1)); }
                else { lefts[i] = float2(left.template __shared<true, false, float>(k, m), left.template __shared<true, false, float>(k + 1, m)); }
            }
        }
        if constexpr (kept_right) {
            for (int i = 0; i < D.n / 8 * (D.k / 8); ++i) {
                const int k8 = i / (D.n / 8), at = i % (D.n / 8);
                if constexpr (D.transpose_right) {
                    const int n = at / 2 * 16 + pair * 2 + at % 2 * 2, k = k8 * 8 + row;
                    rights[i] = float2(right.template __shared<true, true, float>(k, n), right.template __shared<true, true, float>(k, n + 1));
                } else {
                    const int first = (k8 / 2 * (D.n / 16) + at / 2) * 8 + k8 % 2 * 4 + at % 2 * 2;
                    rights[i] = float2(float(right.__elements[first]), float(right.__elements[first + 1]));
                }
            }
        }
        for (int i = 0; i < D.m / 8 * (D.n / 8); ++i) {
            const int m8 = i / (D.n / 8), at = i % (D.n / 8);
            const int first = (m8 / 2 * (D.n / 16) + at / 2) * 8 + m8 % 2 * 4 + at % 2 * 2;
            const int n = at / 2 * 16 + pair * 2 + at % 2 * 2;
            metal::simdgroup_float8x8 sum, x, y;
            sum.thread_elements() = __accumulates ? float2(float(destination[first]), float(destination[first + 1])) : float2(0);
            for (int k8 = 0; k8 < steps; ++k8) {
                if constexpr (kept_left) { x.thread_elements() = lefts[m8 * (D.k / 8) + k8]; }
                else { x.thread_elements() = float2(a.template __at<float>(m8 * 8 + row, k8 * 8 + pair), a.template __at<float>(m8 * 8 + row, k8 * 8 + pair + 1)); }
                if constexpr (kept_right) { y.thread_elements() = rights[k8 * (D.n / 8) + at]; }
                else { y.thread_elements() = float2(b.template __at<float>(n, k8 * 8 + row), b.template __at<float>(n + 1, k8 * 8 + row)); }
                metal::simdgroup_multiply_accumulate(sum, x, y, sum);
            }
            typedef __element_t<T> E;
            destination[first] = E(sum.thread_elements().x);
            destination[first + 1] = E(sum.thread_elements().y);
        }
    }

    template <typename A, typename B, typename C> void run(thread A& left, thread B& right, thread C& destination) const {
        typedef metal::remove_cvref_t<A> L;
        typedef metal::remove_cvref_t<B> R;
        typedef metal::remove_cvref_t<C> T;
        typedef __element_t<C> E;
        static_assert(metal::__is_tensor_v<L> || metal::__is_cooperative_tensor_v<L>, "the left operand of a product is a tensor");
        static_assert(metal::__is_tensor_v<R> || metal::__is_cooperative_tensor_v<R>, "the right operand of a product is a tensor");
        static_assert(__is_product_v<__element_t<A>, __element_t<B>, E>, "matmul2d has no product of these types");
        if constexpr (metal::__is_cooperative_tensor_v<T>) {
            static_assert(T::__layout::__columns == D.n && T::__layout::__rows == D.m, "the destination is a tile of this product");
            typedef metal::conditional_t<__is_byte_v<__element_t<A>> && __is_byte_v<__element_t<B>>, int, float> V;
            auto a = __view_of<L, D.transpose_left ? 1 : 0>(left);
            auto b = __view_of<R, D.transpose_right ? 0 : 1>(right);
            int length = metal::min(a.length, b.length);
            if (D.k != int(metal::dynamic_extent)) { length = metal::min(length, D.k); }
            // No input has elements past the common length.
            a.length = b.length = length;
            if constexpr (T::__layout::__fragments && metal::is_same_v<V, float>) { return __multiply(left, right, destination, a, b, length); }
            for (int i = 0; i < T::__layout::__capacity; ++i) {
                const int2 place = T::__layout::__place(i);
                V sum = 0;
                if constexpr (__accumulates) { sum = V(destination[i]); }
                for (int k = 0; k < length; ++k) {
                    const V x = __left<V>(left, a, place.y, k), y = __right<V>(right, b, k, place.x);
                    if constexpr (metal::is_same_v<V, float>) { sum = metal::fma(x, y, sum); }
                    else { sum += x * y; }
                }
                destination[i] = E(sum);
            }
        } else {
            static_assert(metal::__is_tensor_v<T>, "the destination of a product is a tensor");
            auto tile = get_destination_cooperative_tensor<L, R, E>();
            if constexpr (__accumulates) { tile.load(destination); }
            run(left, right, tile);
            tile.store(destination);
        }
    }
};
}
}
#endif
