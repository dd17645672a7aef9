#include <metal_stdlib>
using namespace metal;
kernel void wrong(device float* out, device half* halves, constant float* read, uint lane [[thread_index_in_simdgroup]]) {
    simdgroup_float8x8 m;
    simdgroup_half8x8 h;
    simdgroup_load(m, halves);
    simdgroup_load(m);
    simdgroup_store(m, read);
    simdgroup_multiply(m, h, out[0]);
    m = h;
    float2 e = m.elements();
    m = m + m;
    m[0] = 1;
    simdgroup_matrix<float, 8, 4> narrow;
    simdgroup_matrix<int, 8, 8> integers;
    auto filled = make_filled_simdgroup_matrix<float, 4, 4>(1);
    simdgroup_float8x8 two(1, 2);
    if (m) out[lane] = e.x;
}
