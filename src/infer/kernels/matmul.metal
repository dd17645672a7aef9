// c = a b for plain values with any strides, in batches. A, B and C are the types.

struct Matmul {
    uint rows, columns, depth;
    uint a_row, a_column;      // strides, in values
    uint b_row, b_column;
    uint c_row, c_column;
    uint a_batch, b_batch, c_batch;
    uint a_divisor, b_divisor; // the number of batches that share a matrix: grouped heads
    float scale;
};

// A threadgroup computes 32 rows and 32 columns; each of its four SIMD-groups 16 and 16, in matrices of 8 x 8.
kernel void matmul(device const A *a [[buffer(0)]], device const B *b [[buffer(1)]], device C *c [[buffer(2)]],
                   constant Matmul &p [[buffer(3)]], uint3 group [[threadgroup_position_in_grid]],
                   uint thread_index [[thread_index_in_threadgroup]],
                   uint simd [[simdgroup_index_in_threadgroup]]) {
    threadgroup float tile[2 * 32 * 32];
    threadgroup float *as = tile, *bs = tile + 32 * 32;
    a += ulong(group.z / p.a_divisor) * p.a_batch;
    b += ulong(group.z / p.b_divisor) * p.b_batch;
    c += ulong(group.z) * p.c_batch;
    uint row0 = group.y * 32, column0 = group.x * 32;
    uint simd_row = simd / 2 * 16, simd_column = simd % 2 * 16;
    simdgroup_float8x8 sums[2][2];
    for (uint i = 0; i < 4; i++) sums[i / 2][i % 2] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    for (uint k = 0; k < p.depth; k += 32) {
        for (uint i = thread_index; i < 32 * 32; i += 128) {
            // Neighbouring threads read neighbours in memory, for either order of the matrices.
            uint ar = p.a_column == 1 ? i / 32 : i % 32, ak = p.a_column == 1 ? i % 32 : i / 32;
            bool inside = row0 + ar < p.rows && k + ak < p.depth;
            as[ar * 32 + ak] = inside ? float(a[ulong(row0 + ar) * p.a_row + ulong(k + ak) * p.a_column]) : 0.0f;
            uint bk = p.b_column == 1 ? i / 32 : i % 32, bc = p.b_column == 1 ? i % 32 : i / 32;
            inside = column0 + bc < p.columns && k + bk < p.depth;
            bs[bk * 32 + bc] = inside ? float(b[ulong(k + bk) * p.b_row + ulong(column0 + bc) * p.b_column]) : 0.0f;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint kk = 0; kk < 32; kk += 8) {
            simdgroup_float8x8 left[2], right[2];
            for (uint i = 0; i < 2; i++) {
                simdgroup_load(left[i], as + (simd_row + 8 * i) * 32 + kk, 32);
                simdgroup_load(right[i], bs + kk * 32 + simd_column + 8 * i, 32);
            }
            for (uint i = 0; i < 2; i++) {
                for (uint j = 0; j < 2; j++) {
                    simdgroup_multiply_accumulate(sums[i][j], left[i], right[j], sums[i][j]);
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (uint i = 0; i < 2; i++) {
        for (uint j = 0; j < 2; j++) {
            simdgroup_store(sums[i][j], tile + (simd_row + 8 * i) * 32 + simd_column + 8 * j, 32);
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = thread_index; i < 32 * 32; i += 128) {
        uint r = row0 + i / 32, o = column0 + i % 32;
        if (r < p.rows && o < p.columns) {
            c[ulong(r) * p.c_row + ulong(o) * p.c_column] = C(tile[i] * p.scale);
        }
    }
}
