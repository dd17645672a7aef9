kernel void sum(global uint *partial, global const uint *in) {
    local uint shared[256];
    uint lane = get_local_id(0);
    shared[lane] = in[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint half_size = 128; half_size > 0; half_size /= 2) {
        if (lane < half_size) shared[lane] += shared[lane + half_size];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (lane == 0) partial[get_group_id(0)] = shared[0];
}
