// Functions across a SIMD-group (MSL 6.9.2), by all of its threads, by some of them, and in a partial group.
#include <metal_stdlib>
using namespace metal;

#define LANE uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]

kernel void sums(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) { out[i] = simd_sum(x[i]); }
kernel void float_sums(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], LANE) { out[i] = simd_sum(x[i]); }
kernel void half_sums(device float* out [[buffer(0)]], LANE) { out[i] = simd_sum(half(lane)) + simd_max(half(lane) * 0.5h); }
kernel void products(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], LANE) { out[i] = simd_product(x[i]); }
kernel void extremes(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    out[2 * i] = simd_min(x[i]);
    out[2 * i + 1] = simd_max(x[i]);
}
kernel void float_extremes(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], LANE) {
    out[2 * i] = simd_min(x[i]);
    out[2 * i + 1] = simd_max(x[i]);
}
kernel void bits(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], LANE) {
    out[3 * i] = simd_and(x[i] | 0xff);
    out[3 * i + 1] = simd_or(x[i] & 0xff00ff);
    out[3 * i + 2] = simd_xor(x[i]);
}
kernel void vectors(device float* out [[buffer(0)]], LANE) {
    float3 v = simd_sum(float3(lane, 1, 2));
    short2 m = simd_max(short2(lane, -short(lane)));
    out[i] = v.x + v.y * 1000 + v.z * 10000 + m.x + m.y;
}
kernel void narrow(device int* out [[buffer(0)]], LANE) {
    out[i] = simd_sum(uchar(lane)) + simd_min(char(lane - 16)) * 1000 + simd_shuffle(short(lane), 7) * 100000;
}

kernel void prefix_sums(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    out[2 * i] = simd_prefix_inclusive_sum(x[i]);
    out[2 * i + 1] = simd_prefix_exclusive_sum(x[i]);
}
kernel void prefix_products(device uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], LANE) {
    out[2 * i] = simd_prefix_inclusive_product(x[i]);
    out[2 * i + 1] = simd_prefix_exclusive_product(x[i]);
}

kernel void shuffles(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    out[4 * i] = simd_shuffle(x[i], ushort((lane * 7 + 3) % 32));
    out[4 * i + 1] = simd_shuffle_xor(x[i], 5);
    out[4 * i + 2] = simd_shuffle_rotate_up(x[i], 3);
    out[4 * i + 3] = simd_shuffle_rotate_down(x[i], 3);
}
// Below the first lane, or above the last, the result of up and down is undefined and not used.
kernel void shifts(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    int up = simd_shuffle_up(x[i], 4), down = simd_shuffle_down(x[i], 9);
    out[2 * i] = lane < 4 ? 0 : up;
    out[2 * i + 1] = lane + 9 > 31 ? 0 : down;
}
kernel void fills(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    out[4 * i] = simd_shuffle_and_fill_up(x[i], -x[i], 5);
    out[4 * i + 1] = simd_shuffle_and_fill_down(x[i], -x[i], 5);
    out[4 * i + 2] = simd_shuffle_and_fill_up(x[i], -x[i], 3, 8);
    out[4 * i + 3] = simd_shuffle_and_fill_down(x[i], -x[i], 3, 8);
}
kernel void broadcasts(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    out[i] = simd_broadcast(x[i], 9) * 3 + simd_broadcast_first(x[i]);
}
kernel void float_shuffles(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], LANE) {
    float4 v = simd_shuffle_xor(float4(x[i], 1, 2, lane), 1);
    out[i] = v.x + v.w * 4 + simd_broadcast(half(lane), 3);
}

kernel void votes(device uint* out [[buffer(0)]], LANE) {
    simd_vote vote = simd_ballot(lane % 3 == 0);
    ulong bits = (simd_vote::vote_t)vote;
    out[4 * i] = uint(bits);
    out[4 * i + 1] = uint(bits >> 32);
    out[4 * i + 2] = simd_all(lane < 32) + 2 * simd_all(lane < 31) + 4 * simd_any(lane == 31) + 8 * simd_any(lane > 31);
    out[4 * i + 3] = vote.any() + 2 * vote.all() + 4 * simd_ballot(true).all();
}
kernel void firsts(device int* out [[buffer(0)]], LANE) {
    out[i] = simd_is_first();
    if (lane >= 5) out[i] += 10 * simd_is_first();
    if (lane % 8 == 6) out[i] += 100 * simd_is_first();
}

// In a branch only the active threads take part.
kernel void diverged(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    if (lane % 3 == 1) out[i] = simd_sum(x[i]);
    else if (lane < 20) out[i] = simd_max(x[i]) * 1000 + simd_prefix_exclusive_sum(1);
    else out[i] = int(popcount(uint(ulong(simd_active_threads_mask())))) + simd_broadcast_first(x[i]) * 100;
}
kernel void diverged_in_loops(device int* out [[buffer(0)]], LANE) {
    int sum = 0;
    for (uint j = 0; j < lane; ++j) sum += simd_sum(1);
    out[i] = sum;
}
kernel void active_threads(device uint* out [[buffer(0)]], LANE) {
    uint mask = 0;
    if (lane & 1) {
        if (lane > 10) mask = uint(ulong(simd_active_threads_mask()));
        else mask = uint(ulong(simd_ballot(lane > 4)));
    }
    out[i] = mask;
}
// The last SIMD-group of a threadgroup has fewer threads.
kernel void partial(device int* out [[buffer(0)]], device const int* x [[buffer(1)]], LANE) {
    int sum = simd_sum(x[i]), least = simd_min(x[i]), product = simd_product(1 + x[i] % 2);
    int all = simd_all(true), active = popcount(uint(ulong(simd_active_threads_mask())));
    int last = simd_prefix_inclusive_sum(1);
    out[i] = sum + least * 1000 + all * 100000 + active * 1000000 + (product & 0xff) + last * 7;
}
kernel void in_functions_reduce(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], threadgroup float* parts [[threadgroup(0)]], LANE, uint group [[simdgroup_index_in_threadgroup]], uint t [[thread_index_in_threadgroup]], uint groups [[simdgroups_per_threadgroup]], uint at [[threadgroup_position_in_grid]]) {
    float sum = simd_sum(x[i]);
    if (lane == 0) parts[group] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (group == 0) {
        sum = simd_sum(lane < groups ? parts[lane] : 0.0f);
        if (t == 0) out[at] = sum;
    }
}
