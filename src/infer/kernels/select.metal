// Rows by position, and the choice of tokens.

#ifdef APPEND
struct Append {
    uint tokens, columns, capacity;
    uint x_stride, y_stride;
};

// Row `i` of x becomes row `positions[i]` of the cache y, in a ring of `capacity` rows.
kernel void append(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], device const int *positions [[buffer(2)]],
                   constant Append &p [[buffer(3)]], uint2 at [[thread_position_in_grid]]) {
    if (at.x >= p.columns || at.y >= p.tokens) return;
    int position = positions[at.y];
    // Of positions that map to the same row, the latest is written. Negative ones are padding.
    uint last = p.tokens - 1;
    while (last > 0 && positions[last] < 0) last--;
    if (position < 0 || positions[last] - position >= int(p.capacity)) return;
    y[ulong(uint(position) % p.capacity) * p.y_stride + at.x] = Y(float(x[ulong(at.y) * p.x_stride + at.x]));
}
#endif

#ifdef SAMPLE
struct Sample {
    uint rows, count;
    float temperature, top_p, min_p;
};

// One of `count` candidates, in descending order of their logits, by a random number from 0 to 1.
kernel void sample(device const float *logits [[buffer(0)]], device const int *tokens [[buffer(1)]],
                   device const float *random [[buffer(2)]], device int *chosen [[buffer(3)]],
                   constant Sample &p [[buffer(4)]], uint row [[thread_position_in_grid]]) {
    if (row >= p.rows) return;
    logits += ulong(row) * p.count;
    tokens += ulong(row) * p.count;
    uint last = 0;
    if (p.temperature > 0.0f) {
        float all = 0.0f;
        for (uint i = 0; i < p.count; i++) all += exp((logits[i] - logits[0]) / p.temperature);
        // The first candidates that together have the share top_p, and each at least min_p of the first one's.
        float kept = 0.0f;
        uint end = 0;
        while (end < p.count && (end == 0 || kept < p.top_p * all)) {
            float weight = exp((logits[end] - logits[0]) / p.temperature);
            if (end > 0 && weight < p.min_p) break;
            kept += weight;
            end++;
        }
        float aim = random[row] * kept, below = 0.0f;
        for (last = 0; last + 1 < end; last++) {
            below += exp((logits[last] - logits[0]) / p.temperature);
            if (aim < below) break;
        }
    }
    chosen[row] = tokens[last];
}
#endif
