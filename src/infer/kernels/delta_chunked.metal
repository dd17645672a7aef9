// The gated delta rule in chunks of tokens; after `sequence.metal`, whose parameters it has. With g the sum of the gates up to a
// token of the chunk, S the state before the chunk, and K, Q, V the rows of the chunk, the changes U that its tokens make
// solve a triangular system:
//
//     (I + A) U = beta (V - exp(g) K S),   A[i][j] = beta[i] exp(g[i] - g[j]) k[i] k[j]  for j < i
//
// and then Y = exp(g) Q S + P U with P[i][j] = exp(g[i] - g[j]) q[i] k[j] for j <= i, and the next state is
// exp(g[last]) S + K' U with each row of K times exp(g[last] - g[j]).

#define CHUNK 16
#define PARTS ((SIZE + 7) / 8)
#define PITCH (8 * PARTS + 4)

// A threadgroup has 32 columns of the state of a head, and each of its SIMD-groups 8 of them, as PARTS matrices.
kernel void delta_chunked(device const X *q [[buffer(0)]], device Y *y [[buffer(1)]], constant Sequence &p [[buffer(2)]],
                          device const X *k [[buffer(3)]], device const X *v [[buffer(4)]],
                          device const float *gate [[buffer(5)]], device const float *beta [[buffer(6)]],
                          device float *state [[buffer(7)]], uint2 group [[threadgroup_position_in_grid]],
                          uint thread_index [[thread_index_in_threadgroup]],
                          uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    threadgroup float keys[CHUNK * PITCH], queries[CHUNK * PITCH];
    threadgroup float system[CHUNK * CHUNK], mixing[CHUNK * CHUNK], sums[CHUNK], shares[CHUNK];
    threadgroup float all_changes[4 * CHUNK * 8], all_results[4 * CHUNK * 8];
    threadgroup float *changes = all_changes + simd * CHUNK * 8, *results = all_results + simd * CHUNK * 8;
    uint head = group.x, heads = p.channels, columns = p.x_stride, column0 = group.y * 32 + simd * 8;
    uint key_heads = heads / p.group, key_head = head / p.group;
    device float *own = state + ulong(head) * SIZE * columns;
    simdgroup_float8x8 s[PARTS];
    for (uint part = 0; part < PARTS; part++) {
        for (uint i = lane; i < 64; i += 32) {
            uint row = 8 * part + i / 8, column = column0 + i % 8;
            results[i] = row < SIZE && column < columns ? own[row * columns + column] : 0.0f;
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_load(s[part], results, 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (uint t0 = 0; t0 < p.tokens; t0 += CHUNK) {
        uint count = min(uint(CHUNK), p.tokens - t0);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = thread_index; i < CHUNK * 8 * PARTS; i += 128) {
            uint row = i / (8 * PARTS), column = i % (8 * PARTS);
            bool used = row < count && column < SIZE;
            ulong from = (ulong(t0 + row) * key_heads + key_head) * SIZE + column;
            keys[row * PITCH + column] = used ? float(k[from]) : 0.0f;
            queries[row * PITCH + column] = used ? float(q[from]) : 0.0f;
        }
        if (thread_index < CHUNK) {
            // Tokens past the end change nothing.
            float sum = 0.0f;
            for (uint i = 0; i <= thread_index && i < count; i++) sum += gate[ulong(t0 + i) * heads + head];
            sums[thread_index] = sum;
            shares[thread_index] = thread_index < count ? beta[ulong(t0 + thread_index) * heads + head] : 0.0f;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        {
            // Products of the rows: each SIMD-group computes a quarter.
            simdgroup_float8x8 kk = make_filled_simdgroup_matrix<float, 8, 8>(0.0f), qk = kk, left, right;
            uint row = simd / 2 * 8, column = simd % 2 * 8;
            for (uint part = 0; part < PARTS; part++) {
                simdgroup_load(right, keys + column * PITCH + 8 * part, PITCH, ulong2(0, 0), true);
                simdgroup_load(left, keys + row * PITCH + 8 * part, PITCH);
                simdgroup_multiply_accumulate(kk, left, right, kk);
                simdgroup_load(left, queries + row * PITCH + 8 * part, PITCH);
                simdgroup_multiply_accumulate(qk, left, right, qk);
            }
            simdgroup_store(kk, system + row * CHUNK + column, CHUNK);
            simdgroup_store(qk, mixing + row * CHUNK + column, CHUNK);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = thread_index; i < CHUNK * CHUNK; i += 128) {
            uint row = i / CHUNK, column = i % CHUNK;
            float decay = column <= row ? exp(sums[row] - sums[column]) : 0.0f;
            system[i] = column < row ? shares[row] * decay * system[i] : 0.0f;
            mixing[i] = column <= row ? decay * mixing[i] : 0.0f;
        }
        for (uint i = thread_index; i < CHUNK * 8 * PARTS; i += 128) {
            uint row = i / (8 * PARTS);
            queries[row * PITCH + i % (8 * PARTS)] *= exp(sums[row]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_float8x8 known[2], found[2], left, right;
        for (uint i = 0; i < 2; i++) known[i] = found[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        for (uint part = 0; part < PARTS; part++) {
            for (uint i = 0; i < 2; i++) {
                simdgroup_load(left, keys + 8 * i * PITCH + 8 * part, PITCH);
                simdgroup_multiply_accumulate(known[i], left, s[part], known[i]);
                simdgroup_load(left, queries + 8 * i * PITCH + 8 * part, PITCH);
                simdgroup_multiply_accumulate(found[i], left, s[part], found[i]);
            }
        }
        for (uint i = 0; i < 2; i++) simdgroup_store(known[i], changes + 64 * i, 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = lane; i < CHUNK * 8; i += 32) {
            uint row = i / 8, column = column0 + i % 8;
            bool used = row < count && column < columns;
            float value = used ? float(v[(ulong(t0 + row) * heads + head) * columns + column]) : 0.0f;
            changes[i] = shares[row] * (value - exp(sums[row]) * changes[i]);
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
        // Four lanes sum for each column.
        for (uint row = 1; row < CHUNK; row++) {
            float sum = 0.0f;
            for (uint j = lane / 8; j < row; j += 4) sum = fma(system[row * CHUNK + j], changes[8 * j + lane % 8], sum);
            sum += simd_shuffle_xor(sum, 8);
            sum += simd_shuffle_xor(sum, 16);
            if (lane < 8) changes[8 * row + lane] -= sum;
            simdgroup_barrier(mem_flags::mem_threadgroup);
        }
        for (uint j = 0; j < 2; j++) {
            simdgroup_load(right, changes + 64 * j, 8);
            for (uint i = j; i < 2; i++) {
                simdgroup_load(left, mixing + 8 * i * CHUNK + 8 * j, CHUNK);
                simdgroup_multiply_accumulate(found[i], left, right, found[i]);
            }
        }
        for (uint i = 0; i < 2; i++) simdgroup_store(found[i], results + 64 * i, 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = lane; i < CHUNK * 8; i += 32) {
            uint row = i / 8, column = column0 + i % 8;
            if (row < count && column < columns) {
                y[(ulong(t0 + row) * heads + head) * columns + column] = Y(results[i] * p.scale);
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        float whole = sums[CHUNK - 1];
        for (uint i = thread_index; i < CHUNK * 8 * PARTS; i += 128) {
            uint row = i / (8 * PARTS);
            keys[row * PITCH + i % (8 * PARTS)] *= exp(whole - sums[row]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_float8x8 decay = simdgroup_float8x8(exp(whole)), change[2];
        for (uint i = 0; i < 2; i++) simdgroup_load(change[i], changes + 64 * i, 8);
        for (uint part = 0; part < PARTS; part++) {
            simdgroup_multiply(s[part], decay, s[part]);
            for (uint i = 0; i < 2; i++) {
                simdgroup_load(left, keys + 8 * i * PITCH + 8 * part, PITCH, ulong2(0, 0), true);
                simdgroup_multiply_accumulate(s[part], left, change[i], s[part]);
            }
        }
    }
    for (uint part = 0; part < PARTS; part++) {
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_store(s[part], results, 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = lane; i < 64; i += 32) {
            uint row = 8 * part + i / 8, column = column0 + i % 8;
            if (row < SIZE && column < columns) own[row * columns + column] = results[i];
        }
    }
}
