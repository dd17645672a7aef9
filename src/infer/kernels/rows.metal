// Operations on whole rows: a threadgroup of 256 threads computes one row. X and Y are the types of input and output.

struct Rows {
    uint columns;
    uint x_stride, y_stride, z_stride; // values from row to row
    float a, b;
};

// The sum of a value over the threadgroup, in every thread. `scratch` has a value for each SIMD-group.
inline float total(float value, threadgroup float *scratch, uint simd, uint lane) {
    value = simd_sum(value);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane == 0) scratch[simd] = value;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return simd_sum(lane < 8 ? scratch[lane] : 0.0f);
}

inline float largest(float value, threadgroup float *scratch, uint simd, uint lane) {
    value = simd_max(value);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane == 0) scratch[simd] = value;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return simd_max(lane < 8 ? scratch[lane] : -INFINITY);
}

#define THREAD                                                                                                         \
    uint row [[threadgroup_position_in_grid]], uint start [[thread_index_in_threadgroup]],                             \
        uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]

// KIND is the norm: 0 by root mean square, 1 by mean and deviation, 2 by length. RESIDUAL adds a tensor first, and
// writes the sum to it. WEIGHT multiplies each column, BIAS adds to it.
#ifdef KIND
kernel void norm(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Rows &p [[buffer(2)]],
#if RESIDUAL
                 device X *residual [[buffer(3)]],
#endif
#if WEIGHT
                 device const W *weight [[buffer(4)]],
#endif
#if BIAS
                 device const W *bias [[buffer(5)]],
#endif
                 THREAD) {
    threadgroup float scratch[8];
    x += ulong(row) * p.x_stride;
    y += ulong(row) * p.y_stride;
#if RESIDUAL
    residual += ulong(row) * p.z_stride;
#endif
    float mean = 0.0f, squares = 0.0f;
    for (uint i = start; i < p.columns; i += 256) {
        float value = float(x[i]);
#if RESIDUAL
        X sum = X(value + float(residual[i]));
        residual[i] = sum;
        value = float(sum);
#endif
        mean += value;
        squares = fma(value, value, squares);
    }
#if RESIDUAL
    // A thread reads only values that it wrote itself.
    device const X *from = residual;
#else
    device const X *from = x;
#endif
#if KIND == 0
    float scale = rsqrt(total(squares, scratch, simd, lane) / float(p.columns) + p.a);
#elif KIND == 2
    float scale = 1.0f / max(sqrt(total(squares, scratch, simd, lane)), p.a);
#else
    mean = total(mean, scratch, simd, lane) / float(p.columns);
    // In a second pass, because the difference of large sums would be inexact.
    squares = 0.0f;
    for (uint i = start; i < p.columns; i += 256) {
        float value = float(from[i]) - mean;
        squares = fma(value, value, squares);
    }
    float scale = rsqrt(total(squares, scratch, simd, lane) / float(p.columns) + p.a);
#endif
    for (uint i = start; i < p.columns; i += 256) {
        float value = float(from[i]);
#if KIND == 1
        value -= mean;
#endif
        value *= scale;
#if WEIGHT
        value *= float(weight[i]) + p.b;
#endif
#if BIAS
        value += float(bias[i]);
#endif
        y[i] = Y(value);
    }
}
#endif

// Softmax of a times the row; p.b is the limit of tanh before it, if it is not 0.
#ifdef SOFTMAX
kernel void softmax(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Rows &p [[buffer(2)]],
#if MASK
                    device const M *mask [[buffer(3)]], constant uint &mask_rows [[buffer(4)]],
#endif
                    THREAD) {
    threadgroup float scratch[8];
    x += ulong(row) * p.x_stride;
    y += ulong(row) * p.y_stride;
#if MASK
    mask += ulong(row % mask_rows) * p.z_stride;
#define LOGIT(i) (p.a * float(x[i]) + float(mask[i]))
#else
#define LOGIT(i) (p.a * float(x[i]))
#endif
    float most = -INFINITY;
    for (uint i = start; i < p.columns; i += 256) most = max(most, LOGIT(i));
    most = largest(most, scratch, simd, lane);
    // A row that is masked as a whole is zeros.
    float shift = most == -INFINITY ? 0.0f : most, sum = 0.0f;
    for (uint i = start; i < p.columns; i += 256) sum += exp(LOGIT(i) - shift);
    sum = total(sum, scratch, simd, lane);
    float scale = sum > 0.0f ? 1.0f / sum : 0.0f;
    for (uint i = start; i < p.columns; i += 256) y[i] = Y(exp(LOGIT(i) - shift) * scale);
}
#endif

// Reductions: 0 sum, 1 mean, 2 maximum, 3 minimum.
#ifdef REDUCE
kernel void reduce(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Rows &p [[buffer(2)]], THREAD) {
    threadgroup float scratch[8];
    x += ulong(row) * p.x_stride;
#if REDUCE < 2
    float sum = 0.0f;
    for (uint i = start; i < p.columns; i += 256) sum += float(x[i]);
    float result = total(sum, scratch, simd, lane);
#if REDUCE == 1
    result /= float(p.columns);
#endif
#else
    float sign = REDUCE == 2 ? 1.0f : -1.0f, most = -INFINITY;
    for (uint i = start; i < p.columns; i += 256) most = max(most, sign * float(x[i]));
    float result = sign * largest(most, scratch, simd, lane);
#endif
    if (start == 0) y[ulong(row) * p.y_stride] = Y(result);
}
#endif

// The K largest values of a row in descending order, with their indices; of equal ones the first. p.columns >= K. NaN is
// less than everything.
#ifdef TOP
struct Best {
    float value;
    uint index;
};

inline bool before(Best a, Best b) { return a.value > b.value || (a.value == b.value && a.index < b.index); }

// The best one of `count` neighbouring lanes, a power of two.
inline Best best(Best mine, ushort count) {
    for (ushort step = count / 2; step > 0; step /= 2) {
        Best other = {simd_shuffle_xor(mine.value, step), simd_shuffle_xor(mine.index, step)};
        if (before(other, mine)) mine = other;
    }
    return mine;
}

constant Best NO_BEST = {-INFINITY, UINT_MAX};

// The best value of a thread's columns, of those after `last` if `all` is false.
inline Best own_best(device const X *x, uint columns, uint start, bool all, Best last) {
    Best mine = NO_BEST;
    for (uint i = start; i < columns; i += 256) {
        float value = float(x[i]);
        Best one = {isnan(value) ? -INFINITY : value, i};
        if ((all || before(last, one)) && before(one, mine)) mine = one;
    }
    return mine;
}

// Each thread keeps the best of its columns, and each SIMD-group the best of its threads. Only those that had the value that
// was chosen look for their next one.
kernel void top(device const X *x [[buffer(0)]], device int *indices [[buffer(1)]], constant Rows &p [[buffer(2)]],
#if VALUES
                device float *values [[buffer(3)]],
#endif
                THREAD) {
    threadgroup float scratch_values[8];
    threadgroup uint scratch_indices[8];
    x += ulong(row) * p.x_stride;
    Best mine = own_best(x, p.columns, start, true, NO_BEST), group = best(mine, 32);
    for (uint k = 0; k < p.y_stride; k++) {
        if (lane == 0) {
            scratch_values[simd] = group.value;
            scratch_indices[simd] = group.index;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        Best last = NO_BEST;
        if (lane < 8) last = Best{scratch_values[lane], scratch_indices[lane]};
        last = best(last, 8);
        last = Best{simd_broadcast_first(last.value), simd_broadcast_first(last.index)};
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (start == 0) {
            indices[ulong(row) * p.y_stride + k] = int(last.index);
#if VALUES
            values[ulong(row) * p.y_stride + k] = float(x[last.index]);
#endif
        }
        uint chosen = last.index % 256;
        if (chosen / 32 == simd) {
            if (chosen == start) mine = own_best(x, p.columns, start, false, last);
            group = best(mine, 32);
        }
    }
}
#endif

// The sums of each row up to each value.
#ifdef SCAN
kernel void scan(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Rows &p [[buffer(2)]], THREAD) {
    threadgroup float scratch[8];
    x += ulong(row) * p.x_stride;
    y += ulong(row) * p.y_stride;
    float before = 0.0f;
    for (uint first = 0; first < p.columns; first += 256) {
        uint i = first + start;
        float sum = simd_prefix_inclusive_sum(i < p.columns ? float(x[i]) : 0.0f);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (lane == 31) scratch[simd] = sum;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint j = 0; j < simd; j++) sum += scratch[j];
        if (i < p.columns) y[i] = Y(before + sum);
        for (uint j = 0; j < 8; j++) before += scratch[j];
    }
}
#endif

// The Walsh-Hadamard transform of rows of SIZE values, a power of two; p.a is the factor at the end.
#ifdef HADAMARD
kernel void hadamard(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Rows &p [[buffer(2)]], THREAD) {
    threadgroup float values[SIZE];
    x += ulong(row) * p.x_stride;
    y += ulong(row) * p.y_stride;
    for (uint i = start; i < SIZE; i += 256) values[i] = float(x[i]);
    for (uint step = 1; step < SIZE; step *= 2) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint pair = start; pair < SIZE / 2; pair += 256) {
            uint i = pair / step * 2 * step + pair % step;
            float a = values[i], b = values[i + step];
            values[i] = a + b;
            values[i + step] = a - b;
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = start; i < SIZE; i += 256) y[i] = Y(values[i] * p.a);
}
#endif
