// Sorting, and values by index.

#ifdef SORT
struct Sort {
    uint columns, x_stride, y_stride;
    uint block; // of a step
};

// The most values that a threadgroup sorts in its memory.
constant uint TILE = 1024;

// A number whose order is that of the values. NaN is last, and zeros are equal.
inline uint key_of(float value) {
    uint bits = as_type<uint>(value), size = bits & 0x7fffffff;
    if (size > 0x7f800000) return UINT_MAX;
    if (size == 0) bits = 0;
    bits ^= bits >> 31 ? UINT_MAX : 0x80000000u;
    return DESCENDING ? ~bits : bits;
}

// Pair `t` of a step in blocks: the first step of a merge compares values that mirror each other in a block, the others values
// that are half a block apart. So the smaller value is always first, and values past the end, which are larger than all, stay.
inline uint2 pair_of(uint t, uint block, bool mirrored) {
    uint half_block = block / 2, first = t / half_block * block + t % half_block;
    return uint2(first, mirrored ? t / half_block * block + block - 1 - t % half_block : first + half_block);
}

inline bool is_after(uint key, uint index, uint other_key, uint other_index) {
    return key > other_key || (key == other_key && index > other_index);
}

inline void sort_pairs(threadgroup uint *keys, threadgroup uint *indices, uint block, bool mirrored, uint thread_index) {
    for (uint t = thread_index; t < TILE / 2; t += 256) {
        uint2 pair = pair_of(t, block, mirrored);
        uint a = keys[pair.x], b = keys[pair.y], i = indices[pair.x], j = indices[pair.y];
        if (is_after(a, i, b, j)) {
            keys[pair.x] = b;
            keys[pair.y] = a;
            indices[pair.x] = j;
            indices[pair.y] = i;
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
}

// A threadgroup sorts a tile of a row, or with MERGE does the steps of a merge that are inside of tiles.
kernel void sort_tile(device const X *x [[buffer(0)]], device int *y [[buffer(1)]], constant Sort &p [[buffer(2)]],
                      uint2 group [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_threadgroup]]) {
    threadgroup uint keys[TILE], indices[TILE];
    x += ulong(group.y) * p.x_stride;
    y += ulong(group.y) * p.y_stride;
    uint first = group.x * TILE;
    for (uint i = thread_index; i < TILE; i += 256) {
        keys[i] = indices[i] = UINT_MAX;
        if (first + i < p.columns) {
            indices[i] = MERGE ? uint(y[first + i]) : first + i;
            keys[i] = key_of(float(x[indices[i]]));
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
#if MERGE
    for (uint block = TILE; block > 1; block /= 2) sort_pairs(keys, indices, block, false, thread_index);
#else
    for (uint size = 2; size <= TILE; size *= 2) {
        for (uint block = size; block > 1; block /= 2) sort_pairs(keys, indices, block, block == size, thread_index);
    }
#endif
    for (uint i = thread_index; i < TILE; i += 256) {
        if (first + i < p.columns) y[first + i] = int(indices[i]);
    }
}

// A step of a merge in blocks larger than a tile.
kernel void sort_step(device const X *x [[buffer(0)]], device int *y [[buffer(1)]], constant Sort &p [[buffer(2)]],
                      uint2 at [[thread_position_in_grid]]) {
    x += ulong(at.y) * p.x_stride;
    y += ulong(at.y) * p.y_stride;
    uint2 pair = pair_of(at.x, p.block, MERGE);
    if (pair.y >= p.columns) return;
    int i = y[pair.x], j = y[pair.y];
    if (is_after(key_of(float(x[i])), uint(i), key_of(float(x[j])), uint(j))) {
        y[pair.x] = j;
        y[pair.y] = i;
    }
}
#endif

#ifdef TAKE
struct Take {
    uint count;
    uint size, step; // of the axis of x: its length and stride
    uint shape[RANK];
    uint y[RANK], x[RANK], i[RANK];
};

// Values along an axis by index. An index past the end is a zero.
kernel void take(device const X *x [[buffer(0)]], device X *y [[buffer(1)]], device const int *indices [[buffer(2)]],
                 constant Take &p [[buffer(3)]], uint index [[thread_position_in_grid]]) {
    if (index >= p.count) return;
    uint rest = index, to = 0, from = 0, by = 0;
    for (int axis = RANK - 1; axis >= 0; axis--) {
        uint at = rest % p.shape[axis];
        rest /= p.shape[axis];
        to += at * p.y[axis];
        from += at * p.x[axis];
        by += at * p.i[axis];
    }
    int chosen = indices[by];
    y[to] = chosen >= 0 && uint(chosen) < p.size ? x[from + uint(chosen) * p.step] : X(0);
}
#endif

#ifdef SCATTER
struct Scatter {
    uint count;       // of lines along the axis
    uint length;      // of a line of x
    uint size;        // of a line of y
    uint steps[3];    // strides along the axis: of y, x and the indices
    uint shape[RANK]; // of the other axes
    uint y[RANK], x[RANK], i[RANK];
};

// Values along an axis to positions by index, the reverse of `take`. A thread has a line along the axis, so that the order of
// values with the same index is theirs. ADD sums. An index past the end is left out.
kernel void scatter(device const X *x [[buffer(0)]], device X *y [[buffer(1)]], device const int *indices [[buffer(2)]],
                    constant Scatter &p [[buffer(3)]], uint index [[thread_position_in_grid]]) {
    if (index >= p.count) return;
    uint rest = index, to = 0, from = 0, by = 0;
    for (int axis = RANK - 1; axis >= 0; axis--) {
        uint at = rest % p.shape[axis];
        rest /= p.shape[axis];
        to += at * p.y[axis];
        from += at * p.x[axis];
        by += at * p.i[axis];
    }
    for (uint i = 0; i < p.length; i++) {
        int chosen = indices[by + i * p.steps[2]];
        if (chosen < 0 || uint(chosen) >= p.size) continue;
        uint at = to + uint(chosen) * p.steps[0];
        X value = x[from + i * p.steps[1]];
#if ADD
        y[at] = X(COMPUTE(y[at]) + COMPUTE(value));
#else
        y[at] = value;
#endif
    }
}
#endif
