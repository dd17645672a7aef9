// Atomics (MSL 6.15): device and threadgroup memory, int, uint and float, every operation.
#include <metal_stdlib>
using namespace metal;

#define RELAXED memory_order_relaxed

kernel void counts(device atomic_uint* out [[buffer(0)]], device const uchar* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(&out[x[i]], 1u, RELAXED);
}
// Every thread gets a different ticket.
kernel void tickets(device uint* out [[buffer(0)]], device atomic_uint& next [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[atomic_fetch_add_explicit(&next, 1, RELAXED)] = 7;
}
kernel void unsigned_operations(device atomic_uint* out [[buffer(0)]], device const uint* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(out + 0, x[i], RELAXED);
    atomic_fetch_sub_explicit(out + 1, x[i], RELAXED);
    atomic_fetch_and_explicit(out + 2, x[i] | 0xf0f, RELAXED);
    atomic_fetch_or_explicit(out + 3, x[i] & 0x3c3c, RELAXED);
    atomic_fetch_xor_explicit(out + 4, x[i], RELAXED);
    atomic_fetch_min_explicit(out + 5, x[i], RELAXED);
    atomic_fetch_max_explicit(out + 6, x[i], RELAXED);
}
kernel void signed_operations(device atomic_int* out [[buffer(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(out + 0, x[i], RELAXED);
    atomic_fetch_sub_explicit(out + 1, x[i], RELAXED);
    atomic_fetch_and_explicit(out + 2, x[i] | 0xf0f, RELAXED);
    atomic_fetch_or_explicit(out + 3, x[i] & 0x3c3c, RELAXED);
    atomic_fetch_xor_explicit(out + 4, x[i], RELAXED);
    atomic_fetch_min_explicit(out + 5, x[i], RELAXED);
    atomic_fetch_max_explicit(out + 6, x[i], RELAXED);
}
kernel void previous_values(device int* out [[buffer(0)]], device atomic_int* a [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device atomic_int* own = a + i;
    int sum = atomic_fetch_add_explicit(own, 5, RELAXED);
    sum = sum * 3 + atomic_fetch_sub_explicit(own, 2, RELAXED);
    sum = sum * 3 + atomic_fetch_or_explicit(own, 64, RELAXED);
    sum = sum * 3 + atomic_fetch_and_explicit(own, 0x7e, RELAXED);
    sum = sum * 3 + atomic_fetch_xor_explicit(own, 0x55, RELAXED);
    sum = sum * 3 + atomic_fetch_max_explicit(own, 50, RELAXED);
    sum = sum * 3 + atomic_fetch_min_explicit(own, 60, RELAXED);
    sum = sum * 3 + atomic_exchange_explicit(own, -1, RELAXED);
    out[i] = sum * 3 + atomic_load_explicit(own, RELAXED);
}
kernel void stores(device atomic_uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    atomic_store_explicit(out + i, i * 3, RELAXED);
}
kernel void compare_exchange(device uint* out [[buffer(0)]], device atomic_uint* a [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    uint expected = 10;
    bool matched = atomic_compare_exchange_weak_explicit(a + i, &expected, 99u, RELAXED, RELAXED);
    out[i] = matched * 10000 + expected * 100 + atomic_load_explicit(a + i, RELAXED);
}
// A compare-exchange loop makes any function an atomic operation.
kernel void updates_by_loop(device atomic_uint* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    uint old = atomic_load_explicit(out, RELAXED);
    while (!atomic_compare_exchange_weak_explicit(out, &old, as_type<uint>(as_type<float>(old) + x[i]), RELAXED, RELAXED));
}
kernel void float_add(device atomic_float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(out + i % 2, x[i], RELAXED);
}
// Those of 64 bits have no result (MSL 6.15.4.6).
kernel void long_extremes(device atomic_ulong* out [[buffer(0)]], device const ulong* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    atomic_max_explicit(out, x[i], RELAXED);
    atomic_min_explicit(out + 1, x[i], RELAXED);
}
kernel void float_exchange(device float* out [[buffer(0)]], device atomic_float* a [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float was = atomic_exchange_explicit(a + i, 2.5f, RELAXED);
    float before = atomic_fetch_sub_explicit(a + i, 1.0f, RELAXED);
    out[i] = was * 100 + before * 10 + atomic_load_explicit(a + i, RELAXED);
}
// An atomic_bool has 32 bits.
kernel void flags(device uint* out [[buffer(0)]], device atomic_bool* a [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    bool was = atomic_load_explicit(a + i, RELAXED);
    bool swapped = atomic_exchange_explicit(a + i, i % 3 == 0, RELAXED);
    bool expected = true;
    bool matched = atomic_compare_exchange_weak_explicit(a + i, &expected, false, RELAXED, RELAXED);
    atomic_bool local = {true};
    out[i] = was | swapped << 1 | matched << 2 | expected << 3 | atomic_load_explicit(a + i, RELAXED) << 4 | sizeof(atomic_bool) << 8;
    if (i % 2) atomic_store_explicit(a + i, true, RELAXED);
    out[i] |= atomic_load_explicit(a + i, RELAXED) << 5;
}
kernel void in_threadgroup_memory(device uint* out [[buffer(0)]], device const uchar* x [[buffer(1)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]], uint group [[threadgroup_position_in_grid]]) {
    threadgroup atomic_uint bins[16];
    if (t < 16) atomic_store_explicit(&bins[t], 0, RELAXED);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    atomic_fetch_add_explicit(&bins[x[i] % 16], 1u, RELAXED);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t < 16) out[group * 16 + t] = atomic_load_explicit(&bins[t], RELAXED);
}
kernel void threadgroup_signed(device int* out [[buffer(0)]], threadgroup atomic_int* least [[threadgroup(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    if (t == 0) {
        atomic_store_explicit(least, INT_MAX, RELAXED);
        atomic_store_explicit(least + 1, INT_MIN, RELAXED);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    atomic_fetch_min_explicit(least, x[i], RELAXED);
    atomic_fetch_max_explicit(least + 1, x[i], RELAXED);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = atomic_load_explicit(least, RELAXED) * 1000 + atomic_load_explicit(least + 1, RELAXED);
}
struct Queue { atomic_uint length; uint items[64]; };
kernel void in_structs(device Queue* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    if (i % 3 == 0) {
        uint at = atomic_fetch_add_explicit(&out->length, 1u, RELAXED);
        out->items[at] = 5;
    }
}
kernel void under_divergence(device atomic_int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    for (uint j = 0; j < i % 4; ++j)
        if ((i + j) % 2) atomic_fetch_add_explicit(out, int(i), RELAXED);
}
kernel void fences(device atomic_uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(out, 1u, RELAXED);
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, thread_scope_device);
    atomic_fetch_add_explicit(out, 1u, RELAXED);
}
