// Operations along a sequence: convolutions and recurrences. X and Y are the types of inputs and outputs.

struct Sequence {
    uint tokens, channels;
    uint x_stride, y_stride; // from token to token
    uint size;               // of the kernel, or of the state
    uint group;              // heads that share keys
    float scale;
};

// Causal and by channel: p.size - 1 rows of x lie before the first token.
#ifdef CONV
kernel void conv(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Sequence &p [[buffer(2)]],
                 device const W *weight [[buffer(3)]],
#if BIAS
                 device const W *bias [[buffer(4)]],
#endif
                 uint2 at [[thread_position_in_grid]]) {
    if (at.x >= p.channels || at.y >= p.tokens) return;
#if BIAS
    float sum = float(bias[at.x]);
#else
    float sum = 0.0f;
#endif
    for (uint i = 0; i < p.size; i++) {
        sum = fma(float(x[ulong(at.y + i) * p.x_stride + at.x]), float(weight[ulong(at.x) * p.size + i]), sum);
    }
#if SILU
    sum = silu(sum);
#endif
    y[ulong(at.y) * p.y_stride + at.x] = Y(sum);
}
#endif

// A selective state space: a thread has a channel and its state of SIZE values.
#ifdef SSM
kernel void ssm(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Sequence &p [[buffer(2)]],
                device const X *dt [[buffer(3)]], device const float *a [[buffer(4)]], device const X *b [[buffer(5)]],
                device const X *c [[buffer(6)]], device const float *d [[buffer(7)]], device float *state [[buffer(8)]],
                uint channel [[thread_position_in_grid]]) {
    if (channel >= p.channels) return;
    float h[SIZE], decay[SIZE];
    for (uint i = 0; i < SIZE; i++) {
        h[i] = state[ulong(channel) * SIZE + i];
        decay[i] = a[ulong(channel) * SIZE + i];
    }
    for (uint t = 0; t < p.tokens; t++) {
        float value = float(x[ulong(t) * p.x_stride + channel]), step = float(dt[ulong(t) * p.x_stride + channel]);
        float sum = d[channel] * value;
        for (uint i = 0; i < SIZE; i++) {
            h[i] = fma(exp(step * decay[i]), h[i], step * float(b[ulong(t) * SIZE + i]) * value);
            sum = fma(h[i], float(c[ulong(t) * SIZE + i]), sum);
        }
        y[ulong(t) * p.y_stride + channel] = Y(sum);
    }
    for (uint i = 0; i < SIZE; i++) state[ulong(channel) * SIZE + i] = h[i];
}
#endif

// The gated delta rule: a threadgroup has a head, and a thread a column of the head's state of SIZE rows. Keys and queries have
// SIZE values, values have as many as the threadgroup has threads.
#ifdef DELTA
kernel void delta(device const X *q [[buffer(0)]], device Y *y [[buffer(1)]], constant Sequence &p [[buffer(2)]],
                  device const X *k [[buffer(3)]], device const X *v [[buffer(4)]],
                  device const float *gate [[buffer(5)]], device const float *beta [[buffer(6)]],
                  device float *state [[buffer(7)]], uint head [[threadgroup_position_in_grid]],
                  uint heads [[threadgroups_per_grid]], uint column [[thread_index_in_threadgroup]],
                  uint columns [[threads_per_threadgroup]]) {
    float s[SIZE];
    device float *own = state + ulong(head) * SIZE * columns + column;
    for (uint i = 0; i < SIZE; i++) s[i] = own[i * columns];
    uint key_heads = heads / p.group;
    for (uint t = 0; t < p.tokens; t++) {
        ulong row = ulong(t) * heads + head;
        device const X *key = k + (ulong(t) * key_heads + head / p.group) * SIZE;
        device const X *query = q + (ulong(t) * key_heads + head / p.group) * SIZE;
        float decay = exp(gate[row]), known = 0.0f;
        for (uint i = 0; i < SIZE; i++) {
            s[i] *= decay;
            known = fma(s[i], float(key[i]), known);
        }
        // The part of the value that the state does not have yet.
        float change = (float(v[row * columns + column]) - known) * beta[row], sum = 0.0f;
        for (uint i = 0; i < SIZE; i++) {
            s[i] = fma(float(key[i]), change, s[i]);
            sum = fma(s[i], float(query[i]), sum);
        }
        y[row * columns + column] = Y(sum * p.scale);
    }
    for (uint i = 0; i < SIZE; i++) own[i * columns] = s[i];
}
#endif
