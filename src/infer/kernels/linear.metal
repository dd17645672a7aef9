// y = x w', for weights of any type: rows of `w` are outputs. After `decode.metal`, whose defines it needs; X and Y
// are the types of `x` and `y`.

struct Linear {
    uint rows;      // of y
    uint outputs;   // rows of each matrix of w
    uint columns;   // of x and w
    uint x_stride;  // values from row to row of x
    uint y_stride;  // and of y
    uint w_stride;  // bytes from row to row of w
    uint experts;   // matrices of w
    uint shared;    // the number of rows of y that share a row of x
};

// EXPERTS: `ids` has the matrix of each row of y. GATED(gate, up): results are combined with those of a second weight, `up`.
#if FORMAT == 1000
#define WEIGHTS device const uchar *w [[buffer(3)]], device const SCALE *scales [[buffer(4)]], device const SCALE *biases [[buffer(5)]]
#define UP , device const uchar *up [[buffer(6)]], device const SCALE *up_scales [[buffer(7)]], device const SCALE *up_biases [[buffer(8)]]
#define MATRIX(p) Matrix{w, (p).w_stride, (p).columns, scales, biases}
#define MATRIX_UP(p) Matrix{up, (p).w_stride, (p).columns, up_scales, up_biases}
#else
#define WEIGHTS device const uchar *w [[buffer(3)]]
#define UP , device const uchar *up [[buffer(6)]]
#define MATRIX(p) Matrix{w, (p).w_stride, (p).columns}
#define MATRIX_UP(p) Matrix{up, (p).w_stride, (p).columns}
#endif
#ifndef GATED
#undef UP
#define UP
#endif

// Few rows of x (at most ROWS): each SIMD-group computes two outputs, or one that is gated, and its lanes share the columns.
// Of experts, each row is computed by itself (ROWS is 1), and an expert that does not exist makes zeros.
kernel void linear_few(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Linear &p [[buffer(2)]],
                       WEIGHTS UP,
#if EXPERTS
                       device const int *ids [[buffer(9)]],
#endif
                       uint2 group [[threadgroup_position_in_grid]],
                       uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    Matrix matrix = MATRIX(p);
#ifdef GATED
    Matrix other = MATRIX_UP(p);
    uint first = group.x * 4 + simd, second = first;
#else
    Matrix other = matrix;
    // The last pair may be one output: it is computed twice, and written once.
    uint first = (group.x * 4 + simd) * 2, second = min(first + 1, p.outputs - 1);
#endif
    if (first >= p.outputs) return;
    uint rows = p.rows, groups = (p.columns + 15) / 16, row0 = 0;
#if EXPERTS
    int id = ids[group.y];
    if (id >= 0 && uint(id) < p.experts) row0 = uint(id) * p.outputs;
    else groups = 0;
    x += ulong(group.y / p.shared) * p.x_stride;
    y += ulong(group.y) * p.y_stride;
    rows = 1;
#endif
    float sums[2][ROWS];
    for (uint r = 0; r < ROWS; r++) sums[0][r] = sums[1][r] = 0.0f;
    for (uint g = lane; g < groups; g += 32) {
        float a[16], b[16];
        decode(matrix, row0 + first, g, a);
        decode(other, row0 + second, g, b);
#if BLOCKS
        constexpr uint count = 16;
#else
        uint count = min(16u, p.columns - 16 * g);
#endif
        for (uint r = 0; r < ROWS; r++) {
            device const X *row = x + ulong(min(r, rows - 1)) * p.x_stride + 16 * g;
            float one = 0.0f, two = 0.0f;
            if (count == 16) {
                for (uint i = 0; i < 16; i++) {
                    float value = float(row[i]);
                    one = fma(value, a[i], one);
                    two = fma(value, b[i], two);
                }
            } else {
                // A constant number of steps keeps the decoded values in registers.
                for (uint i = 0; i < 15; i++) {
                    if (i < count) {
                        float value = float(row[i]);
                        one = fma(value, a[i], one);
                        two = fma(value, b[i], two);
                    }
                }
            }
            sums[0][r] += one;
            sums[1][r] += two;
        }
    }
    for (uint r = 0; r < ROWS; r++) {
        float one = simd_sum(sums[0][r]), two = simd_sum(sums[1][r]);
        if (lane == 0 && r < rows) {
#ifdef GATED
            y[ulong(r) * p.y_stride + first] = Y(GATED(one, two));
#else
            y[ulong(r) * p.y_stride + first] = Y(one);
            if (second != first) y[ulong(r) * p.y_stride + second] = Y(two);
#endif
        }
    }
}

// Many rows of x: a threadgroup computes 32 rows and 64 products, in steps of 32 columns. Its four SIMD-groups compute 16 rows
// and 32 products each, in matrices of 8 x 8. The products are of 64 rows of w, or of 32 and the same ones of `up`. Of
// experts, a threadgroup has 32 rows of one list that `list_rows` made (experts.metal); the last list is of rows without one.
kernel void linear_many(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Linear &p [[buffer(2)]],
                        WEIGHTS UP,
#if EXPERTS
                        device const int *lists [[buffer(9)]],
#endif
                        uint2 group [[threadgroup_position_in_grid]],
                        uint thread_index [[thread_index_in_threadgroup]],
                        uint simd [[simdgroup_index_in_threadgroup]]) {
    threadgroup float tile[32 * 32 + 64 * 32];
    threadgroup float *xs = tile, *ws = tile + 32 * 32;
    Matrix matrix = MATRIX(p);
#ifdef GATED
    constexpr uint OUTPUTS = 32;
#else
    constexpr uint OUTPUTS = 64;
#endif
    uint output0 = group.x * OUTPUTS, expert = 0, columns = p.columns;
#if EXPERTS
    device const int *starts = lists, *tiles = lists + p.experts + 2, *order = tiles + p.experts + 2;
    int at = int(group.y);
    if (at >= tiles[p.experts + 1]) return;
    // The last list whose tiles start at this one or before it.
    uint past = p.experts + 1;
    while (past - expert > 1) {
        uint middle = (expert + past) / 2;
        if (tiles[middle] <= at) expert = middle;
        else past = middle;
    }
    uint row0 = uint(at - tiles[expert]) * 32, rows = uint(starts[expert + 1] - starts[expert]);
    order += starts[expert];
    if (expert == p.experts) {
        expert = 0;
        columns = 0;
    }
#define ROW(r) uint(order[r])
#else
    uint row0 = group.y * 32, rows = p.rows;
#define ROW(r) (r)
#endif
    uint simd_row = simd / 2 * 16, simd_output = simd % 2 * 32;
    simdgroup_float8x8 sums[2][4];
    for (uint i = 0; i < 2; i++) {
        for (uint j = 0; j < 4; j++) sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    // Each thread decodes 16 values of a row of w, and copies 8 of a row of x.
    uint w_row = thread_index / 2, w_group = thread_index % 2;
    uint x_row = thread_index / 4, x_column = thread_index % 4 * 8;
#ifdef GATED
    if (w_row >= 32) matrix = MATRIX_UP(p);
#endif
    uint output = expert * p.outputs + min(output0 + w_row % OUTPUTS, p.outputs - 1);
    device const X *own = x + ulong(ROW(min(row0 + x_row, rows - 1)) / p.shared) * p.x_stride;
    for (uint k = 0; k < columns; k += 32) {
        float values[16];
        if (k + 16 * w_group < columns) {
            decode(matrix, output, k / 16 + w_group, values);
        } else {
            for (uint i = 0; i < 16; i++) values[i] = 0.0f;
        }
        for (uint i = 0; i < 16; i++) ws[w_row * 32 + w_group * 16 + i] = values[i];
        for (uint i = 0; i < 8; i++) {
            uint column = x_column + i;
            xs[x_row * 32 + column] = k + column < columns ? float(own[k + column]) : 0.0f;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint kk = 0; kk < 32; kk += 8) {
            simdgroup_float8x8 a[2], b[4];
            for (uint i = 0; i < 2; i++) simdgroup_load(a[i], xs + (simd_row + 8 * i) * 32 + kk, 32);
            for (uint j = 0; j < 4; j++) {
                simdgroup_load(b[j], ws + (simd_output + 8 * j) * 32 + kk, 32, ulong2(0, 0), true);
            }
            for (uint i = 0; i < 2; i++) {
                for (uint j = 0; j < 4; j++) simdgroup_multiply_accumulate(sums[i][j], a[i], b[j], sums[i][j]);
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    // Through the tiles' memory, to convert the type and to handle the edges.
    for (uint i = 0; i < 2; i++) {
        for (uint j = 0; j < 4; j++) {
            simdgroup_store(sums[i][j], tile + (simd_row + 8 * i) * 64 + simd_output + 8 * j, 64);
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = thread_index; i < 32 * OUTPUTS; i += 128) {
        uint r = row0 + i / OUTPUTS, o = output0 + i % OUTPUTS;
        if (r < rows && o < p.outputs) {
            threadgroup float *from = tile + i / OUTPUTS * 64 + i % OUTPUTS;
#ifdef GATED
            float value = GATED(from[0], from[32]);
#else
            float value = from[0];
#endif
            y[ulong(ROW(r)) * p.y_stride + o] = Y(value);
        }
    }
}

struct Lookup {
    uint rows;      // of y
    uint outputs;   // rows of w
    uint columns;
    uint y_stride;
    uint w_stride;
};

// Rows of `w` by index, decoded. An index past the end is a row of zeros.
kernel void lookup(device const int *indices [[buffer(0)]], device Y *y [[buffer(1)]], constant Lookup &p [[buffer(2)]],
                   WEIGHTS, uint2 at [[thread_position_in_grid]]) {
    if (16 * at.x >= p.columns || at.y >= p.rows) return;
    float values[16];
    int index = indices[at.y];
    if (index >= 0 && uint(index) < p.outputs) {
        Matrix matrix = MATRIX(p);
        decode(matrix, uint(index), at.x, values);
    } else {
        for (uint i = 0; i < 16; i++) values[i] = 0.0f;
    }
    device Y *to = y + ulong(at.y) * p.y_stride + 16 * at.x;
    uint count = min(16u, p.columns - 16 * at.x);
    for (uint i = 0; i < count; i++) to[i] = Y(values[i]);
}
