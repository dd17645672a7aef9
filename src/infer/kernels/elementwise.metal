// Operations on each value of tensors with up to RANK axes and any strides; a broadcast axis has the stride 0. A, B and O
// are the types, and OP(a, b) is the operation on values of type COMPUTE; p.p and p.q are its numbers.

struct Elementwise {
    uint count;
    float p, q;
    uint shape[RANK];
    uint o[RANK], a[RANK], b[RANK];
};

kernel void elementwise(device O *o [[buffer(0)]], constant Elementwise &p [[buffer(1)]], device const A *a [[buffer(2)]],
#ifdef B
                        device const B *b [[buffer(3)]],
#endif
                        uint index [[thread_position_in_grid]]) {
    if (index >= p.count) return;
    uint rest = index, to = 0, from_a = 0, from_b = 0;
#if RANK == 1
    to = rest * p.o[0];
    from_a = rest * p.a[0];
    from_b = rest * p.b[0];
#else
    for (int axis = RANK - 1; axis >= 0; axis--) {
        uint at = rest % p.shape[axis];
        rest /= p.shape[axis];
        to += at * p.o[axis];
        from_a += at * p.a[axis];
        from_b += at * p.b[axis];
    }
#endif
    COMPUTE one = COMPUTE(a[from_a]);
#ifdef B
    COMPUTE other = COMPUTE(b[from_b]);
#else
    COMPUTE other = one;
#endif
    o[to] = O(OP(one, other));
}
