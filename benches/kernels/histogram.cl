kernel void histogram(volatile global uint *bins, global const uint *in) {
    atomic_inc(&bins[in[get_global_id(0)] >> 24]);
}
