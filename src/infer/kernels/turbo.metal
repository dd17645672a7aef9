// Vectors as lengths and codes (turboquant.rs): the functions that read them, and the kernel that appends them to a cache.
// BOOK_n is the codebook of n bits.

// The code of value `i`: a stream of bits, the lowest first.
inline uint code_at(device const uchar *codes, uint i, uint bits) {
    uint at = i * bits, byte = at / 8, shift = at % 8;
    uint both = codes[byte];
    if (shift + bits > 8) both |= uint(codes[byte + 1]) << 8;
    return both >> shift & ((1u << bits) - 1);
}

// Rotates SIZE values in threadgroup memory, by all threads of a threadgroup of 128. It begins and ends with a barrier.
template <uint SIZE>
inline void rotate(threadgroup float *values, uint thread_index) {
    for (uint step = 1; step < SIZE; step *= 2) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint pair = thread_index; pair < SIZE / 2; pair += 128) {
            uint i = pair / step * 2 * step + pair % step;
            float a = values[i], b = values[i + step];
            values[i] = a + b;
            values[i + step] = a - b;
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = thread_index; i < SIZE; i += 128) values[i] *= rsqrt(float(SIZE));
    threadgroup_barrier(mem_flags::mem_threadgroup);
}

#ifdef APPEND_TURBO
struct AppendTurbo {
    uint tokens, heads, capacity;
    uint x_token, x_head;   // strides
};

// A threadgroup encodes a head of a token, and writes it to row `positions[token]` of the cache, in a ring.
kernel void append_turbo(device const X *x [[buffer(0)]], device uchar *codes [[buffer(1)]],
                         device float *lengths [[buffer(2)]], device const int *positions [[buffer(3)]],
                         constant AppendTurbo &p [[buffer(4)]], uint2 group [[threadgroup_position_in_grid]],
                         uint thread_index [[thread_index_in_threadgroup]],
                         uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    threadgroup float values[DIM], squares[4];
    threadgroup uchar found[DIM];
    uint head = group.x, token = group.y;
    int position = positions[token];
    // Of positions that map to the same row, the latest is written. Negative ones are padding.
    uint last = p.tokens - 1;
    while (last > 0 && positions[last] < 0) last--;
    if (position < 0 || positions[last] - position >= int(p.capacity)) return;
    x += ulong(token) * p.x_token + ulong(head) * p.x_head;
    float square = 0.0f;
    for (uint i = thread_index; i < DIM; i += 128) {
        float value = float(x[i]);
        values[i] = value;
        square = fma(value, value, square);
    }
    square = simd_sum(square);
    if (lane == 0) squares[simd] = square;
    rotate<DIM>(values, thread_index);
    float length = sqrt(squares[0] + squares[1] + squares[2] + squares[3]);
    float scale = length > 0.0f ? sqrt(float(DIM)) / length : 0.0f;
    for (uint i = thread_index; i < DIM; i += 128) {
        float value = values[i] * scale;
        // Bisection for the number of boundaries that the value exceeds.
        uint code = 0;
        for (uint step = 1u << (BITS - 1); step > 0; step /= 2) {
            uint next = code + step;
            if (value > (BOOK[next - 1] + BOOK[next]) / 2.0f) code = next;
        }
        found[i] = uchar(code);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    constexpr uint BYTES = (DIM * BITS + 7) / 8;
    ulong row = ulong(uint(position) % p.capacity) * p.heads + head;
    for (uint byte = thread_index; byte < BYTES; byte += 128) {
        uint sum = 0;
        // The codes that have bits in this byte.
        for (uint i = 8 * byte / BITS; i < DIM && i * BITS < 8 * byte + 8; i++) {
            int shift = int(i * BITS) - int(8 * byte);
            sum |= shift >= 0 ? uint(found[i]) << shift : uint(found[i]) >> -shift;
        }
        codes[row * BYTES + byte] = uchar(sum);
    }
    if (thread_index == 0) lengths[row] = length;
}
#endif
