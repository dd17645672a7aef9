// Functions across four neighbours (MSL 6.9.3).
#include <metal_stdlib>
using namespace metal;

#define QUAD uint i [[thread_position_in_grid]], uint lane [[thread_index_in_quadgroup]]

kernel void reductions(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], QUAD) {
    out[4 * i] = quad_sum(x[i]);
    out[4 * i + 1] = quad_min(x[i]);
    out[4 * i + 2] = quad_max(x[i]);
    out[4 * i + 3] = quad_product(x[i] % 5) + quad_xor(x[i]) * 1000;
}
kernel void logic(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], QUAD) { out[i] = quad_and(x[i]) ^ quad_or(x[i]) * 3; }
kernel void prefixes(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], QUAD) {
    out[i] = quad_prefix_inclusive_sum(x[i]) + 1000 * quad_prefix_exclusive_sum(x[i]);
}
kernel void shuffles(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], QUAD) {
    out[4 * i] = quad_shuffle(x[i], ushort(3 - lane));
    out[4 * i + 1] = quad_shuffle_xor(x[i], 2);
    out[4 * i + 2] = quad_shuffle_rotate_up(x[i], 1);
    out[4 * i + 3] = quad_broadcast(x[i], 2) + quad_broadcast_first(x[i]) * 1000;
}
kernel void fills(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], QUAD) {
    out[2 * i] = quad_shuffle_and_fill_up(x[i], -x[i], 1);
    out[2 * i + 1] = quad_shuffle_and_fill_down(x[i], -x[i], 3);
}
kernel void votes(device int* out [[buffer(0)]], QUAD) {
    out[i] = quad_all(i < 14) + 2 * quad_any(i == 5) + 4 * quad_is_first() + 8 * int(ulong(quad_vote::vote_t(quad_ballot(lane & 1))));
}
