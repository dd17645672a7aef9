// Thread positions: the attributes of kernel arguments (MSL 5.2.3.6).
#include <metal_stdlib>
using namespace metal;

kernel void positions_of_one(device uint* out [[buffer(0)]], uint g [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]], uint group [[threadgroup_position_in_grid]], uint index [[thread_index_in_threadgroup]], uint n [[threads_per_threadgroup]], uint size [[threads_per_grid]], uint groups [[threadgroups_per_grid]], uint full [[dispatch_threads_per_threadgroup]]) {
    device uint* o = out + 8 * g;
    o[0] = g; o[1] = t; o[2] = group; o[3] = index; o[4] = n; o[5] = size; o[6] = groups; o[7] = full;
}

kernel void positions_of_three(device uint* out [[buffer(0)]], uint3 g [[thread_position_in_grid]], uint3 t [[thread_position_in_threadgroup]], uint3 group [[threadgroup_position_in_grid]], uint index [[thread_index_in_threadgroup]], uint3 n [[threads_per_threadgroup]], uint3 size [[threads_per_grid]], uint3 groups [[threadgroups_per_grid]]) {
    device uint* o = out + 8 * ((g.z * size.y + g.y) * size.x + g.x);
    o[0] = g.x | g.y << 8 | g.z << 16;
    o[1] = t.x | t.y << 8 | t.z << 16;
    o[2] = group.x | group.y << 8 | group.z << 16;
    o[3] = index;
    o[4] = n.x | n.y << 8 | n.z << 16;
    o[5] = groups.x | groups.y << 8 | groups.z << 16;
    o[6] = size.x * 100 + size.y * 10 + size.z;
    o[7] = 0;
}

kernel void positions_of_two(device uint* out [[buffer(0)]], ushort2 g [[thread_position_in_grid]], ushort2 t [[thread_position_in_threadgroup]], ushort2 n [[threads_per_threadgroup]], ushort2 size [[threads_per_grid]]) {
    out[g.y * size.x + g.x] = g.x + g.y * 10 + t.x * 100 + t.y * 1000 + n.x * 10000 + n.y * 100000;
}

kernel void in_simdgroups(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]], uint group [[simdgroup_index_in_threadgroup]], uint width [[threads_per_simdgroup]], uint groups [[simdgroups_per_threadgroup]], ushort execution [[thread_execution_width]]) {
    out[i] = lane + group * 100 + width * 10000 + groups * 1000000 + execution * 10000000;
}

kernel void in_quadgroups(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]], ushort lane [[thread_index_in_quadgroup]], ushort group [[quadgroup_index_in_threadgroup]], ushort groups [[quadgroups_per_threadgroup]]) {
    out[i] = lane + group * 10 + groups * 1000;
}

[[kernel]] void with_the_attribute(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = i + 1; }

[[max_total_threads_per_threadgroup(64)]] kernel void limited(device uint* out [[buffer(0)]], const uint i [[thread_position_in_grid]]) { out[i] = i + 2; }

// Functions that hosts may request (MSL 5.1.4, 5.1.5) are called like any other.
[[visible]] uint visible_double(uint x) { return 2 * x; }
[[stitchable]] uint stitchable_next(uint x) { return x + 1; }
kernel void calls_visible(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) { out[i] = visible_double(stitchable_next(i)); }

// Memory that is coherent (MSL 4.8), with a scope and without; elsewhere the name is an ordinary one.
kernel void coherent_memory(coherent device uint* out [[buffer(0)]], device coherent(system) uint* own [[buffer(1)]], const coherent(device) device uint& first [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    coherent(device) device uint* p = (coherent(device) device uint*)(own + i);
    uint coherent = 1;
    coherent += *p;
    out[i] = coherent + first;
}

// Arguments are copies, which a kernel may change.
kernel void changed_position(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uint at = i;
    i *= 3;
    out[at] = i;
}
