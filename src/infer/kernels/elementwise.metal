// Operations on each value of tensors with up to RANK axes and any strides; a broadcast axis has the stride 0. A, B and O
// are the types, and OP(a, b) is the operation on values of the types COMPUTE and COMPUTE_B, which differ only if one is long and
// the other ulong; p.p and p.q are its numbers.

struct Elementwise {
    uint count;
    float p, q;
    uint shape[RANK];
    uint o[RANK], a[RANK], b[RANK];
};

template <typename T> inline T larger(T a, T b) { return max(a, b); }
template <typename T> inline T smaller(T a, T b) { return min(a, b); }
// A negative value is less than all unsigned ones.
inline ulong larger(long a, ulong b) { return a < 0 ? b : max(ulong(a), b); }
inline ulong larger(ulong a, long b) { return larger(b, a); }
inline long smaller(long a, ulong b) { return a < 0 ? a : long(min(ulong(a), b)); }
inline long smaller(ulong a, long b) { return smaller(b, a); }

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
    COMPUTE_B other = COMPUTE_B(b[from_b]);
#else
    COMPUTE other = one;
#endif
    o[to] = O(OP(one, other));
}
