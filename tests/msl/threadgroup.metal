// Threadgroup memory (MSL 4.4): arrays in kernels, arguments, barriers between the threads that share it.
#include <metal_stdlib>
using namespace metal;

kernel void reverses(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]], uint n [[threads_per_threadgroup]]) {
    threadgroup int shared[128];
    shared[t] = i;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = shared[n - 1 - t];
}

kernel void tree_sum(device uint* out [[buffer(0)]], device const uint* in [[buffer(1)]], threadgroup uint* shared [[threadgroup(0)]], uint i [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]], uint group [[threadgroup_position_in_grid]], uint n [[threads_per_threadgroup]]) {
    shared[t] = in[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half_n = n / 2; half_n > 0; half_n /= 2) {
        if (t < half_n) shared[t] += shared[t + half_n];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (t == 0) out[group] = shared[0];
}

kernel void scan(device uint* out [[buffer(0)]], device const uint* in [[buffer(1)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]], uint n [[threads_per_threadgroup]]) {
    threadgroup uint a[2][256];
    uint from = 0;
    a[0][t] = in[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = 1; step < n; step *= 2) {
        a[1 - from][t] = a[from][t] + (t >= step ? a[from][t - step] : 0);
        from = 1 - from;
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    out[i] = a[from][t];
}

kernel void transpose_tiles(device float* out [[buffer(0)]], device const float* in [[buffer(1)]], uint2 g [[thread_position_in_grid]], uint2 t [[thread_position_in_threadgroup]], uint2 size [[threads_per_grid]], uint2 group [[threadgroup_position_in_grid]]) {
    threadgroup float tile[8][8 + 1];
    tile[t.y][t.x] = in[g.y * size.x + g.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint x = group.y * 8 + t.x, y = group.x * 8 + t.y;
    out[y * size.y + x] = tile[t.x][t.y];
}

struct Cell { float weight; ushort tag; };
kernel void two_arguments(device float* out [[buffer(0)]], threadgroup Cell* cells [[threadgroup(1)]], threadgroup half4* vectors [[threadgroup(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    cells[t].weight = i * 0.5f;
    cells[t].tag = t * 1000;
    vectors[t] = half4(t, 1, 2, 3);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint other = t ^ 3;
    out[i] = cells[other].weight + cells[other].tag + vectors[other].x * 0.25f + vectors[other].w;
}

kernel void scalars_and_structs(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    threadgroup int leader;
    threadgroup int2 pair;
    threadgroup struct { int values[4]; } table;
    if (t == 5) leader = i;
    if (t < 4) table.values[t] = t * 7;
    if (t == 6) pair = int2(1, 2);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = leader * 100 + table.values[i % 4] + pair.y;
}

void deposit(threadgroup int* slots, uint t, int value) {
    slots[t] = value;
    threadgroup_barrier(mem_flags::mem_threadgroup);
}
kernel void barriers_in_functions(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    threadgroup int slots[64];
    int sum = 0;
    for (int round = 0; round < 3; ++round) {
        deposit(slots, t, int(t) * (round + 1));
        sum += slots[(t + 33) % 64];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    out[i] = sum;
}

// A barrier with mem_device orders device memory too.
kernel void through_device_memory(device int* out [[buffer(0)]], device int* scratch [[buffer(1)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    scratch[i] = i * 2;
    threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
    out[i] = scratch[i - t + (t + 40) % 64];
}

kernel void barriers_in_uniform_branches(device int* out [[buffer(0)]], constant int& rounds [[buffer(1)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    threadgroup int turn[64];
    turn[t] = t;
    if (rounds > 1) {
        for (int r = 0; r < rounds; ++r) {
            threadgroup_barrier(mem_flags::mem_threadgroup);
            int next = turn[(t + 1) % 64];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            turn[t] = next;
        }
    }
    out[i] = turn[t];
}

kernel void simdgroup_barriers(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    threadgroup int shared[64];
    shared[t] = i;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = shared[t ^ 16];
}

kernel void barrier_not_reached(device int* out [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
    if (t < 32) threadgroup_barrier(mem_flags::mem_threadgroup);
    out[t] = 1;
    if (t >= 32) threadgroup_barrier(mem_flags::mem_none);
    if (t == 0) return;
    threadgroup_barrier(mem_flags::mem_none);
}
kernel void past_threadgroup_memory(device int* out [[buffer(0)]], threadgroup int* shared [[threadgroup(0)]], uint t [[thread_index_in_threadgroup]]) {
    shared[t] = t;
    out[t] = shared[t];
}
