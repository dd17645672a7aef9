// simdgroup_matrix (MSL 2.4, 6.7). Each launch is one SIMD-group unless the row sets more.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

kernel void layout(device float* out, device const float* in, uint lane [[thread_index_in_simdgroup]]) {
    simdgroup_float8x8 m;
    simdgroup_load(m, in);
    out[2 * lane] = m.thread_elements()[0];
    out[2 * lane + 1] = m.thread_elements().y;
}

kernel void product(device float* out, device const float* a, device const float* b) {
    simdgroup_float8x8 left, right, d;
    simdgroup_load(left, a);
    simdgroup_load(right, b);
    simdgroup_multiply(d, left, right);
    simdgroup_store(d, out);
}

kernel void operator_product(device float* out, device const float* a, device const float* b) {
    simdgroup_float8x8 left, right;
    simdgroup_load(left, a);
    simdgroup_load(right, b);
    simdgroup_store(left * right, out, 8);
}

kernel void accumulate(device float* out, device const float* a, device const float* b, device const float* c) {
    simdgroup_matrix<float, 8, 8> left, right, sum;
    simdgroup_load(left, a, 8);
    simdgroup_load(right, b, 8);
    simdgroup_load(sum, c, 8);
    simdgroup_multiply_accumulate(sum, left, right, sum);
    simdgroup_store(sum, out, 8);
}

kernel void transposed(device float* out, device const float* in) {
    simdgroup_float8x8 m;
    simdgroup_load(m, in, 24, ulong2(8, 16), true);
    simdgroup_store(m, out, 8);
    simdgroup_store(m, out + 64, 8, ulong2(0, 0), true);
}

// The transposition is a run-time value.
kernel void transposed_or_not(device float* out, device const float* in, constant uint& yes, uint g [[threadgroup_position_in_grid]]) {
    simdgroup_float8x8 m;
    simdgroup_load(m, in, 8, 0, (g & 1) == yes);
    simdgroup_store(m, out + 64 * g);
}

kernel void constants(device float* out, device half* halves [[buffer(1)]]) {
    simdgroup_store(make_filled_simdgroup_matrix<float, 8, 8>(2.5f), out);
    simdgroup_store(simdgroup_float8x8(3), out + 64);
    simdgroup_store(make_filled_simdgroup_matrix<half, 8>(1.5h), halves);
    simdgroup_float8x8 zero = simdgroup_float8x8(0);
    simdgroup_float8x8 copy{};
    copy.thread_elements() += zero.thread_elements() + 1;
    simdgroup_store(copy, out + 128);
}

// Narrow operands with a wide accumulator, and each type with itself.
kernel void mixed(device float* out, device const half* a, device const half* b) {
    simdgroup_half8x8 left, right, narrow;
    simdgroup_float8x8 sum = make_filled_simdgroup_matrix<float, 8>(0.125f);
    simdgroup_load(left, a);
    simdgroup_load(right, b);
    simdgroup_multiply_accumulate(sum, left, right, sum);
    simdgroup_store(sum, out);
    simdgroup_multiply(narrow, left, right);
    sum.thread_elements() = float2(narrow.thread_elements());
    simdgroup_store(sum, out + 64);
}

kernel void brains(device bfloat* out, device const bfloat* a, device const bfloat* b) {
    simdgroup_bfloat8x8 left, right, d;
    simdgroup_load(left, a);
    simdgroup_load(right, b);
    simdgroup_multiply(d, left, right);
    simdgroup_store(d, out);
}

// 32 by 32 in four SIMD-groups, 16 by 16 each, through threadgroup memory and arrays of matrices.
template <typename T, int TILES>
void multiply_tiles(thread simdgroup_matrix<T, 8, 8> (&sums)[TILES][TILES], threadgroup const T* a, threadgroup const T* b) {
    simdgroup_matrix<T, 8, 8> left[TILES], right[TILES];
    for (int k = 0; k < 32; k += 8) {
        for (int i = 0; i < TILES; ++i) {
            simdgroup_load(left[i], a + i * 8 * 32 + k, 32);
            simdgroup_load(right[i], b, 32, ulong2(i * 8, k));
        }
        for (int i = 0; i < TILES; ++i)
            for (int j = 0; j < TILES; ++j)
                simdgroup_multiply_accumulate(sums[i][j], left[i], right[j], sums[i][j]);
    }
}
kernel void tiles(device float* out, device const float* a, device const float* b, threadgroup float* shared [[threadgroup(0)]],
    uint t [[thread_index_in_threadgroup]], uint group [[simdgroup_index_in_threadgroup]]) {
    for (uint i = t; i < 1024; i += 128) {
        shared[i] = a[i];
        shared[1024 + i] = b[i];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    simdgroup_float8x8 sums[2][2];
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) sums[i][j] = simdgroup_float8x8(0);
    const uint row = group / 2 * 16, column = group % 2 * 16;
    multiply_tiles(sums, shared + row * 32, shared + 1024 + column);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) simdgroup_store(sums[i][j], shared, 32, ulong2(column + 8 * j, row + 8 * i));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = t; i < 1024; i += 128) out[i] = shared[i];
}

// A dynamic index: the matrices are in thread memory.
kernel void picked(device float* out, device const float* in, constant uint& pick) {
    simdgroup_float8x8 all[3];
    for (uint i = 0; i < 3; ++i) simdgroup_load(all[i], in + 64 * i);
    simdgroup_store(all[pick], out);
}

struct Tile {
    simdgroup_float8x8 matrix;
    thread float2& elements() { return matrix.thread_elements(); }
};
simdgroup_float8x8 doubled(simdgroup_float8x8 m) {
    m.thread_elements() *= 2;
    return m;
}
kernel void members(device float* out, device const float* in, uint lane [[thread_index_in_simdgroup]]) {
    Tile tile;
    simdgroup_load(tile.matrix, in);
    tile.elements()[1] = float(lane);
    reinterpret_cast<thread float2&>(tile.matrix.thread_elements()) += 0.5f;
    simdgroup_store(doubled(tile.matrix), out);
}

kernel void beyond(device float* out, device const float* narrow_argument) {
    simdgroup_float8x8 m;
    simdgroup_load(m, narrow_argument, 8, ulong2(0, 1));
    simdgroup_store(m, out);
}

kernel void far_beyond(device float* out, device const float* in, constant ulong& far_away) {
    simdgroup_float8x8 m;
    simdgroup_load(m, in, far_away);
    simdgroup_store(m, out);
}

kernel void store_beyond(device float* out, device float* narrow_argument) {
    simdgroup_store(simdgroup_float8x8(1), narrow_argument, 9);
}
