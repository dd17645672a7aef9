// Tensors in memory and over threads, and products of matrices (MSL 2.20, 7).
#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
using namespace mpp::tensor_ops;

static_assert(extents<int, 4, dynamic_extent>::rank() == 2 && extents<int, 4, dynamic_extent>::rank_dynamic() == 1, "");
static_assert(extents<int, 4, dynamic_extent>::static_extent(0) == 4 && dextents<ushort, 3>::rank_dynamic() == 3, "");
static_assert(is_same_v<tensor<device const half, dextents<int, 2>, tensor_inline>::value_type, half>, "");

// A matrix of 5 columns and 4 rows, whose rows are 6 elements apart.
kernel void views(device int* data [[buffer(0)]], device int* out [[buffer(1)]]) {
    auto whole = tensor(data, dextents<int, 2>(5, 4), array<int, 2>({1, 6}));
    out[0] = whole.load(4, 3);
    out[1] = whole.load(5, 0) + whole.load(0, -1) + whole.load(0, 4);
    auto part = whole.slice(2, 1);
    out[2] = part.get_extent(0) * 10 + part.get_extent(1);
    out[3] = part.load(1, 1) + part.load(3, 0);
    auto block = whole.template slice<2, dynamic_extent>(1, 2);
    out[4] = block.get_extent(0) * 10 + block.get_extent(1);
    out[5] = block[array<int, 2>({1, 1})];
    whole.store(100, 0, 0);
    whole.store(200, 5, 0);
    auto packed = tensor<device int, extents<int, 3, dynamic_extent>, tensor_inline>(data, extents<int, 3, dynamic_extent>(2));
    out[6] = packed.get_stride(1) * 100 + packed.get_extent(0) * 10 + packed.get_extent(1);
    thread int own[4] = {1, 2, 3, 4};
    auto line = tensor(own, dextents<int, 1>(4));
    out[7] = line[2] + line.load(array<int, 1>({3})) + line.load(4);
}

// C = A * B by threadgroups of four SIMD-groups, each a tile of 24 rows and 20 columns, at the edges less.
kernel void product(device const float* a [[buffer(1)]], device const float* b [[buffer(2)]], device float* c [[buffer(0)]],
                    constant int3& sizes [[buffer(3)]], uint2 group [[threadgroup_position_in_grid]]) {
    const int m = sizes.x, n = sizes.y, k = sizes.z;
    auto A = tensor(a, dextents<int, 2>(k, m));
    auto B = tensor(b, dextents<int, 2>(n, k));
    auto C = tensor(c, dextents<int, 2>(n, m));
    constexpr auto descriptor = matmul2d_descriptor(24, 20);
    matmul2d<descriptor, execution_simdgroups<4>> op;
    auto left = A.slice(0, group.y * 24);
    auto right = B.slice(group.x * 20, 0);
    auto to = C.slice(group.x * 20, group.y * 24);
    op.run(left, right, to);
}

// The same with tiles in threadgroup memory that are added up in a cooperative tensor, and a bias with one row.
template <typename T, int K> kernel void tiled(device const T* a [[buffer(1)]], device const T* b [[buffer(2)]], device float* c [[buffer(0)]],
                    device const float* bias [[buffer(3)]], uint thread_index [[thread_index_in_threadgroup]]) {
    threadgroup T left[16 * K];
    threadgroup T right[32 * K];
    auto A = tensor<threadgroup T, dextents<int32_t, 2>, tensor_inline>(left, dextents<int32_t, 2>(K, 16));
    auto B = tensor<threadgroup T, dextents<int32_t, 2>, tensor_inline>(right, dextents<int32_t, 2>(K, 32));
    matmul2d<matmul2d_descriptor(16, 32, K, false, true, false, matmul2d_descriptor::mode::multiply_accumulate), execution_simdgroups<2>> op;
    auto sum = op.template get_destination_cooperative_tensor<decltype(A), decltype(B), float>();
    for (ushort i = 0; i < sum.get_capacity(); ++i) {
        if (sum.get_mask(i)) { sum[i] = 0; }
    }
    for (int step = 0; step < 2; ++step) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = thread_index; i < 16 * K; i += 64) { left[i] = a[i / K * (2 * K) + step * K + i % K]; }
        for (uint i = thread_index; i < 32 * K; i += 64) { right[i] = b[i / K * (2 * K) + step * K + i % K]; }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        auto partA = A.slice(0, 0);
        auto partB = B.slice(0, 0);
        op.run(partA, partB, sum);
    }
    auto row = op.template get_destination_cooperative_tensor<decltype(A), decltype(B), float>();
    row.load(tensor(bias, dextents<int, 2>(32, 1)));
    for (ushort i = 0; i < sum.get_capacity(); ++i) {
        auto at = sum.get_multidimensional_index(i);
        sum[i] += row[i] + (at[0] == 31 && at[1] == 15 ? 0.5f : 0.0f);
    }
    sum.store(tensor(c, dextents<int, 2>(32, 16)));
}
template [[host_name("tiled_half")]] kernel void tiled<half, 16>(device const half*, device const half*, device float*, device const float*, uint);
template [[host_name("tiled_float")]] kernel void tiled<float, 8>(device const float*, device const float*, device float*, device const float*, uint);

// Inputs that the threads of a SIMD-group hold, in the four forms of transposition.
template <bool Left, bool Right> kernel void held(device float* c [[buffer(0)]], device const float* a [[buffer(1)]], device const float* b [[buffer(2)]]) {
    constexpr auto descriptor = matmul2d_descriptor(16, 32, 32, Left, Right);
    matmul2d<descriptor, execution_simdgroup> op;
    auto A = op.template get_left_input_cooperative_tensor<half, half, float>();
    auto B = op.template get_right_input_cooperative_tensor<half, half, float>();
    auto C = op.template get_destination_cooperative_tensor<remove_addrspace_t<decltype(A)>, remove_addrspace_t<decltype(B)>, float>();
    for (ushort i = 0; i < A.get_capacity(); ++i) {
        auto at = A.get_multidimensional_index(i);
        A[i] = half(Left ? a[at[0] * 32 + at[1]] : a[at[1] * 32 + at[0]]);
    }
    for (ushort i = 0; i < B.get_capacity(); ++i) {
        auto at = B.get_multidimensional_index(i);
        B.set(i, half(Right ? b[at[0] * 32 + at[1]] : b[at[1] * 32 + at[0]]));
    }
    op.run(A, B, C);
    C.store(tensor(c, dextents<int, 2>(32, 16)));
}
#define HELD(name, left, right) template [[host_name(name)]] kernel void held<left, right>(device float*, device const float*, device const float*);
HELD("held_nn", false, false)
HELD("held_nt", false, true)
HELD("held_tn", true, false)
HELD("held_tt", true, true)

// Bytes make exact integers; one input is held and the other in memory.
kernel void bytes(device int* c [[buffer(0)]], device const char* a [[buffer(1)]], device const uchar* b [[buffer(2)]]) {
    matmul2d<matmul2d_descriptor(16, 16, 16, false, false, false, matmul2d_descriptor::mode::multiply_accumulate), execution_simdgroup> op;
    auto left = op.get_left_input_cooperative_tensor<char, uchar, int>();
    left.load(tensor(a, dextents<int, 2>(16, 16)));
    auto right = tensor(b, dextents<int, 2>(16, 16));
    auto to = tensor(c, dextents<int, 2>(16, 16));
    op.run(left, right, to);
}

// Where a thread's elements are in a tile of a SIMD-group is fixed, as programs rely on it.
kernel void places(device int* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
    matmul2d<matmul2d_descriptor(16, 32, 16), execution_simdgroup> op;
    auto tile = op.get_destination_cooperative_tensor<half, half, float>();
    for (ushort i = 0; i < 16; ++i) {
        auto at = tile.get_multidimensional_index(i);
        out[lane * 16 + i] = at[1] * 32 + at[0];
    }
}

// A product of fewer elements than the inputs have along `k`, whatever number that is.
template <int K> kernel void shortened(device const float* a [[buffer(1)]], device const float* b [[buffer(2)]], device float* c [[buffer(0)]]) {
    auto A = tensor(a, dextents<int, 2>(20, 16));
    auto B = tensor(b, dextents<int, 2>(16, 20));
    auto C = tensor(c, dextents<int, 2>(16, 16));
    matmul2d<matmul2d_descriptor(16, 16, K), execution_simdgroup> op;
    op.run(A, B, C);
}
template [[host_name("shortened_4")]] kernel void shortened<4>(device const float*, device const float*, device float*);
template [[host_name("shortened_12")]] kernel void shortened<12>(device const float*, device const float*, device float*);
template [[host_name("shortened_16")]] kernel void shortened<16>(device const float*, device const float*, device float*);
