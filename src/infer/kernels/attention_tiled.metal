// Attention of prompts: tiles of 32 tokens and KEYS keys, multiplied as matrices of 8 x 8. The defines, the parameters and
// the results are those of `attention.metal`, which this file follows.

// The size of a head as whole matrices, and the distance of rows in memory, which spreads columns over the banks.
#define PARTS ((DIM + 7) / 8)
#define PITCH (8 * PARTS + 4)
// Fewer keys for large heads: a tile of them has at most 17 KiB.
#define KEYS (DIM > 128 ? 16 : 32)

#if CAUSAL
// The position of the key in a row of the ring. `wrap` is the row of the latest position, which is `base` more.
inline int key_in(uint row, uint wrap, int base, uint capacity) {
    return row <= wrap ? base + int(row) : base + int(row) - int(capacity);
}
#endif

#if K_BITS || V_BITS
// The Walsh–Hadamard transform of the rows of some matrices side by side, of DIM values each: a product of each matrix, and
// sums and differences of matrices. `square` is memory for a matrix.
inline void rotate(thread simdgroup_float8x8 *values, threadgroup float *square, uint lane) {
    simdgroup_float8x8 factors[3];
    for (uint which = 0; which < 3; which++) {
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = lane; i < 64; i += 32) {
            uint row = i / 8, column = i % 8;
            float sign = popcount(row & column) % 2 == 0 ? 1.0f : -1.0f, one = row == column ? 1.0f : 0.0f;
            bool used = row < DIM && column < DIM;
            square[i] = which == 0 ? (used ? sign * rsqrt(float(DIM)) : 0.0f) : which == 1 ? one : -one;
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_load(factors[which], square, 8);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint part = 0; part < PARTS; part++) simdgroup_multiply(values[part], values[part], factors[0]);
    for (uint step = 1; step < PARTS; step *= 2) {
        for (uint pair = 0; pair < PARTS / 2; pair++) {
            uint i = pair / step * 2 * step + pair % step;
            simdgroup_float8x8 one = values[i], other = values[i + step];
            simdgroup_multiply_accumulate(values[i], other, factors[1], one);
            simdgroup_multiply_accumulate(values[i + step], other, factors[2], one);
        }
    }
}
#endif

// A threadgroup computes 32 tokens of a head, and each of its SIMD-groups 8 of them. Queries and results stay in registers;
// keys and then values are copied to `tile`. Maximum and sum of each token are updated with each tile.
kernel void attention_tiled(device const Q *q [[buffer(0)]], device const K *k [[buffer(1)]],
                            device const V *v [[buffer(2)]], device O *o [[buffer(3)]],
                            constant Attention &p [[buffer(4)]],
#if CAUSAL
                            device const int *positions [[buffer(5)]],
#endif
#if MASK
                            device const M *mask [[buffer(6)]],
#endif
#if K_BITS
                            device const float *k_lengths [[buffer(7)]],
#endif
#if V_BITS
                            device const float *v_lengths [[buffer(8)]],
#endif
                            uint2 group [[threadgroup_position_in_grid]],
                            uint thread_index [[thread_index_in_threadgroup]],
                            uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    threadgroup float tile[KEYS * PITCH], all_weights[4 * 8 * KEYS], all_squares[4 * 64];
    threadgroup uint all_seen[4];
    threadgroup float *weights = all_weights + simd * 8 * KEYS, *square = all_squares + simd * 64;
    uint token0 = group.x * 32 + simd * 8, head = group.y, last_token = p.tokens - 1;
    q += ulong(head) * p.q_head;
    k += ulong(head / p.group) * p.k_head;
    v += ulong(head / p.group) * p.v_head;
    o += ulong(head) * p.o_head;
    simdgroup_float8x8 query[PARTS], sums[PARTS];
    for (uint part = 0; part < PARTS; part++) {
        for (uint i = lane; i < 64; i += 32) {
            uint column = 8 * part + i % 8;
            ulong from = ulong(min(token0 + i / 8, last_token)) * p.q_token + column;
            square[i] = column < DIM ? float(q[from]) * p.scale : 0.0f;
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_load(query[part], square, 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        sums[part] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
#if K_BITS
    // Products of rotated vectors are those of the vectors.
    rotate(query, square, lane);
    k_lengths += head / p.group;
#endif
#if V_BITS
    v_lengths += head / p.group;
#endif
    // From here on, a diagonal matrix.
    for (uint i = lane; i < 64; i += 32) square[i] = 0.0f;
    // Four lanes have a token.
    uint own = lane / 4, token = min(token0 + own, last_token);
#if CAUSAL
    int latest = latest_of(positions, p.tokens), position = positions[token];
    uint end = latest < 0 ? 0 : min(p.capacity, uint(latest) + 1);
    uint wrap = latest < 0 ? 0 : uint(latest) % p.capacity;
    int base = latest - int(wrap);
    // The positions that some token of the threadgroup sees.
    uint from_token = group.x * 32, to_token = min(group.x * 32 + 31, last_token);
    while (from_token < to_token && positions[from_token] < 0) from_token++;
    while (to_token > from_token && positions[to_token] < 0) to_token--;
    int high = positions[to_token], low = max(positions[from_token] - int(p.window) + 1, 0);
#else
    uint end = p.capacity;
#endif
    float most = -INFINITY, total = 0.0f;
    for (uint first = 0; first < end; first += KEYS) {
        uint last = min(first + KEYS, end) - 1;
#if CAUSAL
        // Rows up to `wrap` have ascending positions, and so have the rows after it.
        bool before = first <= wrap && base + int(first) <= high && base + int(min(last, wrap)) >= low;
        bool after = last > wrap && base + int(max(first, wrap + 1)) - int(p.capacity) <= high &&
                     base + int(last) - int(p.capacity) >= low;
        if (!before && !after) continue;
#endif
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = thread_index; i < KEYS * 8 * PARTS; i += 128) {
            uint row = i / (8 * PARTS), column = i % (8 * PARTS);
            bool used = first + row < end && column < DIM;
            device const K *from = k + ulong(first + row) * p.k_token;
            float key = used ? KEY(from, column) : 0.0f;
#if K_BITS
            if (used) key *= k_lengths[ulong(first + row) * (p.heads / p.group)] * rsqrt(float(DIM));
#endif
            tile[row * PITCH + column] = key;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint j = 0; j < KEYS; j += 8) {
            simdgroup_float8x8 product = make_filled_simdgroup_matrix<float, 8, 8>(0.0f), keys;
            for (uint part = 0; part < PARTS; part++) {
                simdgroup_load(keys, tile + j * PITCH + 8 * part, PITCH, ulong2(0, 0), true);
                simdgroup_multiply_accumulate(product, query[part], keys, product);
            }
            simdgroup_store(product, weights + j, KEYS);
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
        float logits[KEYS / 4], larger = most;
        for (uint i = 0; i < KEYS / 4; i++) {
            uint row = first + 4 * i + lane % 4;
            float logit = weights[own * KEYS + 4 * i + lane % 4];
            bool visible = row < end;
#if CAP
            logit = p.cap * precise::tanh(logit / p.cap);
#endif
#if MASK
            float bias = visible ? float(mask[ulong(token) * p.mask_token + row]) : 0.0f;
            logit += bias;
            visible = visible && bias != -INFINITY;
#endif
#if CAUSAL
            int key = key_in(row, wrap, base, p.capacity);
            visible = visible && key >= 0 && key <= position && position - key < int(p.window);
#endif
            logits[i] = visible ? logit : -INFINITY;
            larger = max(larger, logits[i]);
        }
        larger = max(larger, simd_shuffle_xor(larger, 1));
        larger = max(larger, simd_shuffle_xor(larger, 2));
        float shrink = larger == most ? 1.0f : exp(most - larger), sum = 0.0f;
        uint seen = 0;
        for (uint i = 0; i < KEYS / 4; i++) {
            float weight = logits[i] == -INFINITY ? 0.0f : exp(logits[i] - larger);
            weights[own * KEYS + 4 * i + lane % 4] = weight;
            sum += weight;
            if (weight != 0.0f) seen |= 1u << (4 * i + lane % 4);
        }
        seen = simd_or(seen);
        if (lane == 0) all_seen[simd] = seen;
        sum += simd_shuffle_xor(sum, 1);
        sum += simd_shuffle_xor(sum, 2);
        total = total * shrink + sum;
        most = larger;
        if (lane % 4 == 0) square[9 * own] = shrink;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        // Rows that no token sees may hold anything: a NaN times the weight 0 would be a NaN.
        seen = all_seen[0] | all_seen[1] | all_seen[2] | all_seen[3];
        for (uint i = thread_index; i < KEYS * 8 * PARTS; i += 128) {
            uint row = i / (8 * PARTS), column = i % (8 * PARTS);
            bool used = (seen >> row & 1) != 0 && column < DIM;
            device const V *from = v + ulong(first + row) * p.v_token;
            float value = used ? VALUE(from, column) : 0.0f;
#if V_BITS
            if (used) value *= v_lengths[ulong(first + row) * (p.heads / p.group)] * rsqrt(float(DIM));
#endif
            tile[row * PITCH + column] = value;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_float8x8 left, right;
        if (!simd_all(shrink == 1.0f)) {
            simdgroup_load(left, square, 8);
            for (uint part = 0; part < PARTS; part++) simdgroup_multiply(sums[part], left, sums[part]);
        }
        for (uint j = 0; j < KEYS; j += 8) {
            simdgroup_load(left, weights + j, KEYS);
            for (uint part = 0; part < PARTS; part++) {
                simdgroup_load(right, tile + j * PITCH + 8 * part, PITCH);
                simdgroup_multiply_accumulate(sums[part], left, right, sums[part]);
            }
        }
    }
#if V_BITS
    rotate(sums, square, lane);
#endif
    // A token that sees no key gets zeros.
    float scale = total > 0.0f ? 1.0f / total : 0.0f;
    for (uint part = 0; part < PARTS; part++) {
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_store(sums[part], weights, 8);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = lane % 4; i < 8; i += 4) {
            uint column = 8 * part + i;
            if (token0 + own <= last_token && column < DIM) {
                o[ulong(token) * p.o_token + column] = O(weights[own * 8 + i] * scale);
            }
        }
    }
}
