// Triangular systems: a x = y, in batches. A and B are the types of a and b; x is the result.

struct Solve {
    uint size, columns;
    uint a_row, a_column, b_row, b_column, x_row, x_column; // strides
    uint a_batch, b_batch, x_batch;
    uint a_divisor, b_divisor; // the number of batches that share a matrix
};

// A thread computes a column by substitution, and reads only what it wrote itself. UPPER starts at the last row, and UNIT has
// ones on the diagonal.
kernel void solve(device const A *a [[buffer(0)]], device const B *b [[buffer(1)]], device float *x [[buffer(2)]],
                  constant Solve &p [[buffer(3)]], uint2 at [[thread_position_in_grid]]) {
    if (at.x >= p.columns) return;
    a += ulong(at.y / p.a_divisor) * p.a_batch;
    b += ulong(at.y / p.b_divisor) * p.b_batch + ulong(at.x) * p.b_column;
    x += ulong(at.y) * p.x_batch + ulong(at.x) * p.x_column;
    for (uint i = 0; i < p.size; i++) {
        uint row = UPPER ? p.size - 1 - i : i;
        float sum = float(b[ulong(row) * p.b_row]);
        for (uint j = 0; j < i; j++) {
            uint column = UPPER ? p.size - 1 - j : j;
            sum = fma(-float(a[ulong(row) * p.a_row + ulong(column) * p.a_column]), x[ulong(column) * p.x_row], sum);
        }
#if !UNIT
        sum /= float(a[ulong(row) * p.a_row + ulong(row) * p.a_column]);
#endif
        x[ulong(row) * p.x_row] = sum;
    }
}
