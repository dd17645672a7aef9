// Attention of each token and head over the keys of a cache. Q, K and O are the types; DIM is the size of a head, and
// CAUSAL, MASK and CAP choose the variant. With K_BITS, keys are codes of K_BITS bits (turbo.metal, which is then before
// this file), and with V_BITS so are values; K and V are bytes then.

struct Attention {
    uint tokens, heads, group;   // `group` heads share keys and values
    uint capacity;               // rows of keys and values
    uint q_token, q_head;        // strides
    uint k_token, k_head;
    uint v_token, v_head;
    uint o_token, o_head;
    uint mask_token;
    uint window;                 // the number of latest keys that a token sees, its own included
    float scale, cap;
};

// A threadgroup computes one token and head. Its SIMD-groups take 32 keys at a time, one for each lane; then the lanes share
// the columns of the values and sum them. Maximum and sum are updated on the way, and the SIMD-groups are combined at the end.
#if K_BITS
#define KEY(from, i) BOOK_K[code_at(from, i, K_BITS)]
#else
#define KEY(from, i) float(from[i])
#endif
#if V_BITS
#define VALUE(from, i) BOOK_V[code_at(from, i, V_BITS)]
#else
#define VALUE(from, i) float(from[i])
#endif

#if CAUSAL
// The latest position. Tokens with a negative position are padding.
inline int latest_of(device const int *positions, uint tokens) {
    uint last = tokens - 1;
    while (last > 0 && positions[last] < 0) last--;
    return positions[last];
}
#endif

kernel void attention(device const Q *q [[buffer(0)]], device const K *k [[buffer(1)]], device const V *v [[buffer(2)]],
                      device O *o [[buffer(3)]], constant Attention &p [[buffer(4)]],
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
    constexpr uint COLUMNS = (DIM + 31) / 32;
    threadgroup float query[DIM], sums[4 * DIM], most_of[4], total_of[4];
    uint token = group.x, head = group.y;
    q += ulong(token) * p.q_token + ulong(head) * p.q_head;
    k += ulong(head / p.group) * p.k_head;
    v += ulong(head / p.group) * p.v_head;
    for (uint i = thread_index; i < DIM; i += 128) query[i] = float(q[i]) * p.scale;
#if K_BITS
    // Products of rotated vectors are those of the vectors.
    rotate<DIM>(query, thread_index);
    k_lengths += head / p.group;
#else
    threadgroup_barrier(mem_flags::mem_threadgroup);
#endif
#if V_BITS
    v_lengths += head / p.group;
#endif
#if CAUSAL
    int position = positions[token], latest = latest_of(positions, p.tokens);
    // Rows past the latest position have not been written.
    uint end = latest < 0 ? 0 : min(p.capacity, uint(latest) + 1);
#else
    uint end = p.capacity;
#endif
    float most = -INFINITY, sum = 0.0f, columns[COLUMNS];
    for (uint c = 0; c < COLUMNS; c++) columns[c] = 0.0f;
    for (uint first = simd * 32; first < end; first += 128) {
        uint row = first + lane;
        float logit = -INFINITY;
        bool visible = row < end;
#if CAUSAL
        // The position of the key in this row: the latest one that maps to it.
        int key = latest - int((uint(latest) + p.capacity - row) % p.capacity);
        visible = visible && key >= 0 && key <= position && position - key < int(p.window);
#endif
#if MASK
        // A key that is masked may be anything.
        float bias = row < end ? float(mask[ulong(token) * p.mask_token + row]) : 0.0f;
        visible = visible && bias != -INFINITY;
#endif
        if (visible) {
            device const K *from = k + ulong(row) * p.k_token;
            logit = 0.0f;
            for (uint i = 0; i < DIM; i++) logit = fma(query[i], KEY(from, i), logit);
#if K_BITS
            logit *= k_lengths[ulong(row) * (p.heads / p.group)] * rsqrt(float(DIM));
#endif
#if CAP
            logit = p.cap * precise::tanh(logit / p.cap);
#endif
#if MASK
            logit += bias;
#endif
        }
        float larger = max(most, simd_max(logit));
        if (larger == -INFINITY) continue;
        float weight = exp(logit - larger), shrink = exp(most - larger);
        most = larger;
        sum = sum * shrink + simd_sum(weight);
        for (uint c = 0; c < COLUMNS; c++) columns[c] *= shrink;
        uint count = min(32u, end - first);
        for (uint i = 0; i < count; i++) {
            float share = simd_shuffle(weight, ushort(i));
            if (share == 0.0f) continue;
            device const V *from = v + ulong(first + i) * p.v_token;
#if V_BITS
            share *= v_lengths[ulong(first + i) * (p.heads / p.group)] * rsqrt(float(DIM));
#endif
            for (uint c = 0; c < COLUMNS; c++) {
                uint column = lane + 32 * c;
                if (DIM % 32 == 0 || column < DIM) columns[c] = fma(share, VALUE(from, column), columns[c]);
            }
        }
    }
    for (uint c = 0; c < COLUMNS; c++) {
        if (lane + 32 * c < DIM) sums[simd * DIM + lane + 32 * c] = columns[c];
    }
    if (lane == 0) {
        most_of[simd] = most;
        total_of[simd] = sum;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    most = max(max(most_of[0], most_of[1]), max(most_of[2], most_of[3]));
    float factors[4], all = 0.0f;
    for (uint i = 0; i < 4; i++) {
        factors[i] = most_of[i] == -INFINITY ? 0.0f : exp(most_of[i] - most);
        all += factors[i] * total_of[i];
    }
    // A token that sees no key gets zeros.
    float scale = all > 0.0f ? 1.0f / all : 0.0f;
    o += ulong(token) * p.o_token + ulong(head) * p.o_head;
    for (uint i = thread_index; i < DIM; i += 128) {
        float value = 0.0f;
        for (uint j = 0; j < 4; j++) value = fma(factors[j], sums[j * DIM + i], value);
#if V_BITS
        query[i] = value * scale;
    }
    rotate<DIM>(query, thread_index);
    for (uint i = thread_index; i < DIM; i += 128) o[i] = O(query[i]);
#else
        o[i] = O(value * scale);
    }
#endif
}
