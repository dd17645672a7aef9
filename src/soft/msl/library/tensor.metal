// <metal_tensor> and <metal_cooperative_tensor> (MSL 2.20): tensors over memory, and tensors whose elements the threads of
// a scope hold. See specs/tensors.md.
#pragma once
#ifdef __HAVE_TENSOR__
namespace metal {
constexpr constant size_t dynamic_extent = size_t(-1);

// Sizes of dimensions, the innermost first (MSL 2.20.1).
template <typename I, size_t... E> struct extents {
    typedef I index_type;
    typedef make_unsigned_t<I> size_type;
    typedef size_t rank_type;
    static_assert(is_integral_v<I> && !is_vector_v<I> && !is_same_v<I, bool>, "the index of extents is an integer");
    static constexpr size_t rank() { return sizeof...(E); }
    static constexpr size_t rank_dynamic() { return (size_t(E == dynamic_extent) + ... + 0); }
    static constexpr size_t static_extent(size_t r) {
        const size_t all[] = {E..., 0};
        return all[r];
    }
    constexpr extents() : __sizes{(E == dynamic_extent ? I(0) : I(E))...} {}
    template <typename... S, typename = enable_if_t<(sizeof...(S) > 0)>> constexpr extents(S... sizes) : __sizes{} {
        static_assert(sizeof...(S) == rank() || sizeof...(S) == rank_dynamic(), "extents take a size for each dimension, or for each dynamic one");
        const I given[] = {I(sizes)...};
        size_t next = 0;
        for (size_t r = 0; r < rank(); ++r) {
            const bool known = static_extent(r) != dynamic_extent;
            __sizes[r] = known ? I(static_extent(r)) : given[next];
            next += sizeof...(S) == rank() || !known;
        }
    }
    constexpr I extent(size_t r) const { return __sizes[r]; }
    I __sizes[sizeof...(E) + (sizeof...(E) == 0)];
};
template <typename I, typename S> struct __dynamic_extents;
template <typename I, size_t... N> struct __dynamic_extents<I, index_sequence<N...>> { typedef extents<I, (N, dynamic_extent)...> type; };
template <typename I, size_t R> using dextents = typename __dynamic_extents<I, make_index_sequence<R>>::type;

struct tensor_handle {};
struct tensor_inline {};
struct tensor_offset {};

template <typename T, typename X, typename D = tensor_handle, typename... Tags> struct tensor;

template <typename I, size_t R, size_t... S> struct __slice_extents { typedef extents<I, S...> type; };
template <typename I, size_t R> struct __slice_extents<I, R> { typedef dextents<I, R> type; };

// A tensor that is made in a function: a pointer with sizes and strides (MSL 2.20.2.3).
template <typename T, typename X, typename... Tags> struct tensor<T, X, tensor_inline, Tags...> {
    typedef T element_type;
    typedef remove_cv_t<remove_addrspace_t<T>> value_type;
    typedef X extents_type;
    typedef typename X::index_type index_type;
    typedef typename X::size_type size_type;
    typedef typename X::rank_type rank_type;
    static_assert(is_arithmetic_v<value_type> && !is_vector_v<value_type> && !is_same_v<value_type, bool>, "the elements of a tensor are numbers");

    T* __data;
    X __sizes;
    index_type __strides[X::rank()];

    tensor(T* data, X sizes) : __data(data), __sizes(sizes) {
        index_type stride = 1;
        for (size_t r = 0; r < X::rank(); ++r) {
            __strides[r] = stride;
            stride *= sizes.extent(r);
        }
    }
    template <typename I, size_t R> tensor(T* data, X sizes, array<I, R> strides) : __data(data), __sizes(sizes) {
        static_assert(R == X::rank(), "a tensor has a stride for each dimension");
        for (size_t r = 0; r < R; ++r) { __strides[r] = index_type(strides[r]); }
    }

    static constexpr size_t get_rank() { return X::rank(); }
    static constexpr size_t get_static_extent(size_t r) { return X::static_extent(r); }
    index_type get_extent(size_t r) const { return __sizes.extent(r); }
    index_type get_stride(size_t r) const { return __strides[r]; }
    X extents() const { return __sizes; }

    T* __at(const thread index_type* at) const {
        long offset = 0;
        for (size_t r = 0; r < X::rank(); ++r) { offset += long(at[r]) * long(__strides[r]); }
        return __data + offset;
    }
    bool __has(const thread index_type* at) const {
        bool inside = true;
        for (size_t r = 0; r < X::rank(); ++r) { inside = inside && long(at[r]) >= 0 && long(at[r]) < long(__sizes.extent(r)); }
        return inside;
    }
    template <typename... I> value_type load(I... at) const {
        static_assert(sizeof...(I) == X::rank(), "an element of a tensor has an index for each dimension");
        const index_type all[] = {index_type(at)...};
        return __has(all) ? value_type(*__at(all)) : value_type(0);
    }
    template <typename I, size_t R> value_type load(array<I, R> at) const {
        static_assert(R == X::rank(), "an element of a tensor has an index for each dimension");
        index_type all[R];
        for (size_t r = 0; r < R; ++r) { all[r] = index_type(at[r]); }
        return __has(all) ? value_type(*__at(all)) : value_type(0);
    }
    template <typename... I> void store(value_type value, I... at) const {
        static_assert(sizeof...(I) == X::rank(), "an element of a tensor has an index for each dimension");
        const index_type all[] = {index_type(at)...};
        if (__has(all)) { *__at(all) = value; }
    }
    template <typename I, size_t R> void store(value_type value, array<I, R> at) const {
        static_assert(R == X::rank(), "an element of a tensor has an index for each dimension");
        index_type all[R];
        for (size_t r = 0; r < R; ++r) { all[r] = index_type(at[r]); }
        if (__has(all)) { *__at(all) = value; }
    }
    template <typename I, size_t R> T& operator[](array<I, R> at) const {
        static_assert(R == X::rank(), "an element of a tensor has an index for each dimension");
        index_type all[R];
        for (size_t r = 0; r < R; ++r) { all[r] = index_type(at[r]); }
        return *__at(all);
    }
    template <typename I, typename = enable_if_t<is_integral_v<I>>> T& operator[](I at) const {
        static_assert(X::rank() == 1, "an element of a tensor has an index for each dimension");
        const index_type all[] = {index_type(at)};
        return *__at(all);
    }

    // Sizes that are not given are those that remain.
    template <size_t... S, typename... I> tensor<T, typename __slice_extents<index_type, X::rank(), S...>::type, tensor_inline> slice(I... at) const {
        static_assert(sizeof...(I) == X::rank(), "a slice has an origin for each dimension");
        static_assert(sizeof...(S) == 0 || sizeof...(S) == X::rank(), "a slice has a size for each dimension");
        const index_type from[] = {index_type(at)...};
        const size_t wanted[] = {S..., dynamic_extent};
        typename __slice_extents<index_type, X::rank(), S...>::type sizes;
        array<index_type, X::rank()> strides;
        for (size_t r = 0; r < X::rank(); ++r) {
            const bool known = sizeof...(S) > 0 && wanted[r] != dynamic_extent;
            sizes.__sizes[r] = known ? index_type(wanted[r]) : index_type(__sizes.extent(r) - from[r]);
            strides[r] = __strides[r];
        }
        return tensor<T, typename __slice_extents<index_type, X::rank(), S...>::type, tensor_inline>(__at(from), sizes, strides);
    }
    template <size_t... S, typename... I> tensor<T, typename __slice_extents<index_type, X::rank(), S...>::type, tensor_inline> static_slice(I... at) const {
        return slice<S...>(at...);
    }
};

// What the host writes about a tensor: `stream::tensor::record`.
template <typename T, size_t R> struct __tensor_record {
    T* data;
    uint type, rank;
    ulong sizes[R], strides[R];
};

// A tensor that the host binds (MSL 2.20.2.1): what it does, the tensor over the same memory does.
template <typename T, typename X, typename... Tags> struct tensor<T, X, tensor_handle, Tags...> {
    typedef T element_type;
    typedef remove_cv_t<remove_addrspace_t<T>> value_type;
    typedef X extents_type;
    typedef typename X::index_type index_type;
    typedef typename X::size_type size_type;
    typedef typename X::rank_type rank_type;
    static_assert(is_arithmetic_v<value_type> && !is_vector_v<value_type> && !is_same_v<value_type, bool>, "the elements of a tensor are numbers");

    const constant __tensor_record<T, X::rank()>* __record;

    tensor<T, X, tensor_inline> __here() const {
        X sizes;
        array<index_type, X::rank()> strides;
        for (size_t r = 0; r < X::rank(); ++r) {
            sizes.__sizes[r] = index_type(__record->sizes[r]);
            strides[r] = index_type(__record->strides[r]);
        }
        return tensor<T, X, tensor_inline>(__record->data, sizes, strides);
    }
    static constexpr size_t get_rank() { return X::rank(); }
    static constexpr size_t get_static_extent(size_t r) { return X::static_extent(r); }
    index_type get_extent(size_t r) const { return index_type(__record->sizes[r]); }
    index_type get_stride(size_t r) const { return index_type(__record->strides[r]); }
    X extents() const { return __here().extents(); }
    template <typename... I> value_type load(I... at) const { return __here().load(at...); }
    template <typename... I> void store(value_type value, I... at) const { __here().store(value, at...); }
    template <typename I> T& operator[](I at) const { return __here()[at]; }
    template <size_t... S, typename... I> tensor<T, typename __slice_extents<index_type, X::rank(), S...>::type, tensor_inline> slice(I... at) const {
        return __here().template slice<S...>(at...);
    }
    template <size_t... S, typename... I> tensor<T, typename __slice_extents<index_type, X::rank(), S...>::type, tensor_inline> static_slice(I... at) const {
        return slice<S...>(at...);
    }
};
template <typename T, typename X, typename... Tags> T* __data_of(tensor<T, X, tensor_inline, Tags...> from) { return from.__data; }
template <typename T, typename X, typename... Tags> T* __data_of(tensor<T, X, tensor_handle, Tags...> from) { return from.__record->data; }

// What `tensor(pointer, sizes)` and `tensor(pointer, sizes, strides)` make.
#define GUIDES(space) \
    template <typename T, typename X> tensor<space T, X, tensor_inline> __guide_tensor(space T* data, X sizes) { return tensor<space T, X, tensor_inline>(data, sizes); } \
    template <typename T, typename X, typename I, size_t R> tensor<space T, X, tensor_inline> __guide_tensor(space T* data, X sizes, array<I, R> strides) { \
        return tensor<space T, X, tensor_inline>(data, sizes, strides); \
    }
GUIDES(device) GUIDES(constant) GUIDES(threadgroup) GUIDES(thread)
#undef GUIDES

template <typename T> constexpr constant bool __is_tensor_v = false;
template <typename T, typename X, typename D, typename... Tags> constexpr constant bool __is_tensor_v<tensor<T, X, D, Tags...>> = true;

// The threads that share a tensor (MSL 7.1): their number, and the number of this one.
struct execution_thread {
    static constexpr constant int __threads = 1;
    static constexpr constant bool __simdgroup = false;
    static int __index() { return 0; }
};
struct execution_simdgroup {
    static constexpr constant int __threads = 32;
    static constexpr constant bool __simdgroup = true;
    static int __index() { return __metal_get_thread_index_in_simdgroup(int()); }
};
template <int N> struct execution_simdgroups {
    static_assert(N > 0 && N <= 32, "a scope has 1 to 32 SIMD-groups");
    static constexpr constant int __threads = 32 * N;
    static constexpr constant bool __simdgroup = false;
    static int __index() { return __metal_get_simdgroup_index_in_threadgroup(int()) * 32 + __metal_get_thread_index_in_simdgroup(int()); }
};

// The elements of a tile that each thread holds. In one SIMD-group, tiles of multiples of 16 consist of fragments of 16 by 16, row by
// row: a thread has four neighbours in a row of each half of a fragment. Other tiles are dealt element by element.
template <int C, int R, typename Scope> struct __tile {
    static constexpr constant int __columns = C;
    static constexpr constant int __rows = R;
    static constexpr constant bool __fragments = Scope::__simdgroup && C % 16 == 0 && R % 16 == 0;
    static constexpr constant int __capacity = (C * R + Scope::__threads - 1) / Scope::__threads;
    // Column and row of an element of this thread.
    static int2 __place(int i) {
        const int lane = Scope::__index();
        if (__fragments) {
            const int block = i / 8;
            const int column = ((lane >> 2 & 2) | (lane & 1)) * 4 + i % 4;
            const int row = (lane >> 2 & 4) + (lane >> 1 & 3) + (i % 8 / 4) * 8;
            return int2(block % (C / 16) * 16 + column, block / (C / 16) * 16 + row);
        }
        const int at = i * Scope::__threads + lane;
        return int2(at % C, at / C);
    }
    // The thread that holds an element of the first eight rows of a fragment.
    static ushort __owner(int column, int row) {
        const int c = column / 4;
        return ushort((c & 1) | (row & 3) << 1 | (c & 2) << 2 | (row & 4) << 2);
    }
};

// Declared only: the functions that make one refuse.
template <typename T> struct __iterator {
    thread T& operator*() const;
    __iterator operator++();
    __iterator operator++(int);
    bool operator==(__iterator other) const;
    bool operator!=(__iterator other) const;
    template <typename A> static __iterator __refused() {
        static_assert(!is_same_v<A, A>, "iterators of cooperative tensors are not supported");
        return __iterator{};
    }
};
template <typename T, typename X, typename L> struct cooperative_tensor {
    typedef thread T element_type;
    typedef T value_type;
    typedef X extents_type;
    typedef typename X::index_type index_type;
    typedef typename X::size_type size_type;
    typedef typename X::rank_type rank_type;
    typedef ushort thread_index_type;
    typedef ushort thread_size_type;
    typedef L __layout;

    T __elements[L::__capacity];

    static constexpr size_t get_rank() { return 2; }
    static constexpr ushort get_capacity() { return L::__capacity; }
    thread T& operator[](ushort at) thread { return __elements[at]; }
    const thread T& operator[](ushort at) const thread { return __elements[at]; }
    T get(ushort at) const { return __elements[at]; }
    void set(ushort at, T value) { __elements[at] = value; }
    bool get_mask(ushort at) const { return L::__place(at).y < L::__rows; }
    bool is_valid_element(ushort at) const { return get_mask(at); }
    __iterator<T> begin() const { return __iterator<T>::template __refused<T>(); }
    __iterator<T> end() const { return __iterator<T>::template __refused<T>(); }
    template <typename I> __iterator<T> map_iterator(I from) const { return __iterator<T>::template __refused<I>(); }
    array<index_type, 2> get_multidimensional_index(ushort at) const {
        const int2 place = L::__place(at);
        return {{index_type(place.x), index_type(place.y)}};
    }
    // A dimension of size 1 is for all indices.
    template <typename M> void load(const thread M& from) {
        static_assert(__is_tensor_v<remove_cvref_t<M>>, "a cooperative tensor is loaded from a tensor");
        const int columns = from.get_extent(0), rows = from.get_extent(1);
        const long along = from.get_stride(0), across = from.get_stride(1);
        const auto data = __data_of(from);
        for (int i = 0; i < L::__capacity; ++i) {
            const int2 place = L::__place(i);
            const int x = columns == 1 ? 0 : place.x, y = rows == 1 ? 0 : place.y;
            if (place.y < L::__rows) { __elements[i] = x < columns && y < rows ? T(data[x * along + y * across]) : T(0); }
        }
    }
    template <typename M> void store(const thread M& to) const {
        static_assert(__is_tensor_v<remove_cvref_t<M>>, "a cooperative tensor is stored to a tensor");
        typedef typename M::value_type V;
        const int columns = to.get_extent(0), rows = metal::min(int(to.get_extent(1)), L::__rows);
        const long along = to.get_stride(0), across = to.get_stride(1);
        const auto data = __data_of(to);
        for (int i = 0; i < L::__capacity; ++i) {
            const int2 place = L::__place(i);
            if (place.x < columns && place.y < rows) { data[place.x * along + place.y * across] = V(__elements[i]); }
        }
    }
    // An element of the tile of a SIMD-group, in each thread its own; each varies in columns or rows or in neither.
    template <bool Columns, bool Rows, typename V> V __shared(int column, int row) const {
        const int c = column % 16, r = row % 16;
        const ushort owner = L::__owner(c, r % 8);
        const int first = (row / 16 * (L::__columns / 16) + column / 16) * 8;
        V value = 0;
        for (int high = Rows ? 0 : r / 8; high <= (Rows ? 1 : r / 8); ++high) {
            for (int low = Columns ? 0 : c % 4; low <= (Columns ? 3 : c % 4); ++low) {
                const V one = simd_shuffle(V(__elements[first + high * 4 + low]), owner);
                if (high == r / 8 && low == c % 4) { value = one; }
            }
        }
        return value;
    }
};
template <typename T> constexpr constant bool __is_cooperative_tensor_v = false;
template <typename T, typename X, typename L> constexpr constant bool __is_cooperative_tensor_v<cooperative_tensor<T, X, L>> = true;
}
#endif
