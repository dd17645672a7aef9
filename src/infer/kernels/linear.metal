// y = x w', for weights of any type: rows of `w` are outputs. After `decode.metal`, whose defines it needs; X and Y
// are the types of `x` and `y`.

struct Linear {
    uint rows;      // of x and y
    uint outputs;   // rows of w
    uint columns;   // of x and w
    uint x_stride;  // values from row to row of x
    uint y_stride;  // and of y
    uint w_stride;  // bytes from row to row of w
};

#if FORMAT == 1000
#define WEIGHTS device const uchar *w [[buffer(3)]], device const SCALE *scales [[buffer(4)]], device const SCALE *biases [[buffer(5)]]
#define MATRIX(p) Matrix{w, (p).w_stride, (p).columns, scales, biases}
#else
#define WEIGHTS device const uchar *w [[buffer(3)]]
#define MATRIX(p) Matrix{w, (p).w_stride, (p).columns}
#endif

// Few rows of x (at most ROWS): each SIMD-group computes two outputs, and its lanes share the columns.
kernel void linear_few(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Linear &p [[buffer(2)]],
                       WEIGHTS, uint group [[threadgroup_position_in_grid]],
                       uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    Matrix matrix = MATRIX(p);
    uint first = (group * 4 + simd) * 2;
    if (first >= p.outputs) return;
    // The last pair may be one output: it is computed twice, and written once.
    uint second = min(first + 1, p.outputs - 1);
    float sums[2][ROWS];
    for (uint r = 0; r < ROWS; r++) sums[0][r] = sums[1][r] = 0.0f;
    for (uint g = lane; g < (p.columns + 15) / 16; g += 32) {
        float a[16], b[16];
        decode(matrix, first, g, a);
        decode(matrix, second, g, b);
        uint count = min(16u, p.columns - 16 * g);
        for (uint r = 0; r < ROWS; r++) {
            device const X *row = x + ulong(min(r, p.rows - 1)) * p.x_stride + 16 * g;
            float one = 0.0f, two = 0.0f;
            if (count == 16) {
                for (uint i = 0; i < 16; i++) {
                    float value = float(row[i]);
                    one = fma(value, a[i], one);
                    two = fma(value, b[i], two);
                }
            } else {
                for (uint i = 0; i < count; i++) {
                    float value = float(row[i]);
                    one = fma(value, a[i], one);
                    two = fma(value, b[i], two);
                }
            }
            sums[0][r] += one;
            sums[1][r] += two;
        }
    }
    for (uint r = 0; r < ROWS; r++) {
        float one = simd_sum(sums[0][r]), two = simd_sum(sums[1][r]);
        if (lane == 0 && r < p.rows) {
            y[ulong(r) * p.y_stride + first] = Y(one);
            if (second != first) y[ulong(r) * p.y_stride + second] = Y(two);
        }
    }
}

// Many rows of x: a threadgroup computes 32 rows and 64 outputs, in steps of 32 columns. Its four SIMD-groups
// compute 16 rows and 32 outputs each, in matrices of 8 x 8.
kernel void linear_many(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Linear &p [[buffer(2)]],
                        WEIGHTS, uint2 group [[threadgroup_position_in_grid]],
                        uint thread_index [[thread_index_in_threadgroup]],
                        uint simd [[simdgroup_index_in_threadgroup]]) {
    threadgroup float tile[32 * 32 + 64 * 32];
    threadgroup float *xs = tile, *ws = tile + 32 * 32;
    Matrix matrix = MATRIX(p);
    uint row0 = group.y * 32, output0 = group.x * 64;
    uint simd_row = simd / 2 * 16, simd_output = simd % 2 * 32;
    simdgroup_float8x8 sums[2][4];
    for (uint i = 0; i < 2; i++) {
        for (uint j = 0; j < 4; j++) sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    // Each thread decodes 16 values of a row of w, and copies 8 of a row of x.
    uint w_row = thread_index / 2, w_group = thread_index % 2;
    uint x_row = thread_index / 4, x_column = thread_index % 4 * 8;
    uint output = min(output0 + w_row, p.outputs - 1), row = min(row0 + x_row, p.rows - 1);
    for (uint k = 0; k < p.columns; k += 32) {
        float values[16];
        if (k + 16 * w_group < p.columns) {
            decode(matrix, output, k / 16 + w_group, values);
        } else {
            for (uint i = 0; i < 16; i++) values[i] = 0.0f;
        }
        for (uint i = 0; i < 16; i++) ws[w_row * 32 + w_group * 16 + i] = values[i];
        device const X *from = x + ulong(row) * p.x_stride + k;
        for (uint i = 0; i < 8; i++) {
            uint column = x_column + i;
            xs[x_row * 32 + column] = k + column < p.columns ? float(from[column]) : 0.0f;
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
    for (uint i = thread_index; i < 32 * 64; i += 128) {
        uint r = row0 + i / 64, o = output0 + i % 64;
        if (r < p.rows && o < p.outputs) y[ulong(r) * p.y_stride + o] = Y(tile[i]);
    }
}

struct Experts {
    uint slots;     // rows of y, each with an expert
    uint experts;
    uint outputs;   // rows of an expert
    uint columns;
    uint shared;    // the number of slots that share a row of x
    uint x_stride, y_stride, w_stride;
};

// `ids` has the expert of each row of y. A SIMD-group computes two outputs of one row. An expert that does not
// exist makes zeros.
kernel void linear_experts(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]],
                           constant Experts &p [[buffer(2)]], WEIGHTS, device const int *ids [[buffer(6)]],
                           uint2 group [[threadgroup_position_in_grid]],
                           uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    uint slot = group.y, first = (group.x * 4 + simd) * 2;
    if (first >= p.outputs) return;
    uint second = min(first + 1, p.outputs - 1);
    int id = ids[slot];
    float one = 0.0f, two = 0.0f;
    if (id >= 0 && uint(id) < p.experts) {
        Matrix matrix = MATRIX(p);
        uint row = uint(id) * p.outputs;
        x += ulong(slot / p.shared) * p.x_stride;
        for (uint g = lane; g < (p.columns + 15) / 16; g += 32) {
            float a[16], b[16];
            decode(matrix, row + first, g, a);
            decode(matrix, row + second, g, b);
            uint count = min(16u, p.columns - 16 * g);
            for (uint i = 0; i < count; i++) {
                float value = float(x[16 * g + i]);
                one = fma(value, a[i], one);
                two = fma(value, b[i], two);
            }
        }
    }
    one = simd_sum(one);
    two = simd_sum(two);
    if (lane == 0) {
        y[ulong(slot) * p.y_stride + first] = Y(one);
        if (second != first) y[ulong(slot) * p.y_stride + second] = Y(two);
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
